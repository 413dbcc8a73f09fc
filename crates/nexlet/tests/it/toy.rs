//! A nexlet whose workloads do nothing until they are stopped. What else it can, a test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use nex_nexlet::{
    Description, Ended, EventListener, FunctionMetrics, Ingress, Lifecycle, Metrics, Nexlet, Start,
    StartFailure, Started, Status, TaskWorkload, Workload, async_trait,
};
use tokio::sync::{Notify, mpsc};

/// The node and agent of all tests; each has a server of its own.
pub(crate) const NODE: &str = "NODE";
pub(crate) const AGENT: &str = "AGENT";

#[derive(Debug, Default)]
pub(crate) struct Toy {
    pub(crate) name: Option<&'static str>,
    pub(crate) ingress: Option<Ingress>,
    pub(crate) listener: Option<Arc<Ear>>,
    /// A start of a workload called `slow` waits for it.
    pub(crate) gate: Notify,
    pub(crate) slow_starts: AtomicUsize,
    /// What workloads called `counts` have counted.
    pub(crate) calls: Arc<AtomicU64>,
}

/// Hands on what it hears.
#[derive(Debug)]
pub(crate) struct Ear(pub(crate) mpsc::UnboundedSender<Bytes>);

#[async_trait]
impl EventListener for Ear {
    async fn hear(&self, message: Bytes) {
        let _test_is_over = self.0.send(message);
    }
}

/// A workload with a port, or one that counts, when its name says so.
#[derive(Debug)]
struct Idle {
    workload: Arc<dyn Workload>,
    port: Option<u16>,
    calls: Option<Arc<AtomicU64>>,
}

#[async_trait]
impl Workload for Idle {
    fn status(&self) -> Status {
        self.workload.status()
    }

    async fn stop(&self) {
        self.workload.stop().await;
    }

    async fn ended(&self) -> Ended {
        self.workload.ended().await
    }

    fn port(&self) -> Option<u16> {
        self.port
    }

    fn metrics(&self) -> Option<Metrics> {
        let calls = self.calls.as_ref()?.load(Ordering::Acquire);
        let function = FunctionMetrics { calls, ..FunctionMetrics::default() };
        Some(Metrics { function: Some(function), process: None })
    }
}

#[async_trait]
impl Nexlet for Toy {
    fn describe(&self) -> Description {
        Description {
            name: self.name.unwrap_or("toy").to_owned(),
            register_type: "toy".to_owned(),
            version: "1.0.0".to_owned(),
            description: String::new(),
            lifecycles: vec![Lifecycle::Service],
            schema: "{}".to_owned(),
        }
    }

    async fn start(&self, start: Start) -> Result<Started, StartFailure> {
        if start.name.as_str() == "slow" {
            self.slow_starts.fetch_add(1, Ordering::AcqRel);
            self.gate.notified().await;
        }
        let port = (start.name.as_str() == "web").then_some(8080);
        let Started { workload, warnings } =
            TaskWorkload::spawn(|_| std::future::pending::<Result<(), String>>());
        let calls = (start.name.as_str() == "counts").then(|| Arc::clone(&self.calls));
        Ok(Started { workload: Arc::new(Idle { workload, port, calls }), warnings })
    }

    fn ingress(&self) -> Option<Ingress> {
        self.ingress.clone()
    }

    fn event_listener(&self) -> Option<Arc<dyn EventListener>> {
        self.listener.clone().map(|ear| ear as Arc<dyn EventListener>)
    }
}
