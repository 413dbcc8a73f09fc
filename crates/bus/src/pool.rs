//! Connections shared by those whose settings are identical, and by nobody else.
//!
//! Owns: one connection per distinct settings for as long as somebody holds it. Never: shares across
//! different credentials.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError, Weak};

use async_nats::Client;
use tokio::sync::Mutex;

use crate::connection::{Renewer, connect_renewable};
use crate::{ConnectError, Settings};

/// Open connections by their settings.
#[derive(Debug, Clone, Default)]
pub struct Pool {
    slots: Arc<std::sync::Mutex<HashMap<Settings, Slot>>>,
}

/// One connection. An async mutex, since two who ask for the same settings must wait for the one
/// connection that the first of them opens; one per settings, so that a server that does not answer
/// holds up nobody else.
type Slot = Arc<Mutex<Opened>>;

#[derive(Debug, Default)]
struct Opened {
    client: Weak<Client>,
    renewer: Renewer,
}

/// A share in a connection.
#[derive(Debug, Clone)]
pub struct Lease {
    /// Open for as long as somebody holds it.
    pub client: Arc<Client>,
    /// Replaces the credential for all who share it: they were the same before.
    pub renewer: Renewer,
}

impl Pool {
    /// The connection with these settings, open for as long as somebody holds a lease. Flush it
    /// before the last lease is dropped, since what was not sent by then is lost.
    ///
    /// # Errors
    /// As [`connect`].
    pub async fn lease(&self, settings: &Settings) -> Result<Lease, ConnectError> {
        let slot = self.slot(settings);
        let mut opened = slot.lock().await;
        if let Some(client) = opened.client.upgrade() {
            return Ok(Lease { client, renewer: opened.renewer.clone() });
        }
        let (client, renewer) = connect_renewable(settings).await?;
        let client = Arc::new(client);
        *opened = Opened { client: Arc::downgrade(&client), renewer: renewer.clone() };
        Ok(Lease { client, renewer })
    }

    /// Flushes and closes all of them.
    pub async fn drain(&self) {
        let slots: Vec<Slot> = self.slots().values().cloned().collect();
        for slot in slots {
            let leased = slot.lock().await.client.upgrade();
            if let Some(client) = leased {
                let _already_closed = client.drain().await;
            }
        }
    }

    /// The slot of these settings; slots of connections that nobody holds any more are let go.
    fn slot(&self, settings: &Settings) -> Slot {
        let mut slots = self.slots();
        slots.retain(|_, slot| {
            let is_open = || slot.try_lock().is_ok_and(|opened| opened.client.strong_count() > 0);
            Arc::strong_count(slot) > 1 || is_open()
        });
        Arc::clone(slots.entry(settings.clone()).or_default())
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Settings, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
