//! Who said a setting: the command line, a file, a variable, or nobody.
//!
//! Owns: the order of these, and their words. Never: knows the value.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::innermost;
use super::keys::{FileValue, Values};

/// Where a setting is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag,
    File(PathBuf),
    Variable,
    Default,
}

impl Origin {
    /// What wins is less.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Self::Flag => 0,
            Self::File(_) => 1,
            Self::Variable => 2,
            Self::Default => 3,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Variable => f.write_str("variable"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// The origins of all settings of a command line.
#[derive(Clone, Default)]
pub(crate) struct Origins {
    by_id: BTreeMap<String, Origin>,
    /// The words of those that were typed.
    typed: BTreeMap<String, Vec<String>>,
    /// What the files say, also of commands that were not typed.
    values: Values,
}

/// What was typed may be secret.
impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.by_id).finish()
    }
}

impl Origins {
    pub(super) fn new(matches: &ArgMatches, values: Values) -> Self {
        let (mut by_id, mut typed) = (BTreeMap::new(), BTreeMap::new());
        for matches in [matches, innermost(matches)] {
            for id in matches.ids() {
                let id = id.as_str();
                let Some(source) = matches.value_source(id) else { continue };
                by_id.insert(id.to_owned(), origin(source, values.by_id.get(id)));
                if source == ValueSource::CommandLine {
                    typed.insert(id.to_owned(), words(matches, id));
                }
            }
        }
        Self { by_id, typed, values }
    }

    /// Where the setting of the flag with this id is from.
    pub(crate) fn of(&self, id: &str) -> Origin {
        self.by_id.get(id).cloned().unwrap_or(Origin::Default)
    }

    /// What the files say of it.
    pub(super) fn in_files(&self, id: &str) -> Option<&FileValue> {
        self.values.by_id.get(id)
    }

    /// What was typed for it.
    pub(super) fn typed(&self, id: &str) -> &[String] {
        self.typed.get(id).map(Vec::as_slice).unwrap_or_default()
    }

    /// Why `./config.json` is left alone, if it is.
    pub(crate) fn left_alone(&self) -> Option<&str> {
        self.values.left_alone.as_deref()
    }

    /// Of some settings the one that was said with the most weight; of equals the first.
    pub(crate) fn best<'i>(&self, ids: impl IntoIterator<Item = &'i str>) -> Option<&'i str> {
        ids.into_iter().min_by_key(|id| self.of(id).rank())
    }
}

/// The words after a flag; a switch that was typed is true.
fn words(matches: &ArgMatches, id: &str) -> Vec<String> {
    let raw = matches.try_get_raw(id).ok().flatten();
    let words: Vec<String> =
        raw.into_iter().flatten().map(|word| word.to_string_lossy().into_owned()).collect();
    if words.is_empty() { vec!["true".to_owned()] } else { words }
}

fn origin(source: ValueSource, in_file: Option<&FileValue>) -> Origin {
    match (source, in_file) {
        (ValueSource::CommandLine, _) => Origin::Flag,
        (ValueSource::DefaultValue, Some(value)) => Origin::File(value.path.clone()),
        (ValueSource::EnvVariable, _) => Origin::Variable,
        _ => Origin::Default,
    }
}
