//! What the suite found.
//!
//! Owns: findings and their sum. Never: prints.

use serde::Serialize;

use super::{Complaint, Outcome};

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What the nexlet should do, as a sentence about it.
    pub check: &'static str,
    /// Whether it does.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// Whether a nexlet does what it should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "why", rename_all = "lowercase")]
pub enum Verdict {
    /// It does.
    Passed,
    /// It works, but could be better.
    Advice(String),
    /// Nodes and clients would stumble over it.
    Failed(String),
    /// It could not be looked at.
    Skipped(String),
}

impl Finding {
    pub(super) fn of(check: &'static str, outcome: Outcome) -> Self {
        let verdict = match outcome {
            Ok(()) => Verdict::Passed,
            Err(Complaint::Advice(what)) => Verdict::Advice(what),
            Err(Complaint::Wrong(what)) => Verdict::Failed(what),
            Err(Complaint::Skipped(what)) => Verdict::Skipped(what),
        };
        Self { check, verdict }
    }
}

/// All findings, and what the nexlet printed last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In the order of the checks.
    pub findings: Vec<Finding>,
    /// The last lines of its standard output and error.
    pub output: Vec<String>,
}

impl Report {
    /// Whether nothing is wrong; advice is no failure.
    #[must_use]
    pub fn is_good(&self) -> bool {
        !self.findings.iter().any(|finding| matches!(finding.verdict, Verdict::Failed(_)))
    }
}
