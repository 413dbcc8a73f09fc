//! Flags that say which traces are kept.
//!
//! Owns: their names and variables, which are OpenTelemetry's. Never: makes a span.

use clap::Args;

/// How many.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TraceArgs {
    /// Part of the traces that begin here which is sent, 0 to 1; of others' what those send [default: 1, or
    /// what OTEL_TRACES_SAMPLER_ARG says]
    #[arg(long, value_name = "RATIO", value_parser = ratio)]
    trace_sample: Option<f64>,
}

impl TraceArgs {
    /// Which part of traces is sent.
    pub(crate) fn sample(&self) -> f64 {
        self.trace_sample.or_else(of_variable).unwrap_or(1.0)
    }
}

/// Other programs share the variable, and samplers that Nex has not put other things there: what is no ratio
/// is passed over.
fn of_variable() -> Option<f64> {
    ratio(std::env::var_os("OTEL_TRACES_SAMPLER_ARG")?.to_str()?).ok()
}

fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| "a number from 0 to 1, such as 0.1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_between_nothing_and_all() {
        assert_eq!((ratio("0"), ratio("0.25"), ratio("1.0")), (Ok(0.0), Ok(0.25), Ok(1.0)));
        for text in ["", "-0.1", "1.1", "NaN", "parentbased"] {
            assert!(ratio(text).is_err(), "{text}");
        }
    }
}
