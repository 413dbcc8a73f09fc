//! What happens while a file is worked on, in words and in JSON.
//!
//! Owns: the sentences. Never: prints, or decides what is shown.

use std::time::Duration;

use nex_types::ByteSize;
use serde::Serialize;

use crate::error::CliError;
use crate::ui;

/// Bytes of a payload that are shown; the rest is counted.
const MOST_SHOWN: usize = 4096;
/// Lines of a reply that are shown.
const MOST_LINES: usize = 30;
/// Characters of a call that are shown; its reply is what matters.
const CALL_WIDTH: usize = 160;

/// One happening; in JSON `what` says which.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(super) enum Happening {
    Deployed(Deployed),
    /// This very version ran before.
    AlreadyRunning {
        name: String,
        id: String,
        /// Which version of ours it is; none when it ran before.
        version: Option<u32>,
    },
    NotDeployed(NotDeployed),
    FileGone {
        file: String,
    },
    Call(Call),
    Reply {
        milliseconds: f64,
        payload: Payload,
    },
    CallFailed {
        milliseconds: f64,
        error: String,
        code: Option<String>,
        detail: Option<String>,
    },
    /// Calls that came too fast to be shown.
    CallsNotShown {
        calls: u64,
    },
    /// What the function counted since it told last.
    Counted {
        calls: u64,
        failed: u64,
        seconds: f64,
        half_within_milliseconds: Option<f64>,
    },
    Log {
        level: String,
        stream: String,
        id: String,
        payload: Payload,
    },
    Ended {
        name: String,
        id: String,
        why: Option<String>,
        starts_again: bool,
    },
    /// What is only for people at a terminal.
    Remark {
        text: String,
    },
    Removed {
        name: String,
        ids: Vec<String>,
    },
}

/// A version runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Deployed {
    pub(super) name: String,
    pub(super) version: u32,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) lifecycle: String,
    pub(super) workloads: Vec<Copy>,
    pub(super) replaced: usize,
    #[serde(skip)]
    pub(super) replaces_others: bool,
    /// Since the file was saved; of the first version since the deploy began.
    pub(super) milliseconds: f64,
    pub(super) warnings: Vec<String>,
}

/// One of its copies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Copy {
    pub(super) id: String,
    pub(super) node: String,
}

/// A version that does not run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct NotDeployed {
    pub(super) error: String,
    pub(super) code: Option<String>,
    pub(super) detail: Option<String>,
    pub(super) hint: Option<String>,
    /// The version that goes on, if there is one.
    pub(super) still: Option<u32>,
}

impl NotDeployed {
    pub(super) fn new(error: CliError, still: Option<u32>) -> Self {
        let CliError { message, code, detail, hint, .. } = error;
        Self { error: message, code, detail, hint, still }
    }
}

/// A call that was made or seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Call {
    pub(super) subject: String,
    /// Whether it was made here.
    pub(super) ours: bool,
    pub(super) payload: Payload,
}

/// Bytes as they can be shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Payload {
    bytes: usize,
    /// Their beginning; none when they are no text.
    text: Option<String>,
}

impl Payload {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let cut = bytes.get(..MOST_SHOWN).unwrap_or(bytes);
        // A cut may go through a character.
        let text = match std::str::from_utf8(cut) {
            Ok(text) => Some(text),
            Err(error) if cut.len() < bytes.len() && error.error_len().is_none() => {
                cut.get(..error.valid_up_to()).and_then(|cut| std::str::from_utf8(cut).ok())
            }
            Err(_) => None,
        };
        Self { bytes: bytes.len(), text: text.map(str::to_owned) }
    }

    /// Its beginning on one line.
    fn brief(&self) -> String {
        let Some(text) = &self.text else { return "(no text)".to_owned() };
        let mut chars = text.chars();
        let brief: String =
            chars.by_ref().take(CALL_WIDTH).map(|c| if c == '\n' { ' ' } else { c }).collect();
        let is_cut = chars.next().is_some() || self.is_cut();
        if is_cut { format!("{brief}…") } else { brief }
    }

    fn lines(&self) -> Vec<String> {
        let Some(text) = &self.text else { return vec!["(no text)".to_owned()] };
        let mut all = text.lines();
        let mut lines: Vec<String> = all.by_ref().take(MOST_LINES).map(str::to_owned).collect();
        if all.next().is_some() || self.is_cut() {
            lines.push("… nex call prints all of it".to_owned());
        }
        lines
    }

    fn is_cut(&self) -> bool {
        self.text.as_ref().is_some_and(|text| text.len() < self.bytes)
    }

    fn size(&self) -> ByteSize {
        ByteSize(self.bytes as u64)
    }
}

/// A happening as people read it: a mark with its colour, and lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) mark: &'static str,
    pub(super) colour: &'static str,
    pub(super) lines: Vec<String>,
}

