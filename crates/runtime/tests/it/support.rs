//! The harness: one engine for all tests, guests made from text, and a log that remembers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use nex_functions::Scope;
use nex_functions::runtime::{
    Call, CallError, ColdStarts, Engine, Guest, GuestLog, GuestSpec, Instances, Language, Level,
    Refusal, Reply, SourceLanguage, Stimulus,
};
use nex_runtime::{EngineConfig, WasmEngine};

/// One engine for the whole binary: compiled code is kept between runs.
pub(crate) static ENGINE: LazyLock<WasmEngine> = LazyLock::new(|| {
    let cache_dir = Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("code"));
    WasmEngine::new(EngineConfig { cache_dir, ..EngineConfig::default() }).unwrap()
});

/// Collects what a guest logs.
#[derive(Debug, Default)]
pub(crate) struct Log(Mutex<Vec<(Level, String)>>);

impl GuestLog for Log {
    fn line(&self, level: Level, line: &str) {
        self.0.lock().unwrap().push((level, line.to_owned()));
    }
}

impl Log {
    pub(crate) fn lines(&self) -> Vec<(Level, String)> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn text(&self) -> String {
        let lines: Vec<_> = self.lines().into_iter().map(|(_, line)| line).collect();
        lines.join("\n")
    }
}

/// A guest with its log.
#[derive(Debug)]
pub(crate) struct Deployed {
    pub(crate) guest: Arc<dyn Guest>,
    pub(crate) log: Arc<Log>,
    pub(crate) cold_starts: ColdStarts,
}

pub(crate) struct Setup {
    spec: GuestSpec,
    log: Arc<Log>,
}

pub(crate) fn wasm(source: impl Into<Bytes>) -> Setup {
    setup(Language::Wasm, source.into())
}

pub(crate) fn javascript(source: &str) -> Setup {
    javascript_bytes(source.as_bytes())
}

pub(crate) fn typescript(source: &str) -> Setup {
    let mut setup = javascript(source);
    setup.spec.source_language = SourceLanguage::TypeScript;
    setup
}

pub(crate) fn javascript_bytes(source: &[u8]) -> Setup {
    setup(Language::JavaScript, Bytes::copy_from_slice(source))
}

fn setup(language: Language, source: Bytes) -> Setup {
    let log = Arc::new(Log::default());
    let spec = GuestSpec {
        name: "probe".to_owned(),
        language,
        source_language: SourceLanguage::JavaScript,
        quotes_source: true,
        source,
        environment: BTreeMap::new(),
        argv: Vec::new(),
        memory: 64 * 1024 * 1024,
        timeout: Duration::from_secs(4),
        instances: None,
        host: Arc::default(),
        logs: Arc::clone(&log) as Arc<dyn GuestLog>,
        cold_starts: ColdStarts::default(),
    };
    Setup { spec, log }
}

impl Setup {
    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.spec.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn argv(mut self, argv: &[&str]) -> Self {
        self.spec.argv = argv.iter().map(|&argument| argument.to_owned()).collect();
        self
    }

    pub(crate) fn memory(mut self, bytes: u64) -> Self {
        self.spec.memory = bytes;
        self
    }

    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.spec.timeout = timeout;
        self
    }

    pub(crate) fn instances(mut self, instances: Instances) -> Self {
        self.spec.instances = Some(instances);
        self
    }

    /// As an artifact that whoever deploys might not be able to read.
    pub(crate) fn unquoted(mut self) -> Self {
        self.spec.quotes_source = false;
        self
    }

    pub(crate) async fn try_deploy(self) -> Result<Deployed, Refusal> {
        self.try_deploy_to(&ENGINE).await
    }

    pub(crate) async fn try_deploy_to(self, engine: &WasmEngine) -> Result<Deployed, Refusal> {
        let cold_starts = self.spec.cold_starts.clone();
        let guest = engine.deploy(self.spec).await?;
        Ok(Deployed { guest, log: self.log, cold_starts })
    }

    pub(crate) async fn deploy(self) -> Deployed {
        self.try_deploy().await.unwrap()
    }

    pub(crate) async fn refusal(self) -> Refusal {
        self.try_deploy().await.unwrap_err()
    }
}

/// A call to `probe.subject` with four seconds of time.
pub(crate) fn call(payload: impl Into<Bytes>) -> Call {
    Call {
        subject: "probe.subject".to_owned(),
        payload: payload.into(),
        headers: Vec::new(),
        reply: None,
        deadline: Instant::now() + Duration::from_secs(4),
        stimulus: Stimulus::default(),
        scope: Scope::none(),
        early: None,
    }
}

pub(crate) fn call_within(time: Duration) -> Call {
    Call { deadline: Instant::now() + time, ..call("") }
}

impl Deployed {
    pub(crate) async fn call(&self, payload: impl Into<Bytes>) -> Result<Reply, CallError> {
        self.guest.call(call(payload)).await
    }

    /// The reply's payload; the call must succeed.
    pub(crate) async fn reply(&self, payload: impl Into<Bytes>) -> Bytes {
        self.call(payload).await.unwrap().payload
    }

    pub(crate) async fn text(&self, payload: impl Into<Bytes>) -> String {
        String::from_utf8(self.reply(payload).await.to_vec()).unwrap()
    }

    /// Message and detail of a call that must fail with 500.
    pub(crate) async fn failure(&self, payload: impl Into<Bytes>) -> (String, String) {
        match self.call(payload).await {
            Err(CallError::Failed { message, detail }) => (message, detail.unwrap_or_default()),
            other => panic!("expected a failure, got {other:?}"),
        }
    }
}

/// Every byte value, in order.
pub(crate) fn all_bytes() -> Vec<u8> {
    (0..=u8::MAX).collect()
}
