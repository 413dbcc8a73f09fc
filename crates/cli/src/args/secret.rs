//! Values that must not be seen: typed as they are, or read from a file.
//!
//! Owns: `@FILE`, and hiding the value in `Debug`. Never: shows it.

use std::fmt;
use std::str::FromStr;

/// A secret. `@FILE` stands for what the file holds, `@@` for a leading `@`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// What it is; for the connection alone.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl FromStr for Secret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix('@') else { return Ok(Self(text.to_owned())) };
        if rest.starts_with('@') {
            return Ok(Self(rest.to_owned()));
        }
        let content = std::fs::read_to_string(rest).map_err(|error| format!("{rest}: {error}"))?;
        Ok(Self(content.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_may_lie_in_a_file_and_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "from a file\n").unwrap();
        let read: Secret = format!("@{}", file.display()).parse().unwrap();
        assert_eq!(read.reveal(), "from a file");
        assert_eq!("@@at".parse::<Secret>().unwrap().reveal(), "@at");
        assert_eq!(format!("{read:?}"), "Secret(…)");
        assert!("@/no/such/file".parse::<Secret>().is_err());
    }
}
