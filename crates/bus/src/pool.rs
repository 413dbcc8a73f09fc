//! Connections shared by those whose settings are identical, and by nobody else.
//!
//! Owns: one connection per distinct settings for as long as somebody holds it. Never: shares across
//! different credentials.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, Weak};

use async_nats::Client;
use tokio::sync::Mutex;

use crate::{ConnectError, Settings, connect};

/// Open connections by their settings.
#[derive(Debug, Clone, Default)]
pub struct Pool {
    // An async mutex, since two who ask for the same settings must wait for the one connection
    // that the first of them opens.
    open: Arc<Mutex<HashMap<Settings, Client>>>,
    leased: Arc<std::sync::Mutex<HashMap<Settings, Slot>>>,
}

/// One leased connection. An async mutex for the same reason, but one per settings, so that a server
/// that does not answer holds up nobody else.
type Slot = Arc<Mutex<Weak<Client>>>;

impl Pool {
    /// The connection with these settings, opened when nobody has it yet. Connections stay open for
    /// the life of the pool, since their number is that of distinct credentials.
    ///
    /// # Errors
    /// As [`connect`].
    pub async fn get(&self, settings: &Settings) -> Result<Client, ConnectError> {
        let mut open = self.open.lock().await;
        if let Some(client) = open.get(settings) {
            return Ok(client.clone());
        }
        let client = connect(settings).await?;
        open.insert(settings.clone(), client.clone());
        Ok(client)
    }

    /// The connection with these settings, open for as long as somebody holds a lease. Flush it
    /// before the last lease is dropped, since what was not sent by then is lost.
    ///
    /// # Errors
    /// As [`connect`].
    pub async fn lease(&self, settings: &Settings) -> Result<Arc<Client>, ConnectError> {
        let slot = self.slot(settings);
        let mut leased = slot.lock().await;
        if let Some(client) = leased.upgrade() {
            return Ok(client);
        }
        let client = Arc::new(connect(settings).await?);
        *leased = Arc::downgrade(&client);
        Ok(client)
    }

    /// Flushes and closes all of them.
    pub async fn drain(&self) {
        let slots: Vec<Slot> = self.slots().values().cloned().collect();
        for slot in slots {
            let leased = slot.lock().await.upgrade();
            if let Some(client) = leased {
                let _already_closed = client.drain().await;
            }
        }
        for (_, client) in self.open.lock().await.drain() {
            let _already_closed = client.drain().await;
        }
    }

    /// The slot of these settings; slots of connections that nobody holds any more are let go.
    fn slot(&self, settings: &Settings) -> Slot {
        let mut slots = self.slots();
        slots.retain(|_, slot| {
            let is_open = || slot.try_lock().is_ok_and(|leased| leased.strong_count() > 0);
            Arc::strong_count(slot) > 1 || is_open()
        });
        Arc::clone(slots.entry(settings.clone()).or_default())
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, HashMap<Settings, Slot>> {
        self.leased.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