impl Words {
    fn new(mark: &'static str, colour: &'static str, lines: Vec<String>) -> Self {
        Self { mark, colour, lines }
    }

    fn one(mark: &'static str, colour: &'static str, line: String) -> Self {
        Self::new(mark, colour, vec![line])
    }
}

impl Happening {
    /// What is said of it; strangers' text is not made harmless yet.
    pub(super) fn words(&self) -> Words {
        match self {
            Self::Deployed(deployed) => Words::new("✓", ui::GREEN, deployed.lines()),
            Self::AlreadyRunning { name, id, version } => {
                let text = match version {
                    Some(version) => format!("the file is version {version} again, which runs"),
                    None => format!("{name} runs already, just so ({id}), and stays at the end"),
                };
                Words::one("✓", ui::GREEN, text)
            }
            Self::NotDeployed(not) => Words::new("✗", ui::RED, not.lines()),
            Self::FileGone { file } => {
                Words::one("·", ui::YELLOW, format!("{file} is not there; waiting for it"))
            }
            Self::Call(call) => {
                let (subject, payload) = (&call.subject, &call.payload);
                let by = if call.ours { "" } else { " from elsewhere" };
                let text = format!("{subject}  {}{by}  {}", payload.size(), payload.brief());
                Words::one("→", ui::CYAN, text)
            }
            Self::Reply { milliseconds, payload } => {
                let mut lines = payload.lines();
                let head = format!("{} in {}", payload.size(), ms(*milliseconds));
                match lines.as_mut_slice() {
                    [only] => *only = format!("{head}  {only}"),
                    _ => lines.insert(0, head),
                }
                Words::new("←", ui::GREEN, lines)
            }
            Self::CallFailed { milliseconds, error, code, detail } => {
                let mut lines =
                    message(&format!("{error}, after {}", ms(*milliseconds)), code.as_deref());
                lines.extend(detail.iter().flat_map(|detail| detail.lines()).map(str::to_owned));
                Words::new("✗", ui::RED, lines)
            }
            Self::CallsNotShown { calls } => {
                Words::one("→", ui::CYAN, format!("… and {calls} more from elsewhere"))
            }
            Self::Counted { .. } => Words::one("·", ui::CYAN, self.counted()),
            Self::Log { level, payload, .. } => {
                let (word, colour) = match level.as_str() {
                    "error" => ("error ", ui::RED),
                    "warn" => ("warn ", ui::YELLOW),
                    _ => ("", "2"),
                };
                let mut lines = payload.lines();
                if let Some(first) = lines.first_mut() {
                    first.insert_str(0, word);
                }
                Words::new("│", colour, lines)
            }
            Self::Ended { name, why, starts_again, .. } => {
                let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                let next = match starts_again {
                    true => "it is started again",
                    false => "save the file to deploy it again",
                };
                Words::one("✗", ui::YELLOW, format!("{name} ended{why}; {next}"))
            }
            Self::Remark { text } => Words::one("·", ui::CYAN, text.clone()),
            Self::Removed { name, ids } => {
                let text = match ids.len() {
                    1 => format!("{name} stopped"),
                    n => format!("{name} stopped, {n} copies"),
                };
                Words::one("✓", ui::GREEN, text)
            }
        }
    }

    fn counted(&self) -> String {
        let Self::Counted { calls, failed, seconds, half_within_milliseconds } = self else {
            return String::new();
        };
        let noun = if *calls == 1 { "call" } else { "calls" };
        let digits = usize::from(*seconds < 1.0);
        let mut text = format!("{calls} {noun} from elsewhere in {seconds:.digits$} s");
        if let Some(half) = half_within_milliseconds {
            text.push_str(&format!(", half of all within {}", ms(*half)));
        }
        if *failed > 0 {
            text.push_str(&format!(", {failed} failed"));
        }
        text
    }
}

impl Deployed {
    fn lines(&self) -> Vec<String> {
        let Self { name, version, kind, lifecycle, workloads, replaced, replaces_others, .. } =
            self;
        let elapsed = ms(self.milliseconds);
        let mut lines = Vec::new();
        if *version == 1 {
            for Copy { id, node } in workloads {
                let how = format!("{kind} {lifecycle} {id} on node {node}");
                lines.push(format!("{name} deployed as {how} in {elapsed}"));
            }
        } else {
            let does = if lifecycle == "function" { "answers" } else { "runs" };
            lines.push(format!("version {version} {does}, {elapsed} after the save"));
        }
        if *replaces_others && *replaced > 0 {
            lines.push(format!(
                "in place of {replaced} that ran before, which will not come back at the end"
            ));
        }
        lines.extend(self.warnings.iter().map(|warning| format!("warning: {warning}")));
        lines
    }
}

