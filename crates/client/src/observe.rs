//! What passes on subjects, as a bystander gets it.
//!
//! Owns: subscriptions beside those who answer. Never: answers, or takes a message away from anybody; but
//! while a bystander listens, the server does not tell a caller that nobody else does.

use futures::StreamExt;
use nex_bus::{Client as Nats, Message, Subscriber};

use crate::Error;

/// Messages on some subjects; dropping it ends the subscriptions.
#[derive(Debug)]
pub struct Observed(futures::stream::SelectAll<Subscriber>);

impl Observed {
    /// The next message; none when the connection is closed.
    pub async fn next(&mut self) -> Option<Message> {
        self.0.next().await
    }
}

/// Listens on `subjects`, which may have wildcards, over any connection.
///
/// # Errors
/// When NATS fails. Where the credentials do not allow it, nothing comes.
pub async fn observe(nats: &Nats, subjects: &[String]) -> Result<Observed, Error> {
    let mut subscribers = Vec::new();
    for subject in subjects {
        let subscriber = nats.subscribe(subject.clone()).await;
        subscribers.push(subscriber.map_err(|error| Error::Nats(error.to_string()))?);
    }
    Ok(Observed(futures::stream::select_all(subscribers)))
}
