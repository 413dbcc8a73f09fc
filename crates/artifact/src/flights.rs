//! Equal fetches at the same time are one.
//!
//! Owns: who of them fetches. Never: hands a result to somebody who came after it was there: a name may
//! mean other bytes by then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use nex_types::{Digest, Namespace};

use crate::{Artifact, FetchError};

type Outcome = Result<Artifact, FetchError>;

/// What makes two fetches equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Flight {
    pub(crate) namespace: Namespace,
    pub(crate) uri: String,
    pub(crate) digest: Option<Digest>,
    pub(crate) limit: u64,
}

/// Those that are under way.
#[derive(Debug, Default)]
pub(crate) struct Flights(Mutex<HashMap<Flight, Weak<Slot>>>);

/// An async mutex: it is held over the whole fetch. Whoever gets it finds the outcome, or fetches, also
/// where the one before was dropped in the middle.
#[derive(Debug, Default)]
struct Slot(tokio::sync::Mutex<Option<Outcome>>);

impl Flights {
    /// Runs `fetch`, or takes the outcome of an equal one that is under way.
    pub(crate) async fn join(
        &self,
        flight: Flight,
        fetch: impl Future<Output = Outcome>,
    ) -> Outcome {
        let slot = self.slot(&flight);
        let mut landed = slot.0.lock().await;
        if let Some(outcome) = &*landed {
            return outcome.clone();
        }
        let outcome = fetch.await;
        self.close(&flight, &slot);
        *landed = Some(outcome.clone());
        outcome
    }

    fn slot(&self, flight: &Flight) -> Arc<Slot> {
        let mut table = self.table();
        table.retain(|_, slot| slot.strong_count() > 0);
        if let Some(slot) = table.get(flight).and_then(Weak::upgrade) {
            return slot;
        }
        let slot = Arc::new(Slot::default());
        table.insert(flight.clone(), Arc::downgrade(&slot));
        slot
    }

    /// Who comes from now on fetches anew.
    fn close(&self, flight: &Flight, slot: &Arc<Slot>) {
        let mut table = self.table();
        if table.get(flight).is_some_and(|open| open.as_ptr() == Arc::as_ptr(slot)) {
            table.remove(flight);
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Flight, Weak<Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;

    use super::*;

    fn flight(uri: &str) -> Flight {
        let namespace = Namespace::parse("a").unwrap();
        Flight { namespace, uri: uri.to_owned(), digest: None, limit: 1 }
    }

    #[tokio::test]
    async fn failures_are_shared_and_not_kept() {
        let (flights, n_fetches) = (Flights::default(), AtomicUsize::new(0));
        let fetch = || async {
            n_fetches.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Err(FetchError::Missing { what: "it".to_owned() })
        };
        let outcomes = join_all((0..10).map(|_| flights.join(flight("x"), fetch()))).await;
        assert!(outcomes.iter().all(Result::is_err));
        assert_eq!(n_fetches.load(Ordering::Relaxed), 1);
        assert!(flights.join(flight("x"), fetch()).await.is_err());
        assert_eq!(n_fetches.load(Ordering::Relaxed), 2, "a later one asks again");
        assert!(flights.table().is_empty());
    }

    #[tokio::test]
    async fn who_waits_takes_over_from_one_that_was_dropped() {
        let flights = Flights::default();
        let stuck = flights.join(flight("x"), std::future::pending());
        let mut stuck = Box::pin(stuck);
        assert!(futures::poll!(&mut stuck).is_pending());
        let missing = async { Err(FetchError::Missing { what: "it".to_owned() }) };
        let mut waiting = Box::pin(flights.join(flight("x"), missing));
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(stuck);
        assert!(matches!(waiting.await, Err(FetchError::Missing { .. })));
    }
}