impl NotDeployed {
    fn lines(&self) -> Vec<String> {
        let mut lines = message(&self.error, self.code.as_deref());
        let detail = self.detail.iter().flat_map(|detail| detail.lines());
        lines.extend(detail.map(|line| format!("  {line}")));
        lines.extend(self.hint.iter().map(|hint| format!("hint: {hint}")));
        lines.push(match self.still {
            Some(version) => format!("version {version} goes on"),
            None => "nothing runs yet; it is tried again at the next save".to_owned(),
        });
        lines
    }
}

fn message(text: &str, code: Option<&str>) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if let (Some(first), Some(code)) = (lines.first_mut(), code) {
        first.push_str(&format!(" [{code}]"));
    }
    lines
}

/// So many milliseconds, with as many digits as mean something.
fn ms(millis: f64) -> String {
    match millis {
        small if small < 10.0 => format!("{small:.2} ms"),
        many if many < 10_000.0 => format!("{many:.0} ms"),
        long => format!("{:.1} s", long / 1000.0),
    }
}

/// For JSON: hundredths of a millisecond.
pub(super) fn milliseconds(elapsed: Duration) -> f64 {
    hundredths(elapsed.as_secs_f64())
}

/// Seconds, likewise.
pub(super) fn hundredths(seconds: f64) -> f64 {
    (seconds * 100_000.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(happening: &Happening) -> String {
        let words = happening.words();
        format!("{} {}", words.mark, words.lines.join("\n"))
    }

    fn payload(text: &str) -> Payload {
        Payload::of(text.as_bytes())
    }

    fn deployed(version: u32) -> Deployed {
        Deployed {
            name: "echo".to_owned(),
            version,
            kind: "javascript".to_owned(),
            lifecycle: "function".to_owned(),
            workloads: vec![Copy { id: "W1".to_owned(), node: "swift-otter".to_owned() }],
            replaced: 1,
            replaces_others: version == 1,
            milliseconds: 41.234,
            warnings: Vec::new(),
        }
    }

    #[test]
    fn versions_are_told_with_their_times() {
        assert_eq!(
            said(&Happening::Deployed(deployed(1))),
            "✓ echo deployed as javascript function W1 on node swift-otter in 41 ms\n\
             in place of 1 that ran before, which will not come back at the end"
        );
        let second = Happening::Deployed(deployed(2));
        assert_eq!(said(&second), "✓ version 2 answers, 41 ms after the save");
        let json = serde_json::to_value(&second).unwrap();
        assert_eq!((&json["what"], &json["version"]), (&"deployed".into(), &2.into()));
        assert_eq!(json["type"], "javascript");
    }

    #[test]
    fn a_refusal_shows_the_source_and_what_goes_on() {
        let error = CliError::other("echo.js:1:9: SyntaxError: x")
            .detail("let x = ;\n        ^")
            .hint("mend it");
        let error = CliError { code: Some("NEX-210".to_owned()), ..error };
        let says = said(&Happening::NotDeployed(NotDeployed::new(error.clone(), Some(3))));
        assert_eq!(
            says,
            "✗ echo.js:1:9: SyntaxError: x [NEX-210]\n  let x = ;\n          ^\nhint: mend it\nversion 3 goes on"
        );
        let first = said(&Happening::NotDeployed(NotDeployed::new(error, None)));
        assert!(first.ends_with("nothing runs yet; it is tried again at the next save"), "{first}");
    }

    #[test]
    fn calls_and_replies_are_brief_and_bounded() {
        let call = |ours, text: &str| {
            said(&Happening::Call(Call {
                subject: "js.echo".to_owned(),
                ours,
                payload: payload(text),
            }))
        };
        assert_eq!(call(true, "a\nb"), "→ js.echo  3 B  a b");
        assert_eq!(call(false, "x"), "→ js.echo  1 B from elsewhere  x");
        assert!(call(true, &"y".repeat(200)).ends_with("y…"));
        let reply = |bytes: &[u8]| {
            said(&Happening::Reply { milliseconds: 1.234, payload: Payload::of(bytes) })
        };
        assert_eq!(reply(b"HI"), "← 2 B in 1.23 ms  HI");
        assert_eq!(reply(b""), "← 0 B in 1.23 ms");
        assert_eq!(reply(b"a\nb"), "← 3 B in 1.23 ms\na\nb");
        assert_eq!(reply(&[0xff, 0xfe]), "← 2 B in 1.23 ms  (no text)");
        let long = reply("ü".repeat(5000).as_bytes());
        assert!(long.len() < 5000 && long.ends_with("nex call prints all of it"), "{long}");
    }

    #[test]
    fn what_is_counted_is_said_in_one_line() {
        let counted = |calls, failed| {
            said(&Happening::Counted {
                calls,
                failed,
                seconds: 5.0,
                half_within_milliseconds: Some(0.5),
            })
        };
        assert_eq!(counted(1, 0), "· 1 call from elsewhere in 5 s, half of all within 0.50 ms");
        assert!(counted(9, 2).ends_with(", 2 failed"));
    }
}
