//! Measures the engine alone, on one thread: `cargo run --release -p nex-runtime --example measure`.
//!
//! Owns: the figures of section 8 of the functions' specification that need no NATS. Never: a test; a
//! noisy machine fails nobody.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nex_functions::Scope;
use nex_functions::runtime::{
    Call, ColdStarts, Engine, Guest, GuestLog, GuestSpec, Instances, Language, Level,
    SourceLanguage, Stimulus,
};
use nex_runtime::{EngineConfig, WasmEngine};

const JS_ECHO: &str = "(subject, payload) => payload";
const JS_JSON: &str =
    "export default (subject, payload, ctx) => ({ n: payload.length, h: ctx.headers.get('a') })";
const JS_WAIT: &str = "async () => { await scheduler.wait(0); return 'x' }";
const JS_FIB: &str = "const fib = (n) => n < 2 ? n : fib(n - 1) + fib(n - 2); () => fib(27)";
const REACTOR: &str = include_str!("../../../examples/reactor.wat");
const COMPONENT: &[u8] = include_bytes!("../../../examples/component-rust.wasm");
const COMPONENT_C: &[u8] = include_bytes!("../../../examples/component-c.wasm");
const COMPONENT_COMMAND: &[u8] = include_bytes!("../../../examples/component-command.wasm");
const COMMAND: &[u8] = include_bytes!("../../../examples/wasm-echo.wasm");

#[derive(Debug)]
struct Silent;

impl GuestLog for Silent {
    fn line(&self, _level: Level, _line: &str) {}
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cache = std::env::temp_dir().join("nex-measure-code");
    let config = || EngineConfig { cache_dir: Some(cache.clone()), ..EngineConfig::default() };
    let start = Instant::now();
    drop(WasmEngine::new(config())?);
    println!("engine, cache as it was   {:>9.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let start = Instant::now();
    let engine = WasmEngine::new(config())?;
    println!("engine, cache filled      {:>9.1} ms", start.elapsed().as_secs_f64() * 1e3);

    println!("\n{:<26}{:>9}{:>9}{:>9}{:>9}  µs", "", "p50", "p90", "p99", "max");
    for (name, instances) in [("reused", Instances::Reuse), ("fresh", Instances::Fresh)] {
        for (shape, n, spec) in [
            ("reactor", 20_000, wasm(REACTOR.as_bytes())),
            ("component, Rust", 20_000, wasm(COMPONENT)),
            ("component, C", 20_000, wasm(COMPONENT_C)),
            ("JavaScript echo", 10_000, javascript(JS_ECHO)),
            ("JavaScript JSON", 10_000, javascript(JS_JSON)),
            ("JavaScript wait(0)", 500, javascript(JS_WAIT)),
        ] {
            let guest = deploy(&engine, GuestSpec { instances: Some(instances), ..spec }).await?;
            report(&format!("{shape}, {name}"), &times(n, || call(&*guest)).await);
        }
    }
    let command = deploy(&engine, wasm(COMMAND)).await?;
    report("WASI p1 command", &times(10_000, || call(&*command)).await);
    let command = deploy(&engine, wasm(COMPONENT_COMMAND)).await?;
    report("WASI command component", &times(10_000, || call(&*command)).await);
    let fib = deploy(&engine, javascript(JS_FIB)).await?;
    report("JavaScript fib(27)", &times(20, || call(&*fib)).await);
    deploys(&engine).await?;
    deadlines(&engine).await
}

async fn deploys(engine: &WasmEngine) -> Result<(), Box<dyn std::error::Error>> {
    let large: String =
        (0..2000).map(|n| format!("function f{n}(x) {{ return x + {n} }}\n")).collect();
    let large = format!("{large}(subject, payload) => payload");
    report(
        "deploy JavaScript echo",
        &times(300, || deploy_once(engine, javascript(JS_ECHO))).await,
    );
    report("deploy 2,000 functions", &times(30, || deploy_once(engine, javascript(&large))).await);
    report(
        "deploy reactor, cached",
        &times(300, || deploy_once(engine, wasm(REACTOR.as_bytes()))).await,
    );
    report("deploy component, cached", &times(100, || deploy_once(engine, wasm(COMPONENT))).await);
    report("deploy command, cached", &times(100, || deploy_once(engine, wasm(COMMAND))).await);
    let guest = deploy(engine, javascript(JS_ECHO)).await?;
    println!("\n{guest:?}");
    let guest = deploy(engine, javascript(&large)).await?;
    println!("{guest:?}");
    let before = resident();
    let mut kept = Vec::new();
    for _ in 0..1000 {
        kept.push(deploy(engine, javascript(JS_ECHO)).await?);
    }
    println!("1,000 idle functions: {} KiB each", (resident() - before) / 1000);
    Ok(())
}

async fn deadlines(engine: &WasmEngine) -> Result<(), Box<dyn std::error::Error>> {
    let endless = deploy(engine, javascript("() => { for (;;) {} }")).await?;
    let stop = || async {
        let deadline = Instant::now() + Duration::from_millis(50);
        drop(endless.call(Call { deadline, ..message() }).await);
    };
    report("endless loop, 50 ms", &times(20, stop).await);
    Ok(())
}

async fn deploy_once(engine: &WasmEngine, spec: GuestSpec) {
    drop(deploy(engine, spec).await.expect("it was deployed before"));
}

async fn call(guest: &dyn Guest) {
    drop(guest.call(message()).await.expect("the guests of this file answer"));
}

fn message() -> Call {
    Call {
        subject: "measure.subject".to_owned(),
        payload: Bytes::from_static(&[b'x'; 128]),
        headers: Vec::new(),
        reply: None,
        deadline: Instant::now() + Duration::from_secs(4),
        stimulus: Stimulus::default(),
        scope: Scope::none(),
        early: None,
    }
}

/// Sorted, without the first tenth, which warms up.
async fn times<F: Future<Output = ()>>(n: usize, mut work: impl FnMut() -> F) -> Vec<Duration> {
    let mut times = Vec::with_capacity(n);
    for _ in 0..n {
        let start = Instant::now();
        work().await;
        times.push(start.elapsed());
    }
    times.drain(..n / 10);
    times.sort();
    times
}

fn report(name: &str, times: &[Duration]) {
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6;
    println!("{name:<26}{:>9.1}{:>9.1}{:>9.1}{:>9.1}", at(50), at(90), at(99), at(100));
}

async fn deploy(
    engine: &WasmEngine,
    spec: GuestSpec,
) -> Result<Arc<dyn Guest>, Box<dyn std::error::Error>> {
    Ok(engine.deploy(spec).await?)
}

fn javascript(source: &str) -> GuestSpec {
    spec(Language::JavaScript, source.as_bytes())
}

fn wasm(source: &[u8]) -> GuestSpec {
    spec(Language::Wasm, source)
}

fn spec(language: Language, source: &[u8]) -> GuestSpec {
    GuestSpec {
        name: "measure".to_owned(),
        language,
        source_language: SourceLanguage::JavaScript,
        quotes_source: true,
        source: Bytes::copy_from_slice(source),
        environment: BTreeMap::new(),
        argv: Vec::new(),
        memory: 64 * 1024 * 1024,
        timeout: Duration::from_secs(4),
        instances: None,
        host: Arc::default(),
        logs: Arc::new(Silent),
        cold_starts: ColdStarts::default(),
    }
}

/// KiB of memory that this process has.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}
