//! The engine of the tests: a guest's source is what it does, for example `slow 50` or `fail no`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_trait::async_trait;
use nex_functions::host::Host;
use nex_functions::runtime::{
    Call, CallError, Engine, Guest, GuestLog, GuestSpec, Level, Refusal, Reply,
};
use tokio::sync::Semaphore;

/// Counts what is deployed, alive and running; holds calls back until told.
#[derive(Debug)]
pub(crate) struct FakeEngine {
    pub(crate) deploys: AtomicUsize,
    pub(crate) alive: Arc<AtomicUsize>,
    pub(crate) running: Arc<AtomicUsize>,
    pub(crate) ran: Arc<AtomicUsize>,
    /// A `hold` guest needs one permit per call, a `turns` guest one to begin.
    pub(crate) permits: Arc<Semaphore>,
    /// The turns that `turns` guests had, by their arguments.
    pub(crate) turns: Arc<Mutex<Vec<String>>>,
    /// The services of the guest that was deployed last.
    host: Mutex<Weak<Host>>,
}

impl FakeEngine {
    pub(crate) fn host(&self) -> Arc<Host> {
        self.host.lock().unwrap().upgrade().expect("the guest is alive")
    }
}

impl Default for FakeEngine {
    fn default() -> Self {
        Self {
            deploys: AtomicUsize::default(),
            alive: Arc::default(),
            running: Arc::default(),
            ran: Arc::default(),
            permits: Arc::new(Semaphore::new(0)),
            turns: Arc::default(),
            host: Mutex::default(),
        }
    }
}

#[async_trait]
impl Engine for FakeEngine {
    async fn deploy(&self, spec: GuestSpec) -> Result<Arc<dyn Guest>, Refusal> {
        self.deploys.fetch_add(1, Ordering::SeqCst);
        assert_eq!(std::thread::current().name(), Some("guest"));
        let source = String::from_utf8(spec.source.to_vec()).unwrap();
        let (what, argument) = source.split_once(' ').unwrap_or((source.as_str(), ""));
        match what {
            "refuse" => return Err(Refusal::new(argument).with_detail("line 1")),
            "panic" => panic!("on purpose"),
            "never" => std::future::pending().await,
            _ => {}
        }
        self.alive.fetch_add(1, Ordering::SeqCst);
        *self.host.lock().unwrap() = Arc::downgrade(&spec.host);
        Ok(Arc::new(FakeGuest {
            what: what.to_owned(),
            argument: argument.to_owned(),
            logs: spec.logs,
            _host: spec.host,
            alive: Arc::clone(&self.alive),
            running: Arc::clone(&self.running),
            ran: Arc::clone(&self.ran),
            permits: Arc::clone(&self.permits),
            turns: Arc::clone(&self.turns),
        }))
    }
}

#[derive(Debug)]
struct FakeGuest {
    what: String,
    argument: String,
    logs: Arc<dyn GuestLog>,
    _host: Arc<Host>,
    alive: Arc<AtomicUsize>,
    running: Arc<AtomicUsize>,
    ran: Arc<AtomicUsize>,
    permits: Arc<Semaphore>,
    turns: Arc<Mutex<Vec<String>>>,
}

impl FakeGuest {
    /// Is ready again at once after each turn, as a guest is that computes.
    async fn compute(&self) {
        self.permits.acquire().await.unwrap().forget();
        let mut left = 50;
        std::future::poll_fn(|context| {
            self.turns.lock().unwrap().push(self.argument.clone());
            left -= 1;
            context.waker().wake_by_ref();
            if left > 0 { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
        })
        .await;
    }
}

impl Drop for FakeGuest {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Counts a call that runs, also when it is dropped.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Guest for FakeGuest {
    async fn call(&self, call: Call) -> Result<Reply, CallError> {
        assert_eq!(std::thread::current().name(), Some("guest"));
        self.running.fetch_add(1, Ordering::SeqCst);
        let _running = Running(Arc::clone(&self.running));
        self.ran.fetch_add(1, Ordering::SeqCst);
        let number = || self.argument.parse().unwrap();
        let echo = Reply { payload: call.payload.clone(), ..Reply::default() };
        match self.what.as_str() {
            "slow" => tokio::time::sleep(Duration::from_millis(number())).await,
            "hold" => self.permits.acquire().await.unwrap().forget(),
            "stuck" => {
                tokio::time::sleep_until(call.deadline.into()).await;
                return Err(CallError::DeadlinePassed);
            }
            "disobey" => std::future::pending().await,
            "fail" => {
                let message = format!("Error: {}\n    at x", self.argument);
                return Err(CallError::Failed { message, detail: None });
            }
            "panic-in-call" => panic!("on purpose"),
            "memory" => return Err(CallError::OutOfMemory { limit: number() }),
            "busy" => return Err(CallError::Busy(self.argument.clone())),
            "turns" => self.compute().await,
            "input" => return Err(CallError::BadInput(self.argument.clone())),
            "bytes" => {
                let length = usize::try_from(number()).unwrap();
                return Ok(Reply { payload: vec![b'x'; length].into(), ..Reply::default() });
            }
            "status" => return Ok(Reply { error_status: Some(404), ..echo }),
            "headers" => {
                let mut headers = call.headers.clone();
                headers.push(("Subject".to_owned(), call.subject.clone()));
                return Ok(Reply { headers, ..echo });
            }
            "log" => self.logs.line(Level::Info, &self.argument),
            _ => {}
        }
        Ok(echo)
    }

    fn release_idle(&self) {}

    fn shape(&self) -> &'static str {
        "fake"
    }
}
