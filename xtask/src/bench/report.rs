//! The figures, as tables for people and as one JSON document for programs.
//!
//! Owns: medians, spreads and whether a target is met. Never: measures.

use std::fmt;
use std::time::Duration;

use nex_testkit::Nex;
use serde::Serialize;

use super::Candidate;
use super::measure::Sample;

/// The most that a deploy may take until the first answer.
const DEPLOY_TARGET_MS: f64 = 50.0;
/// The most that one idle function may take.
const FUNCTION_TARGET_BYTES: f64 = 200_000.0;

/// The plain responder and a function, measured one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub(super) plain: Sample,
    pub(super) other: Sample,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) n_pairs: usize,
    pub(super) functions: Vec<Function>,
    pub(super) deploys: Vec<Deploy>,
    pub(super) memory: Vec<Memory>,
    pub(super) bytes_per_function: f64,
}

/// One function against the plain responder.
#[derive(Debug, Serialize)]
pub(super) struct Function {
    title: &'static str,
    plain_p50_us: f64,
    p50_us: f64,
    plain_p99_us: f64,
    p99_us: f64,
    plain_per_second: f64,
    per_second: f64,
    sequential_ratio: Spread,
    sequential_target: Option<f64>,
    throughput_ratio: Spread,
    throughput_target: Option<f64>,
}

/// A median with the smallest and the largest value.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

/// Times from a deploy to the first answer.
#[derive(Debug, Serialize)]
pub(super) struct Deploy {
    title: &'static str,
    from_request_ms: Spread,
    from_command_ms: Spread,
    target_ms: f64,
}

/// Resident memory of the node's processes at one moment.
#[derive(Debug, Serialize)]
pub(super) struct Memory {
    when: String,
    processes: Vec<Resident>,
}

#[derive(Debug, Serialize)]
struct Resident {
    process: String,
    bytes: u64,
}

impl Function {
    pub(super) fn new(candidate: &Candidate, pairs: &[Pair]) -> Self {
        let of = |figure: &dyn Fn(&Pair) -> f64| Spread::of(pairs.iter().map(figure));
        Self {
            title: candidate.title,
            plain_p50_us: of(&|pair| micros(pair.plain.p50)).median,
            p50_us: of(&|pair| micros(pair.other.p50)).median,
            plain_p99_us: of(&|pair| micros(pair.plain.p99)).median,
            p99_us: of(&|pair| micros(pair.other.p99)).median,
            plain_per_second: of(&|pair| pair.plain.per_second).median,
            per_second: of(&|pair| pair.other.per_second).median,
            sequential_ratio: of(&|pair| micros(pair.other.p50) / micros(pair.plain.p50)),
            sequential_target: candidate.sequential,
            throughput_ratio: of(&|pair| pair.other.per_second / pair.plain.per_second),
            throughput_target: candidate.throughput,
        }
    }
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_by(f64::total_cmp);
        let at = |idx: usize| sorted.get(idx).copied().unwrap_or(f64::NAN);
        Self { median: at(sorted.len() / 2), min: at(0), max: at(sorted.len().saturating_sub(1)) }
    }
}

impl Deploy {
    pub(super) fn new(
        candidate: &Candidate,
        from_request: Vec<Duration>,
        from_command: Vec<Duration>,
    ) -> Self {
        let spread =
            |times: Vec<Duration>| Spread::of(times.into_iter().map(|time| micros(time) / 1e3));
        Self {
            title: candidate.title,
            from_request_ms: spread(from_request),
            from_command_ms: spread(from_command),
            target_ms: DEPLOY_TARGET_MS,
        }
    }
}

impl Memory {
    pub(super) fn read(when: &str, nex: &Nex) -> Self {
        let node = nex.id();
        let resident = |entry: nex_testkit::Entry| Resident {
            process: if entry.pid == node { "node".to_owned() } else { short(&entry.command) },
            bytes: entry.resident,
        };
        let processes = nex.processes().into_iter().map(resident).collect();
        Self { when: when.to_owned(), processes }
    }

