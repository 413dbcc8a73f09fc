//! The trace of one command that deploys: its root, and sending it before the command ends.
//!
//! Owns: that a collector which is away or wrong fails no command and holds none up for long. Never: decides
//! what the steps are.

use std::time::Duration;

use nex_sandbox::{OnFailure, Tasks};
use nex_telemetry::traces::{Collector, Kind, Parent, Resource, Scope, Span, Tracer, export};
use nex_types::Id;

use crate::args::{OtlpArgs, TraceArgs};
use crate::error::CliError;
use crate::ui;

/// How long a command waits for its spans to be sent.
const FLUSH_BOUND: Duration = Duration::from_secs(2);

/// A command that is traced, if anybody said where to.
#[derive(Debug)]
pub(crate) struct Trace {
    tracer: Tracer,
    tasks: Tasks,
    root: Span,
}

impl Trace {
    /// Begins it.
    pub(crate) fn begin(otlp: &OtlpArgs, traces: &TraceArgs, command: &'static str) -> Self {
        let tasks = Tasks::new();
        let tracer = tracer(otlp, traces, &tasks);
        let root = tracer.span(Kind::Internal, Parent::NONE, || command.to_owned());
        Self { tracer, tasks, root }
    }

    /// What the steps of the command are below.
    pub(crate) fn scope(&self) -> Scope {
        self.root.scope()
    }

    /// What is known of the command.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.root.set(name, value);
    }

    /// Does one step in a span of its own.
    pub(crate) async fn step<T>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, CliError>>,
    ) -> Result<T, CliError> {
        let mut span = self.scope().child(Kind::Internal, || name.to_owned());
        let outcome = work.await;
        if let Err(error) = &outcome {
            span.fail("error", &error.message);
        }
        outcome
    }

    /// Ends it with what came of the command, and waits a moment until it is sent.
    pub(crate) async fn end(self, outcome: &Result<(), CliError>) {
        let Self { tracer, tasks, mut root } = self;
        if let Err(error) = outcome {
            root.fail("error", &error.message);
        }
        drop(root);
        if tokio::time::timeout(FLUSH_BOUND, tracer.flush()).await.is_err() {
            tracing::warn!("the trace of this command was not sent in time");
        }
        tasks.shutdown(Duration::ZERO).await;
    }
}

fn tracer(otlp: &OtlpArgs, traces: &TraceArgs, tasks: &Tasks) -> Tracer {
    let collector = match otlp.settings() {
        Ok(None) => return Tracer::off(),
        Ok(Some(settings)) => Collector::new(&settings),
        Err(error) => Err(error),
    };
    let collector = match collector {
        Ok(collector) => collector,
        Err(error) => {
            ui::note(format_args!("note: this command is not traced: {error}"));
            return Tracer::off();
        }
    };
    let tracer = Tracer::on(traces.sample());
    if let Some(spans) = tracer.take_spans() {
        let resource = Resource {
            service: "nex-cli".to_owned(),
            instance: Id::random().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let exporting = export(spans, collector, resource);
        tasks.spawn_until(tasks.token(), "span exporter", OnFailure::Log, exporting);
    }
    tracer
}
