//! How arguments and results of host services cross the boundary: a head of JSON, then bytes.
//!
//! Owns: the form, and the budget for what the host holds on a guest's behalf. Never: trusts a length.
//!
//! ```text
//! length of the head (u32, little-endian) · head (JSON) · bytes
//! ```

use std::sync::Arc;

use bytes::Bytes;
use nex_functions::Budget;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Names and headers; as values they take several times the room of their JSON.
const MOST_HEAD: usize = 512 * 1024;

/// Takes an argument apart.
pub(super) fn read<T: DeserializeOwned>(argument: &Bytes) -> Result<(T, Bytes), String> {
    let malformed = || "the operation's argument is malformed".to_owned();
    let (length, rest) = argument.split_first_chunk::<4>().ok_or_else(malformed)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| malformed())?;
    if length > MOST_HEAD {
        return Err(format!("the operation's names and headers have more than {MOST_HEAD} bytes"));
    }
    let head = rest.get(..length).ok_or_else(malformed)?;
    let head = serde_json::from_slice(head)
        .map_err(|error| format!("the operation's argument is malformed: {error}"))?;
    Ok((head, argument.slice(4 + length..)))
}

/// Puts a result together.
pub(super) fn write(head: &impl Serialize, parts: &[Bytes]) -> Result<Vec<u8>, String> {
    let head = serde_json::to_vec(head).map_err(|error| error.to_string())?;
    let length = u32::try_from(head.len()).map_err(|error| error.to_string())?;
    let n_bytes: usize = parts.iter().map(Bytes::len).sum();
    let mut result = Vec::with_capacity(4 + head.len() + n_bytes);
    result.extend_from_slice(&length.to_le_bytes());
    result.extend_from_slice(&head);
    for part in parts {
        result.extend_from_slice(part);
    }
    Ok(result)
}

/// What the host holds for one instance, which is at most as much as the instance itself; given back when
/// it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    budget: Arc<Budget>,
    n_bytes: u64,
}

impl Held {
    pub(super) fn nothing(budget: &Arc<Budget>) -> Self {
        Self { budget: Arc::clone(budget), n_bytes: 0 }
    }

    /// Holds so much more, or says why not.
    pub(super) fn add(&mut self, n_bytes: usize) -> Result<(), String> {
        let more = u64::try_from(n_bytes).unwrap_or(u64::MAX);
        if !self.budget.take(more) {
            let limit = self.budget.limit();
            return Err(format!(
                "what host services hold for this function is more than its memory limit of {limit} bytes"
            ));
        }
        self.n_bytes += more;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.give_back(self.n_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_cut_off_is_refused() {
        let whole = Bytes::from(write(&"head", &["by".into(), "tes".into()]).unwrap());
        assert_eq!(read::<String>(&whole).unwrap(), ("head".to_owned(), "bytes".into()));
        for length in [0, 3, 4, 9] {
            assert!(read::<String>(&whole.slice(..length)).is_err(), "{length}");
        }
        assert!(read::<String>(&Bytes::from_static(&[255; 8])).is_err());
    }

    #[test]
    fn a_budget_is_given_back() {
        let budget = Arc::new(Budget::new(10));
        let mut held = Held::nothing(&budget);
        held.add(8).unwrap();
        assert!(Held::nothing(&budget).add(3).is_err());
        drop(held);
        Held::nothing(&budget).add(10).unwrap();
    }
}
