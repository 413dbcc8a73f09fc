//! Whose call goes on next on the guest threads: by namespace in turn, within it by function in turn.
//!
//! Owns: the order of calls that are ready to run, and polling them in it. Never: bounds how many
//! there are; the gate of each function does.
//!
//! ```text
//! call ── woken ──▶ the line of its function ──▶ a runner, one per guest thread, polls it once
//!   ▲                                              │
//!   └──── waits, or paused at a tick of the epoch ◀┘
//! ```
//!
//! A guest that computes pauses at every tick, so a function with 64 loops gets one turn for each turn
//! of a function with a single call, not 64. While nothing else is ready, a turn costs one short lock.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::runtime::Handle;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Whose turn it is: a namespace and a function of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Party {
    pub(crate) namespace: Arc<str>,
    /// Unlike any other function's, also of the same name.
    pub(crate) function: u64,
}

impl Party {
    /// A new function of `namespace`.
    pub(crate) fn of(namespace: &str) -> Self {
        static N_FUNCTIONS: AtomicU64 = AtomicU64::new(0);
        let function = N_FUNCTIONS.fetch_add(1, Ordering::Relaxed);
        Self { namespace: namespace.into(), function }
    }
}

/// A ring of lines: each line has one turn before any has a second.
#[derive(Debug)]
struct Ring<K, T> {
    lines: HashMap<K, T>,
    /// Keys of lines that are not empty, the next one first.
    order: VecDeque<K>,
}

impl<K, T> Default for Ring<K, T> {
    fn default() -> Self {
        Self { lines: HashMap::new(), order: VecDeque::new() }
    }
}

impl<K: Clone + Eq + Hash, T: Default> Ring<K, T> {
    fn line(&mut self, key: &K) -> &mut T {
        if !self.lines.contains_key(key) {
            self.order.push_back(key.clone());
        }
        self.lines.entry(key.clone()).or_default()
    }

    /// Takes from the next line; one that `is_empty` afterwards leaves the ring.
    fn next<R>(
        &mut self,
        take: impl FnOnce(&mut T) -> Option<R>,
        is_empty: impl FnOnce(&T) -> bool,
    ) -> Option<R> {
        let key = self.order.pop_front()?;
        let line = self.lines.get_mut(&key)?;
        let taken = take(line);
        if is_empty(line) {
            self.lines.remove(&key);
        } else {
            self.order.push_back(key);
        }
        taken
    }
}

/// What is ready, in its lines.
#[derive(Debug)]
struct Ready<T> {
    namespaces: Ring<Arc<str>, Ring<u64, VecDeque<T>>>,
}

impl<T> Ready<T> {
    fn new() -> Self {
        Self { namespaces: Ring::default() }
    }

    fn push(&mut self, party: &Party, ready: T) {
        self.namespaces.line(&party.namespace).line(&party.function).push_back(ready);
    }

    fn pop(&mut self) -> Option<T> {
        self.namespaces.next(
            |functions| functions.next(VecDeque::pop_front, VecDeque::is_empty),
            |functions| functions.order.is_empty(),
        )
    }
}

/// The calls of all functions of a nexlet, on its guest threads.
#[derive(Debug)]
pub(crate) struct Turns {
    state: Mutex<State>,
    /// Turns that stand in line, for a look without the lock.
    n_ready: AtomicUsize,
}

#[derive(Debug)]
struct State {
    ready: Ready<Arc<Turn>>,
    /// Runners that found nothing to do.
    idle: Vec<Waker>,
}

/// One call.
struct Turn {
    party: Party,
    turns: Arc<Turns>,
    progress: Mutex<Progress>,
}

struct Progress {
    /// None while it is polled, and when it has ended.
    work: Option<Work>,
    /// Whether it stands in line, or shall as soon as it has been polled.
    is_woken: bool,
    is_polled: bool,
}

impl Turns {
    /// Starts `n` runners on `handle`; they end with its runtime.
    pub(crate) fn start(handle: &Handle, n: usize) -> Arc<Self> {
        let state = State { ready: Ready::new(), idle: Vec::new() };
        let turns = Arc::new(Self { state: Mutex::new(state), n_ready: AtomicUsize::new(0) });
        for _ in 0..n {
            handle.spawn(Runner(Arc::clone(&turns)));
        }
        turns
    }

    /// Has `work` polled whenever it is its party's turn.
    pub(crate) fn spawn(self: &Arc<Self>, party: Party, work: Work) {
        let progress = Progress { work: Some(work), is_woken: true, is_polled: false };
        let turn = Turn { party, turns: Arc::clone(self), progress: Mutex::new(progress) };
        self.queue(Arc::new(turn));
    }

    /// Whether somebody waits for a turn.
    pub(crate) fn is_busy(&self) -> bool {
        self.n_ready.load(Ordering::Relaxed) > 0
    }

    /// Drops what is ready; nothing polls it any more.
    pub(crate) fn clear(&self) {
        let ready = std::mem::replace(&mut self.state().ready, Ready::new());
        self.n_ready.store(0, Ordering::Relaxed);
        drop(ready);
    }

    fn queue(&self, turn: Arc<Turn>) {
        let party = turn.party.clone();
        let runner = {
            let mut state = self.state();
            state.ready.push(&party, turn);
            self.n_ready.fetch_add(1, Ordering::Relaxed);
            state.idle.pop()
        };
        if let Some(runner) = runner {
            runner.wake();
        }
    }

