//! Figures with absolute targets, as a table and as JSON.
//!
//! Owns: medians, spreads, targets, and on which machine it was. Never: measures.

use std::fmt;
use std::fs;
use std::time::Duration;

use serde::Serialize;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    title: &'static str,
    machine: String,
    rows: Vec<Row>,
}

/// One figure; its unit stands in its name.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    what: String,
    n: usize,
    p50: f64,
    p90: f64,
    min: f64,
    max: f64,
    target: Option<f64>,
}

impl Table {
    pub(super) fn new(title: &'static str, rows: Vec<Row>) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let kernel = read("/proc/sys/kernel/osrelease");
        let load = read("/proc/loadavg");
        let load = load.split(' ').next().unwrap_or_default();
        let machine = format!("{cores} cores, Linux {}, load {load} at the end", kernel.trim());
        Self { title, machine, rows }
    }
}

impl Row {
    pub(super) fn new(what: &str, mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let idx = (values.len() * percent / 100).min(values.len().saturating_sub(1));
            values.get(idx).copied().unwrap_or(f64::NAN)
        };
        Self {
            what: what.to_owned(),
            n: values.len(),
            p50: at(50),
            p90: at(90),
            min: at(0),
            max: at(100),
            target: None,
        }
    }

    /// The median should be below this.
    pub(super) fn below(self, most: f64) -> Self {
        Self { target: Some(most), ..self }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}\n", self.machine)?;
        let title = self.title;
        writeln!(
            f,
            "{title:<52} {:>4} {:>8} {:>8} {:>18} {:>9}",
            "n", "p50", "p90", "min–max", "target"
        )?;
        for Row { what, n, p50, p90, min, max, target } in &self.rows {
            let spread = format!("{min:.2}–{max:.2}");
            let target = target.map_or_else(String::new, |most| {
                format!("< {most} {}", if *p50 < most { '✓' } else { '✗' })
            });
            writeln!(f, "{what:<52} {n:>4} {p50:>8.2} {p90:>8.2} {spread:>18} {target:>9}")?;
        }
        Ok(())
    }
}

pub(super) fn millis(times: Vec<Duration>) -> Vec<f64> {
    times.into_iter().map(|time| time.as_secs_f64() * 1e3).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_its_median_its_ends_and_its_verdict() {
        let row = Row::new("things, ms", vec![3.0, 1.0, 2.0]).below(2.5);
        assert_eq!((row.p50, row.min, row.max), (2.0, 1.0, 3.0));
        let table = Table { title: "all", machine: "this".to_owned(), rows: vec![row] };
        let table = table.to_string();
        assert!(table.contains("1.00–3.00") && table.contains("< 2.5 ✓"), "{table}");
    }
}
