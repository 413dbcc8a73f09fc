//! A moment that may be set, and after that only be brought nearer.
//!
//! Owns: the rule and the waiting. Never: does anything when it has come.

use std::time::Instant;

use tokio::sync::watch;

/// Not set at first.
#[derive(Debug, Default)]
pub struct Deadline(watch::Sender<Option<Instant>>);

impl Deadline {
    /// Sets it, or brings it nearer; a later moment changes nothing. Returns what holds now.
    pub fn bring(&self, at: Instant) -> Instant {
        let mut holds = at;
        self.0.send_if_modified(|deadline| {
            let is_nearer = deadline.is_none_or(|set| at < set);
            if is_nearer {
                *deadline = Some(at);
            }
            holds = deadline.unwrap_or(at);
            is_nearer
        });
        holds
    }

    /// The moment, once it is set.
    #[must_use]
    pub fn get(&self) -> Option<Instant> {
        *self.0.borrow()
    }

    /// Waits until it has come; for ever while it is not set.
    pub async fn passed(&self) {
        let mut deadline = self.0.subscribe();
        loop {
            let set = *deadline.borrow_and_update();
            let come = async {
                match set {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = come => return,
                // It cannot close: the sender is in `self`.
                _ = deadline.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn it_only_comes_nearer() {
        let (deadline, now) = (Deadline::default(), Instant::now());
        let (soon, late) = (now + Duration::from_millis(1), now + Duration::from_secs(3600));
        let unset = tokio::time::timeout(Duration::from_millis(5), deadline.passed()).await;
        assert!(unset.is_err());
        assert_eq!(deadline.bring(late), late);
        let waiting = deadline.passed();
        assert_eq!(deadline.bring(soon), soon);
        assert_eq!(deadline.bring(late), soon, "a later moment changes nothing");
        tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap();
        assert_eq!(deadline.get(), Some(soon));
    }
}
