//! Flags that say how metrics leave a node.
//!
//! Owns: names, help texts, and what an address may look like. Never: listens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use nex_node::MetricsExport;

use super::OtlpArgs;
use crate::error::CliError;

/// In milliseconds; other programs share the variable, and some send more often.
const SHORTEST: u64 = 1000;

/// Where and how often.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct MetricsArgs {
    /// Answer Prometheus at /metrics of this address; port 0 takes a free one
    #[arg(long, env = "NEX_METRICS", value_name = "ADDRESS", value_parser = address)]
    metrics: Option<SocketAddr>,
    /// How often metrics are sent to the collector, in milliseconds [default: 10000]
    #[arg(
        long,
        env = "OTEL_METRIC_EXPORT_INTERVAL",
        value_name = "MILLISECONDS",
        value_parser = clap::value_parser!(u64).range(1..=3_600_000),
        hide_short_help = true
    )]
    otlp_interval: Option<u64>,
}

impl MetricsArgs {
    /// What the node is told.
    pub(crate) fn export(&self, otlp: &OtlpArgs) -> Result<MetricsExport, CliError> {
        let every = Duration::from_millis(self.otlp_interval.unwrap_or(10_000).max(SHORTEST));
        let settings = otlp.settings().map_err(|error| {
            let hint = "name a collector's base URL, as: --otlp http://127.0.0.1:4318   and headers in the \
                        variable OTEL_EXPORTER_OTLP_HEADERS, as: name=value,name=value";
            CliError::usage(error.to_string()).hint(hint)
        })?;
        Ok(MetricsExport { listen: self.metrics, otlp: settings.map(|settings| (settings, every)) })
    }
}

/// An address with a port; a port alone, and `localhost`, are of this machine.
fn address(text: &str) -> Result<SocketAddr, String> {
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let port = text.strip_prefix("localhost:").unwrap_or(text);
    if let Ok(port) = port.parse() {
        return Ok(SocketAddr::new(local, port));
    }
    let wanted = "an IP address with a port, such as 127.0.0.1:9464, [::]:9464 or 0.0.0.0:0";
    text.parse().map_err(|_| wanted.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_of_this_machine() {
        let parsed = |text| address(text).map(|address| address.to_string());
        for text in ["9464", "localhost:9464", "127.0.0.1:9464"] {
            assert_eq!(parsed(text).as_deref(), Ok("127.0.0.1:9464"), "{text}");
        }
        assert_eq!(parsed("[::]:0").as_deref(), Ok("[::]:0"));
        for text in ["", ":9464", "127.0.0.1", "example.com:9464", "http://127.0.0.1:1", "70000"] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }
}
