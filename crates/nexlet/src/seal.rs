//! Sealed environments on the nexlet's side (spec: control API, sections 6 and 13).
//!
//! Owns: opening what was sealed to this nexlet, and sealing it anew for a clone. Never: shows a value.

use nex_api::Code;
use nex_api::start::Environment;
use nex_api::workload::{CloneWorkloadRequest, StartWorkloadRequest};
use nex_bus::seal::{SealError, SealKey, Variables, reseal_request};

use crate::{Start, StartFailure};

impl Start {
    /// The variables of an environment, opened with the nexlet's key when it is sealed.
    ///
    /// # Errors
    /// When it was sealed to another key, as after a clone that did not ask to reseal.
    pub fn variables(&self, environment: &Environment) -> Result<Variables, StartFailure> {
        match environment {
            Environment::Clear(variables) => Ok(variables.clone()),
            Environment::Sealed(sealed) => {
                self.key.open(sealed).map_err(|error| not_opened(&error))
            }
        }
    }
}

/// What GETWORKLOAD answers: the request as it was stored, or resealed to who asks.
pub(crate) fn for_clone(
    stored: &StartWorkloadRequest,
    key: &SealKey,
    asked: &CloneWorkloadRequest,
) -> Result<StartWorkloadRequest, SealError> {
    let mut request = stored.clone();
    if asked.reseal {
        request.run_request = reseal_request(&stored.run_request, key, &asked.new_target_xkey)?;
    }
    Ok(request)
}

fn not_opened(error: &SealError) -> StartFailure {
    let code = match error {
        SealError::Elsewhere => Code::SealedElsewhere,
        _ => Code::StartRequestInvalid,
    };
    StartFailure::new(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use nex_bus::seal::{open_request, seal_request};

    use super::*;

    #[test]
    fn a_clone_is_sealed_to_who_asked_for_it() {
        let (key, caller) = (SealKey::fresh(), SealKey::fresh());
        let clear = r#"{"environment":{"A":"canary"},"uri":"u"}"#;
        let schema = nex_api::start::schema_text::<nex_api::start::NativeRequest>();
        let run_request = seal_request(clear, &schema, &key.public()).unwrap().unwrap();
        let stored = StartWorkloadRequest { run_request, ..StartWorkloadRequest::default() };
        let mut asked = CloneWorkloadRequest {
            namespace: "a".to_owned(),
            new_target_xkey: caller.public(),
            reseal: false,
        };
        assert_eq!(for_clone(&stored, &key, &asked).unwrap(), stored);
        asked.reseal = true;
        let cloned = for_clone(&stored, &key, &asked).unwrap();
        assert!(!cloned.run_request.contains("canary"));
        assert_eq!(open_request(&cloned.run_request, &caller).unwrap(), clear);
        asked.new_target_xkey = "X".to_owned();
        assert!(for_clone(&stored, &key, &asked).is_err());
    }

    #[test]
    fn what_was_sealed_elsewhere_is_said_with_what_to_do() {
        let failure = not_opened(&SealError::Elsewhere);
        assert_eq!(failure.message, "sealed for another node: clone with nex");
    }
}
