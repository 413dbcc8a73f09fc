//! What a nexlet says of itself at registration, checked before anybody is told.
//!
//! Owns: the rules of names and versions. Never: registers.

use nex_api::workload::Lifecycle;

/// What a nexlet says of itself at registration.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// Also the micro service's name: `[A-Za-z0-9_-]+`.
    pub name: String,
    /// The workload type.
    pub register_type: String,
    /// SemVer.
    pub version: String,
    /// For people.
    pub description: String,
    /// Which lifecycles it takes.
    pub lifecycles: Vec<Lifecycle>,
    /// JSON schema of `run_request`.
    pub schema: String,
}

/// A description that could not be registered, or not served afterwards.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum DescriptionError {
    #[error("\"{0}\" is not a nexlet's name: use letters, digits, '-' and '_'")]
    Name(String),
    #[error("\"{0}\" is not a version: use three numbers, as in 1.2.3")]
    Version(String),
    #[error("the workload type is empty")]
    Type,
}

impl Description {
    /// Whether a node would take it and the service could start under it.
    ///
    /// # Errors
    /// With the first thing that is wrong.
    pub fn check(&self) -> Result<(), DescriptionError> {
        let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if self.name.is_empty() || !self.name.chars().all(is_legal) {
            return Err(DescriptionError::Name(self.name.clone()));
        }
        if semver::Version::parse(&self.version).is_err() {
            return Err(DescriptionError::Version(self.version.clone()));
        }
        if self.register_type.is_empty() {
            return Err(DescriptionError::Type);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_service_may_have_is_refused_before_it_is_registered() {
        let good = Description {
            name: "go_exec-2".to_owned(),
            register_type: "native".to_owned(),
            version: "1.2.3-rc.1+build".to_owned(),
            description: String::new(),
            lifecycles: Vec::new(),
            schema: "{}".to_owned(),
        };
        assert_eq!(good.check(), Ok(()));
        for name in ["", "a b", "a.b", "é", "a>"] {
            let bad = Description { name: name.to_owned(), ..good.clone() };
            assert_eq!(bad.check(), Err(DescriptionError::Name(name.to_owned())));
        }
        for version in ["", "1", "v1.2.3", "1.2.3.4", "01.2.3"] {
            let bad = Description { version: version.to_owned(), ..good.clone() };
            assert_eq!(bad.check(), Err(DescriptionError::Version(version.to_owned())));
        }
        let bad = Description { register_type: String::new(), ..good };
        assert_eq!(bad.check(), Err(DescriptionError::Type));
    }
}
