//! Flags that say where metrics and traces go.
//!
//! Owns: their names and variables, which are OpenTelemetry's. Never: sends anything.

use std::env::var_os;

use clap::Args;
use nex_telemetry::OtlpSettings;
use nex_telemetry::otlp;

/// What is sent along to be let in; a secret, so it has no flag.
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// The collector.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct OtlpArgs {
    /// OpenTelemetry collector to send to by OTLP over HTTP, as http://127.0.0.1:4318
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", hide_env_values = true, value_name = "URL")]
    otlp: Option<String>,
}

impl OtlpArgs {
    /// Where to send; `None` when nobody says so.
    pub(crate) fn settings(&self) -> Result<Option<OtlpSettings>, otlp::Error> {
        let Some(endpoint) = self.otlp.as_deref().filter(|it| !it.trim().is_empty()) else {
            return Ok(None);
        };
        let headers = var_os(HEADERS).map(|headers| headers.to_string_lossy().into_owned());
        OtlpSettings::parse(endpoint, headers.as_deref()).map(Some)
    }
}
