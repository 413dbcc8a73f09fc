//! One workload that is looked at closely: its facts, its last lines, its events.
//!
//! Owns: how much of them is kept. Never: reads them; see `feed`.

use std::collections::VecDeque;
use std::sync::Arc;

use nex_api::workload::WorkloadSummary;
use nex_client::{EventLine, LogRecord};
use serde_json::Value;

use super::screen::text::clean;
use crate::commands::logs::keep_last;

/// Lines and events that are kept; older ones are let go.
const MOST_LINES: usize = 1_000;
const MOST_EVENTS: usize = 100;
/// Characters of a line or an event; the rest is cut.
const LONGEST: usize = 4_000;

/// What came of it.
#[derive(Debug, Clone)]
pub(super) enum Told {
    Line(Line),
    Event(Happening),
    /// Nothing older of lines is kept, and why.
    NoLines(String),
    /// Likewise of events.
    NoEvents(String),
}

/// One line of its log, without control codes.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// The time of day.
    pub(super) time: String,
    pub(super) level: String,
    pub(super) text: String,
}

/// One event, without control codes.
#[derive(Debug, Clone)]
pub(super) struct Happening {
    pub(super) time: String,
    pub(super) kind: String,
    pub(super) text: String,
}

#[derive(Debug)]
pub(super) struct Detail {
    pub(super) workload: Arc<WorkloadSummary>,
    /// The last look at the lists did not find it.
    pub(super) is_gone: bool,
    pub(super) lines: VecDeque<Line>,
    pub(super) events: VecDeque<Happening>,
    pub(super) no_lines: Option<String>,
    pub(super) no_events: Option<String>,
    /// How many of the newest lines lie below the screen.
    pub(super) scroll: usize,
}

impl Detail {
    pub(super) fn of(workload: Arc<WorkloadSummary>) -> Self {
        let (lines, events) = (VecDeque::new(), VecDeque::new());
        Self { workload, is_gone: false, lines, events, no_lines: None, no_events: None, scroll: 0 }
    }

    pub(super) fn id(&self) -> &str {
        &self.workload.id
    }

    pub(super) fn seen(&mut self, workload: Option<&Arc<WorkloadSummary>>) {
        self.is_gone = workload.is_none();
        if let Some(workload) = workload {
            self.workload = Arc::clone(workload);
        }
    }

    pub(super) fn tell(&mut self, told: Told) {
        match told {
            Told::Line(line) => {
                keep_last(&mut self.lines, line, MOST_LINES);
                if self.scroll > 0 {
                    // Whoever reads older lines goes on reading them.
                    self.scroll_up(1);
                }
            }
            Told::Event(event) => keep_last(&mut self.events, event, MOST_EVENTS),
            Told::NoLines(why) => self.no_lines = Some(why),
            Told::NoEvents(why) => self.no_events = Some(why),
        }
    }

    pub(super) fn scroll_up(&mut self, n_lines: usize) {
        self.scroll = (self.scroll + n_lines).min(self.lines.len().saturating_sub(1));
    }

    pub(super) fn scroll_down(&mut self, n_lines: usize) {
        self.scroll = self.scroll.saturating_sub(n_lines);
    }
}

impl Line {
    pub(super) fn of(record: &LogRecord) -> Self {
        let text = String::from_utf8_lossy(&record.bytes);
        let text: String = text.chars().take(LONGEST).collect();
        let level = clean(&record.level);
        Self { time: time_of_day(record.time), level, text: clean(&text) }
    }
}

impl Happening {
    /// None when it is of another workload.
    pub(super) fn of(event: &EventLine, id: &str) -> Option<Self> {
        if event.payload.get("id").and_then(Value::as_str) != Some(id) {
            return None;
        }
        let text: String = words(&event.payload).chars().take(LONGEST).collect();
        Some(Self { time: time_of_day(event.time), kind: clean(&event.kind), text: clean(&text) })
    }
}

/// What an event tells beside whose it is.
fn words(payload: &Value) -> String {
    let metadata = payload.get("metadata").and_then(Value::as_object);
    let error = payload.get("error").and_then(Value::as_object);
    let fields = error.into_iter().chain(metadata).flatten();
    let words = fields.filter_map(|(key, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (!value.is_empty()).then(|| format!("{key}={value}"))
    });
    words.collect::<Vec<_>>().join(" ")
}

/// `12:34:56`, as UTC.
fn time_of_day(time: nex_api::Time) -> String {
    time.to_seconds_text().get(11..19).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(text: &str) -> Told {
        let record = LogRecord {
            namespace: "a".to_owned(),
            workload_id: "w".to_owned(),
            name: None,
            node_id: None,
            stream: "stdout".to_owned(),
            level: "info".to_owned(),
            time: nex_api::Time::parse("2026-01-01T12:34:56.7Z").unwrap(),
            bytes: text.as_bytes().to_vec(),
        };
        Told::Line(Line::of(&record))
    }

    fn detail() -> Detail {
        Detail::of(Arc::new(WorkloadSummary::default()))
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let mut detail = detail();
        (0..MOST_LINES + 5).for_each(|n| detail.tell(line(&n.to_string())));
        assert_eq!(detail.lines.len(), MOST_LINES);
        assert_eq!(detail.lines.front().unwrap().text, "5");
    }

    #[test]
    fn who_reads_older_lines_goes_on_reading_them() {
        let mut detail = detail();
        (0..10).for_each(|n| detail.tell(line(&n.to_string())));
        detail.scroll_up(3);
        detail.tell(line("new"));
        assert_eq!(detail.scroll, 4);
        detail.scroll_down(100);
        detail.tell(line("newer"));
        assert_eq!(detail.scroll, 0);
    }

    #[test]
    fn lines_cannot_steer_a_terminal_and_are_cut() {
        let Told::Line(line) = line(&format!("\u{1b}[2J\t{}", "x".repeat(10_000))) else {
            panic!()
        };
        assert!(line.text.starts_with("\u{fffd}[2J    xxx") && line.text.len() < 5_000);
        assert_eq!(line.time, "12:34:56");
    }

    #[test]
    fn events_of_other_workloads_are_not_its_own() {
        let event = |payload: Value| EventLine {
            time: nex_api::Time::default(),
            from: "a".to_owned(),
            kind: "WORKLOADSTOPPED".to_owned(),
            payload,
        };
        let payload =
            json!({"id": "w", "metadata": {"exit": "1"}, "error": {"code": "1", "message": ""}});
        let happening = Happening::of(&event(payload), "w").unwrap();
        assert_eq!(happening.text, "code=1 exit=1");
        assert!(Happening::of(&event(json!({"id": "v"})), "w").is_none());
        assert!(Happening::of(&event(json!("text")), "w").is_none());
    }
}
