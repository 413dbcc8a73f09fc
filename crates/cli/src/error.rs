//! Errors as a person sees them: one sentence, a hint that can be pasted, an exit code.
//!
//! Owns: kinds, exit codes and the hints of what libraries report. Never: prints.

use nex_api::Code;
use nex_bus::ConnectError;

use crate::suggest::did_you_mean;

/// The command line is wrong.
pub(crate) const USAGE: u8 = 2;

/// What kind of failure it is; each has an exit code (spec: CLI, "exit").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Failed,
    Usage,
    NatsUnreachable,
    NotFound,
    NoBidder,
    TimedOut,
}

impl Kind {
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => USAGE,
            Self::NatsUnreachable => 3,
            Self::NotFound => 4,
            Self::NoBidder => 5,
            Self::TimedOut => 6,
        }
    }
}

/// A failed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CliError {
    pub(crate) kind: Kind,
    pub(crate) message: String,
    /// Several lines below the message: source line, caret, stack.
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<String>,
    pub(crate) code: Option<String>,
    /// Whether the message names what was probably meant.
    pub(crate) has_guess: bool,
}

impl CliError {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            detail: None,
            hint: None,
            code: None,
            has_guess: false,
        }
    }

    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Something that is not there, with the nearest of what there is at the end of the sentence.
    pub(crate) fn unknown<'a>(
        message: &str,
        word: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let nearest = did_you_mean(word, candidates);
        let has_guess = !nearest.is_empty();
        Self { has_guess, ..Self::new(Kind::NotFound, format!("{message}{nearest}")) }
    }

    /// An error with its chain of sources, joined by ": ".
    pub(crate) fn chain(error: &dyn std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self::other(message)
    }
}

impl From<ConnectError> for CliError {
    fn from(error: ConnectError) -> Self {
        let kind = match &error {
            ConnectError::Address { .. } => Kind::Usage,
            _ => Kind::NatsUnreachable,
        };
        let hint = match &error {
            ConnectError::Unreachable { .. } => {
                "start one with: nex up   or name one with: --nats-url nats://HOST:4222"
            }
            ConnectError::Refused { .. } => {
                "say who you are with: --nats-creds FILE, --nats-user NAME --nats-password @FILE, or --context NAME"
            }
            ConnectError::Tls { .. } => "name who is trusted with: --nats-tls-ca FILE",
            _ => "see: nex doctor",
        };
        Self { kind, ..Self::chain(&error) }.hint(hint)
    }
}

impl From<nex_client::Error> for CliError {
    fn from(error: nex_client::Error) -> Self {
        use nex_client::Error;
        match error {
            Error::Refused(refusal) => Self {
                code: refusal.code.clone(),
                detail: refusal.detail.clone(),
                hint: refusal.code.as_deref().and_then(hint_of).map(str::to_owned),
                ..Self::other(refusal.to_string())
            },
            Error::NoResponders => {
                Self::new(Kind::NotFound, "no node is there").hint("start one with: nex up")
            }
            Error::TimedOut => Self::new(Kind::TimedOut, "the node did not answer in time")
                .hint("see which nodes are there: nex nodes"),
            Error::NotFound => {
                Self::new(Kind::NotFound, error.to_string()).hint("see what runs: nex ls")
            }
            Error::NoBid => Self::new(Kind::NoBidder, error.to_string())
                .hint("see nodes, their states and tags: nex nodes   nex info NODE"),
            other => Self::other(other.to_string()),
        }
    }
}

/// What helps after a refusal with this code.
fn hint_of(code: &str) -> Option<&'static str> {
    let code = Code::ALL.iter().find(|known| known.to_string() == code)?;
    Some(match code {
        Code::TypeNotFound | Code::NodeStopping => "see which nodes are there: nex nodes",
        Code::NodeFailed | Code::NexletSilent | Code::SpawnFailed => {
            "look closer with: nex doctor   or in the node's log"
        }
        Code::StartRequestInvalid => {
            "see all keys: nex schema nexfile   or have it made: nex run FILE --on SUBJECT"
        }
        Code::ArtifactMissing | Code::DigestMismatch => {
            "upload a file and deploy it, all in one: nex run FILE --on SUBJECT"
        }
        Code::ArtifactUnsupported => {
            "upload the file with: nex run FILE   or allow its folder with: nex up --allow-files DIR"
        }
        Code::SourceRefused => "a whole function: export default (subject, payload) => payload",
        Code::ModuleRefused => "build a command with: cargo build --release --target wasm32-wasip1",
        Code::SubjectNotGranted => "see what the namespace may use in the node's --policy file",
        Code::SubjectDenied => "choose another subject: --on my.subject",
        Code::TriggerInvalid => "what a trigger may say: nex run --help",
        Code::ProgramRefused => LINK_STATICALLY,
        _ => return None,
    })
}

/// How to make a program that Nex can run, in the language that most who read this use.
pub(crate) const LINK_STATICALLY: &str = "RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --target x86_64-unknown-linux-gnu";

impl From<nex_types::NameError> for CliError {
    fn from(error: nex_types::NameError) -> Self {
        Self::usage(error.to_string())
    }
}
