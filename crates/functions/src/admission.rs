//! Which calls run now, which wait, and which are refused.
//!
//! Owns: the decision and the queue of one function. Never: runs a call, reads a clock, locks.
//!
//! ```text
//!           a slot is free ──────────────▶ runs ──▶ leaves ──▶ the one that waits longest runs
//!   call ──▶ none is, but room to wait ──▶ waits ───────────────────▲
//!           neither ─────────────────────▶ refused (429)
//! ```
//!
//! A patient call is never refused: its source takes in no more than the function can run, and keeps
//! what it did not take. It takes no room from callers.

use std::collections::VecDeque;

use crate::limits::Bounds;

/// The gate of one function. Nothing waits while a slot is free.
#[derive(Debug)]
pub(crate) struct Gate<T> {
    bounds: Bounds,
    n_running: u32,
    waiting: VecDeque<Waiting<T>>,
    n_impatient: usize,
}

#[derive(Debug)]
struct Waiting<T> {
    call: T,
    is_patient: bool,
}

/// What became of a call that came in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entered<T> {
    /// Run it now, and call [`Gate::leave`] when it has ended.
    Run(T),
    Waits,
    /// Refuse it.
    Full(T),
}

impl<T> Gate<T> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, n_running: 0, waiting: VecDeque::new(), n_impatient: 0 }
    }

    pub(crate) fn enter(&mut self, call: T) -> Entered<T> {
        if self.n_running < self.bounds.concurrency {
            self.n_running += 1;
            return Entered::Run(call);
        }
        if self.n_impatient < self.bounds.queue as usize {
            self.n_impatient += 1;
            self.waiting.push_back(Waiting { call, is_patient: false });
            return Entered::Waits;
        }
        Entered::Full(call)
    }

    /// Lets a call in whose source bounds how many there are; returned if it is to run now.
    pub(crate) fn enter_patiently(&mut self, call: T) -> Option<T> {
        if self.n_running < self.bounds.concurrency {
            self.n_running += 1;
            return Some(call);
        }
        self.waiting.push_back(Waiting { call, is_patient: true });
        None
    }

    /// Notes that a running call has ended. Returns the one to run in its slot, if one waits.
    pub(crate) fn leave(&mut self) -> Option<T> {
        let Some(Waiting { call, is_patient }) = self.waiting.pop_front() else {
            self.n_running = self.n_running.saturating_sub(1);
            self.waiting.shrink_to(0);
            return None;
        };
        self.n_impatient -= usize::from(!is_patient);
        Some(call)
    }

    /// Takes out all that wait; they will not run.
    pub(crate) fn take_waiting(&mut self) -> Vec<T> {
        self.n_impatient = 0;
        std::mem::take(&mut self.waiting).into_iter().map(|waiting| waiting.call).collect()
    }

    /// Callers that wait.
    pub(crate) fn n_waiting(&self) -> usize {
        self.n_impatient
    }

    /// Whether nothing runs and nothing waits.
    pub(crate) fn is_quiet(&self) -> bool {
        self.n_running == 0 && self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn calls_run_then_wait_then_are_refused() {
        let mut gate = Gate::new(Bounds { concurrency: 1, queue: 1 });
        assert_eq!(gate.enter("a"), Entered::Run("a"));
        assert_eq!(gate.enter("b"), Entered::Waits);
        assert_eq!(gate.enter("c"), Entered::Full("c"));
        assert_eq!(gate.leave(), Some("b"));
        assert_eq!(gate.leave(), None);
        assert!(gate.is_quiet());
    }

    #[test]
    fn the_patient_wait_also_when_callers_are_refused_and_take_no_room_from_them() {
        let mut gate = Gate::new(Bounds { concurrency: 1, queue: 1 });
        assert_eq!(gate.enter_patiently("a"), Some("a"));
        assert_eq!(gate.enter_patiently("b"), None);
        assert_eq!(gate.enter("c"), Entered::Waits);
        assert_eq!(gate.enter("d"), Entered::Full("d"));
        assert_eq!(gate.enter_patiently("e"), None);
        assert_eq!([gate.leave(), gate.leave(), gate.leave()], [Some("b"), Some("c"), Some("e")]);
        assert_eq!(gate.leave(), None);
        assert!(gate.is_quiet());
    }

    proptest! {
        /// Against a model that only counts: bounds hold, order is kept, no call is lost or doubled.
        #[test]
        fn no_call_is_lost_or_doubled(
            concurrency in 1u32..5,
            queue in 0u32..5,
            steps in proptest::collection::vec(any::<bool>(), 0..200),
        ) {
            let mut gate = Gate::new(Bounds { concurrency, queue });
            let (mut next, mut n_running, mut started, mut refused) = (0u32, 0u32, Vec::new(), Vec::new());
            for comes_in in steps {
                if comes_in {
                    match gate.enter(next) {
                        Entered::Run(call) => { n_running += 1; started.push(call); }
                        Entered::Waits => prop_assert_eq!(n_running, concurrency),
                        Entered::Full(call) => {
                            prop_assert_eq!(gate.n_waiting(), queue as usize);
                            refused.push(call);
                        }
                    }
                    next += 1;
                } else if n_running > 0 {
                    match gate.leave() {
                        Some(call) => started.push(call),
                        None => n_running -= 1,
                    }
                }
                prop_assert!(n_running <= concurrency && gate.n_waiting() <= queue as usize);
                prop_assert!(gate.n_waiting() == 0 || n_running == concurrency);
                prop_assert_eq!(gate.is_quiet(), n_running == 0);
            }
            prop_assert!(started.is_sorted(), "first come, first run");
            let mut all: Vec<u32> = started.into_iter().chain(refused).chain(gate.take_waiting()).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..next).collect::<Vec<_>>());
        }
    }
}