    pub(super) fn growth_per(&self, before: &Self, n_functions: usize) -> f64 {
        let total = |memory: &Self| {
            memory.processes.iter().map(|process| process.bytes as f64).sum::<f64>()
        };
        (total(self) - total(before)) / n_functions.max(1) as f64
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_pairs = self.n_pairs;
        writeln!(
            f,
            "\nRequests of 128 bytes against a plain async-nats responder; medians of {n_pairs} interleaved pairs\n"
        )?;
        writeln!(
            f,
            "{:<24} {:>18} {:>18} {:>22} {:>8}",
            "one by one", "p50 µs (plain)", "p99 µs (plain)", "ratio (min–max)", "target"
        )?;
        for function in &self.functions {
            let p50 = format!("{:.0} ({:.0})", function.p50_us, function.plain_p50_us);
            let p99 = format!("{:.0} ({:.0})", function.p99_us, function.plain_p99_us);
            let ratio = function.sequential_ratio;
            let target = match function.sequential_target {
                Some(most) => format!("≤ {most} {}", tick(ratio.median <= most)),
                None => String::new(),
            };
            writeln!(
                f,
                "{:<24} {p50:>18} {p99:>18} {:>22} {target:>8}",
                function.title,
                ratio.to_string()
            )?;
        }
        writeln!(
            f,
            "\n{:<24} {:>18} {:>18} {:>22} {:>8}",
            "64 callers", "requests/s", "plain", "ratio (min–max)", "target"
        )?;
        for function in &self.functions {
            let ratio = function.throughput_ratio;
            let target = function.throughput_target.map_or_else(String::new, |least| {
                format!("≥ {least} {}", tick(ratio.median >= least))
            });
            let (own, plain) = (function.per_second, function.plain_per_second);
            writeln!(
                f,
                "{:<24} {own:>18.0} {plain:>18.0} {:>22} {target:>8}",
                function.title,
                ratio.to_string()
            )?;
        }
        self.write_deploys(f)?;
        self.write_memory(f)
    }
}

impl Report {
    fn write_deploys(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<24} {:>30} {:>30} {:>8}",
            "deploy to first answer",
            "ms from the deploy request",
            "ms from starting `nex run`",
            "target"
        )?;
        for deploy in &self.deploys {
            let met = tick(deploy.from_request_ms.median < deploy.target_ms);
            let target = format!("< {} {met}", deploy.target_ms);
            let (request, command) =
                (deploy.from_request_ms.to_string(), deploy.from_command_ms.to_string());
            writeln!(f, "{:<24} {request:>30} {command:>30} {target:>8}", deploy.title)?;
        }
        Ok(())
    }

    fn write_memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nresident memory, MB")?;
        for memory in &self.memory {
            let each = memory.processes.iter();
            let each = each
                .map(|resident| format!("{} {:.1}", resident.process, resident.bytes as f64 / 1e6));
            writeln!(f, "{:<24} {}", memory.when, each.collect::<Vec<_>>().join(" · "))?;
        }
        let met = tick(self.bytes_per_function < FUNCTION_TARGET_BYTES);
        let each = self.bytes_per_function / 1e3;
        writeln!(
            f,
            "{:<24} {each:.0} KB  < {:.0} {met}",
            "each further function",
            FUNCTION_TARGET_BYTES / 1e3
        )
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2}–{:.2})", self.median, self.min, self.max)
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn tick(met: bool) -> char {
    if met { '✓' } else { '✗' }
}

/// What a nexlet's command line says beyond the program: its first words.
fn short(command: &str) -> String {
    let words =
        command.split(' ').skip(1).filter(|word| !word.starts_with('-') && !word.contains('/'));
    let words: Vec<&str> = words.take(2).collect();
    if words.is_empty() {
        command.rsplit('/').next().unwrap_or(command).to_owned()
    } else {
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_median_between_its_ends() {
        let spread = Spread::of([3.0, 1.0, 2.0].into_iter());
        assert_eq!(spread.to_string(), "2.00 (1.00–3.00)");
    }

    #[test]
    fn nexlets_are_named_by_the_first_words_of_their_arguments() {
        assert_eq!(short("/a/target/release/nex nexlet javascript --node X"), "nexlet javascript");
        assert_eq!(short("/usr/bin/thing"), "thing");
    }
}