    /// The next turn; without one, `runner` is woken when there is.
    fn next(&self, runner: &Waker) -> Option<Arc<Turn>> {
        let mut state = self.state();
        let turn = state.ready.pop();
        if turn.is_some() {
            self.n_ready.fetch_sub(1, Ordering::Relaxed);
        }
        if turn.is_none() && !state.idle.iter().any(|waker| waker.will_wake(runner)) {
            state.idle.push(runner.clone());
        }
        turn
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Polls one call a turn. Between two, the thread's timers, sockets and other tasks have theirs.
struct Runner(Arc<Turns>);

impl Future for Runner {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if let Some(turn) = self.0.next(context.waker()) {
            turn.take();
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Turn {
    fn take(self: Arc<Self>) {
        let Some(mut work) = self.begin() else { return };
        let waker = Waker::from(Arc::clone(&self));
        // A call catches its own panics; should one escape, the call is dropped and the runner lives.
        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            work.as_mut().poll(&mut Context::from_waker(&waker)).is_pending().then_some(work)
        }));
        self.end(polled.ok().flatten());
    }

    fn begin(&self) -> Option<Work> {
        let mut progress = self.progress();
        progress.is_woken = false;
        progress.is_polled = true;
        progress.work.take()
    }

    fn end(self: &Arc<Self>, left: Option<Work>) {
        let is_ready = {
            let mut progress = self.progress();
            progress.is_polled = false;
            progress.work = left;
            progress.is_woken && progress.work.is_some()
        };
        if is_ready {
            self.turns.queue(Arc::clone(self));
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let queues = {
            let mut progress = self.progress();
            let queues = !progress.is_woken && !progress.is_polled && progress.work.is_some();
            progress.is_woken = true;
            queues
        };
        if queues {
            self.turns.queue(Arc::clone(self));
        }
    }
}

impl std::fmt::Debug for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turn").field("party", &self.party).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::sync::mpsc;

    use super::*;

    fn party(namespace: &str, function: u64) -> Party {
        Party { namespace: namespace.into(), function }
    }

    #[test]
    fn namespaces_take_turns_and_functions_within_them() {
        let mut ready = Ready::new();
        for n in 0..3 {
            ready.push(&party("a", 1), format!("a1.{n}"));
        }
        ready.push(&party("a", 2), "a2.0".to_owned());
        ready.push(&party("b", 3), "b3.0".to_owned());
        ready.push(&party("b", 3), "b3.1".to_owned());
        let order: Vec<String> = std::iter::from_fn(|| ready.pop()).collect();
        assert_eq!(order, ["a1.0", "b3.0", "a2.0", "b3.1", "a1.1", "a1.2"]);
    }

    proptest! {
        /// Nothing is lost or doubled, the order within a function is kept, and while two namespaces
        /// have something ready, neither has two turns in a row.
        #[test]
        fn everybody_has_a_turn(
            steps in proptest::collection::vec(proptest::option::of((0u8..3, 0u64..3)), 0..300),
        ) {
            let mut ready = Ready::new();
            let (mut waiting, mut next) = (Vec::<(u8, u64, usize)>::new(), 0);
            let mut last: Option<(u8, bool)> = None;
            for step in steps {
                if let Some((namespace, function)) = step {
                    let party = party(&namespace.to_string(), u64::from(namespace) * 10 + function);
                    ready.push(&party, (namespace, function, next));
                    waiting.push((namespace, function, next));
                    next += 1;
                    continue;
                }
                let Some(taken) = ready.pop() else {
                    prop_assert!(waiting.is_empty());
                    last = None;
                    continue;
                };
                let of_its_line = |it: &&(u8, u64, usize)| (it.0, it.1) == (taken.0, taken.1);
                prop_assert_eq!(waiting.iter().find(of_its_line), Some(&taken));
                if let Some((namespace, others_waited)) = last {
                    prop_assert!(!(others_waited && namespace == taken.0), "two turns in a row");
                }
                waiting.retain(|it| *it != taken);
                last = Some((taken.0, waiting.iter().any(|it| it.0 != taken.0)));
            }
            let left: Vec<_> = std::iter::from_fn(|| ready.pop()).collect();
            prop_assert_eq!(left.len(), waiting.len());
            prop_assert!(ready.namespaces.lines.is_empty(), "lines that are empty are gone");
        }
    }

    #[test]
    fn work_is_polled_to_its_end_also_when_it_is_woken_while_it_is_polled() {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build().unwrap();
        let turns = Turns::start(runtime.handle(), 2);
        let (done, mut ended) = mpsc::unbounded_channel();
        for n in 0..100u64 {
            let done = done.clone();
            let work = async move {
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                tokio::time::sleep(std::time::Duration::from_millis(n % 3)).await;
                done.send(n).unwrap();
            };
            turns.spawn(party("a", n % 7), Box::pin(work));
        }
        drop(done);
        let mut seen: Vec<u64> = std::iter::from_fn(|| ended.blocking_recv()).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_panic_ends_the_work_and_not_the_runner() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let turns = Turns::start(runtime.handle(), 1);
        turns.spawn(party("a", 1), Box::pin(async { panic!("on purpose") }));
        let (done, ended) = tokio::sync::oneshot::channel();
        turns.spawn(party("a", 1), Box::pin(async move { done.send(7).unwrap() }));
        assert_eq!(ended.blocking_recv(), Ok(7));
    }
}
