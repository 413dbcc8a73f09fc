//! The W3C trace context: `traceparent` and `tracestate`, read from strangers and written for others.
//!
//! Owns: both forms. Never: decides whether a trace is kept.

use std::fmt;
use std::str;

use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

pub use nex_api::TRACEPARENT;
/// What vendors add to it; passed on as it came.
pub const TRACESTATE: &str = "tracestate";

/// Version 00; later versions may have more, which is not read.
const LENGTH: usize = 55;
const SAMPLED: u8 = 1;
/// What the standard says that everybody should pass on.
const LONGEST_STATE: usize = 512;

/// Which span of which trace, and whether the trace is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpanContext {
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
    is_sampled: bool,
}

impl SpanContext {
    /// Reads a `traceparent`; `None` for what is none.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = text.trim().as_bytes();
        let fields = bytes.get(..LENGTH)?;
        let is_split = [2, 35, 52].iter().all(|at| fields.get(*at) == Some(&b'-'));
        let [version] = hex::<1>(fields.get(..2)?)?;
        let is_end = match version {
            0 => bytes.len() == LENGTH,
            u8::MAX => false,
            _later => bytes.len() == LENGTH || bytes.get(LENGTH) == Some(&b'-'),
        };
        let trace_id = hex::<16>(fields.get(3..35)?)?;
        let span_id = hex::<8>(fields.get(36..52)?)?;
        let [flags] = hex::<1>(fields.get(53..)?)?;
        let is_set = trace_id != [0; 16] && span_id != [0; 8];
        (is_split && is_end && is_set).then_some(Self {
            trace_id,
            span_id,
            is_sampled: flags & SAMPLED != 0,
        })
    }

    /// A trace that begins here. `ratio`: which part of traces is kept.
    pub(crate) fn root(ratio: Ratio) -> Self {
        let ids = RandomIdGenerator::default();
        let trace_id = ids.new_trace_id().to_bytes();
        Self { trace_id, span_id: ids.new_span_id().to_bytes(), is_sampled: ratio.keeps(trace_id) }
    }

    /// Another span of this trace.
    pub(crate) fn child(self) -> Self {
        Self { span_id: RandomIdGenerator::default().new_span_id().to_bytes(), ..self }
    }

    /// Whether spans of the trace are kept.
    #[must_use]
    pub(crate) fn is_sampled(self) -> bool {
        self.is_sampled
    }
}

impl fmt::Display for SpanContext {
    /// As a `traceparent`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00-")?;
        self.trace_id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("-")?;
        self.span_id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, "-{:02x}", u8::from(self.is_sampled))
    }
}

/// A `tracestate` that may be passed on: short, and of characters that a header may hold.
pub(crate) fn state(text: &str) -> Option<&str> {
    let is_harmless = |byte: u8| (b' '..=b'~').contains(&byte);
    let is_fit = !text.is_empty() && text.len() <= LONGEST_STATE && text.bytes().all(is_harmless);
    is_fit.then_some(text)
}

/// Which part of the traces that begin here is kept, by their ids, so that all decide alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ratio {
    /// Those whose id is below are kept; ids are looked at with 63 bits, as other SDKs do.
    below: u64,
}

impl Ratio {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "between 0 and 2^63, and no more exact than a ratio is"
    )]
    pub(crate) fn new(ratio: f64) -> Self {
        let ratio = if ratio.is_nan() { 0.0 } else { ratio.clamp(0.0, 1.0) };
        Self { below: (ratio * (1_u64 << 63) as f64) as u64 }
    }

    fn keeps(self, trace_id: [u8; 16]) -> bool {
        let [_, _, _, _, _, _, _, _, low @ ..] = trace_id;
        u64::from_be_bytes(low) >> 1 < self.below
    }
}

/// `N` bytes of lower-case digits, as the standard wants them.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let is_lower = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    if text.len() != 2 * N || !text.iter().all(is_lower) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_written_as_it_was_read() {
        for text in [KEPT, &KEPT.replace("-01", "-00")] {
            assert_eq!(SpanContext::parse(text).unwrap().to_string(), text);
        }
        assert!(SpanContext::parse(KEPT).unwrap().is_sampled());
        // A later version may have more fields and flags.
        let later = KEPT.replacen("00", "01", 1).replace("-01", "-03-more");
        assert_eq!(SpanContext::parse(&later).unwrap().to_string(), KEPT);
    }

    #[test]
    fn what_is_no_traceparent_is_none() {
        let strange = "ü".repeat(40);
        let long = format!("{KEPT}-more");
        for text in [
            "",
            "00",
            &KEPT[..54],
            &long,
            &KEPT.to_uppercase(),
            &KEPT.replacen("00-", "ff-", 1),
            &KEPT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &KEPT.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &KEPT.replace('-', "_"),
            &KEPT.replace("4bf9", "+bf9"),
            &strange,
        ] {
            assert_eq!(SpanContext::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_state_that_a_header_cannot_hold_is_not_passed_on() {
        assert_eq!(state("vendor=1,other=2"), Some("vendor=1,other=2"));
        assert_eq!(state(&"x".repeat(LONGEST_STATE + 1)), None);
        assert_eq!(state("a=1\r\nNats-Msg-Id: 1"), None);
        assert_eq!(state(""), None);
    }

    #[test]
    fn a_ratio_keeps_that_part_of_traces() {
        let kept = |ratio| {
            let ratio = Ratio::new(ratio);
            (0..2000).filter(|_| SpanContext::root(ratio).is_sampled()).count()
        };
        assert_eq!((kept(0.0), kept(1.0), kept(f64::NAN), kept(7.0)), (0, 2000, 0, 2000));
        assert!((700..1300).contains(&kept(0.5)));
    }
}
