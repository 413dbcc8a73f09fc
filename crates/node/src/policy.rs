//! Which subjects each namespace may use.
//!
//! Owns: reading the policy, and finding a namespace in it. Never: enforces it; deploys are refused by
//! the minter, and messages by the server.

use std::collections::BTreeMap;

use nex_types::{Namespace, SubjectPattern};
use serde::Deserialize;

/// The subjects of each namespace; what is not listed may use none.
#[derive(Debug, Clone, Default)]
pub struct Policy(BTreeMap<Namespace, NamespacePolicy>);

/// The subjects of one namespace.
#[derive(Debug, Clone, Default)]
pub struct NamespacePolicy {
    /// Where its workloads may publish.
    pub publish: Vec<SubjectPattern>,
    /// What they may subscribe, triggers among it.
    pub subscribe: Vec<SubjectPattern>,
}

/// A policy that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum PolicyError {
    #[error("it is not a policy")]
    NotJson(#[from] serde_json::Error),
    #[error(transparent)]
    Namespace(#[from] nex_types::NameError),
    #[error("namespace {namespace}")]
    Subject { namespace: Namespace, source: nex_types::SubjectError },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    publish: Vec<String>,
    #[serde(default)]
    subscribe: Vec<String>,
}

impl Policy {
    /// Reads `{"namespace": {"publish": [...], "subscribe": [...]}}`.
    ///
    /// # Errors
    /// When it is not that, or names what is no namespace or subject.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let written: BTreeMap<String, Written> = serde_json::from_str(text)?;
        let mut namespaces = BTreeMap::new();
        for (name, written) in written {
            let namespace = Namespace::parse(&name)?;
            let patterns = |texts: &[String]| {
                let parsed = texts.iter().map(|text| SubjectPattern::parse(text));
                parsed
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(|source| PolicyError::Subject { namespace: namespace.clone(), source })
            };
            let policy = NamespacePolicy {
                publish: patterns(&written.publish)?,
                subscribe: patterns(&written.subscribe)?,
            };
            namespaces.insert(namespace, policy);
        }
        Ok(Self(namespaces))
    }

    /// The namespaces that are listed.
    pub fn namespaces(&self) -> impl Iterator<Item = &Namespace> {
        self.0.keys()
    }

    /// What a namespace may use, if it is listed.
    pub(crate) fn of(&self, namespace: &str) -> Option<&NamespacePolicy> {
        self.0.iter().find(|(name, _)| name.as_str() == namespace).map(|(_, policy)| policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_lists_the_subjects_of_namespaces() {
        let policy = Policy::parse(r#"{"a": {"subscribe": ["a.>"]}, "b": {}}"#).unwrap();
        assert_eq!(policy.of("a").unwrap().subscribe, [SubjectPattern::parse("a.>").unwrap()]);
        assert!(policy.of("b").unwrap().publish.is_empty() && policy.of("c").is_none());
        assert_eq!(policy.namespaces().count(), 2);
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for (text, says) in [
            ("[]", "not a policy"),
            (r#"{"a": {"subscibe": []}}"#, "not a policy"),
            (r#"{"a_b": {}}"#, "a_b"),
            (r#"{"a": {"publish": ["a..b"]}}"#, "namespace a"),
        ] {
            let error = Policy::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
