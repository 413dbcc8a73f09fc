//! "Did you mean": the nearest of what there is to what was typed.
//!
//! Owns: how near is near enough. Never: acts on a guess.

/// The candidate that was probably meant; none when all of them are quite another word.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let distance = |candidate: &str| strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
    let ranked = candidates.into_iter().map(|candidate| (distance(candidate), candidate)).min();
    ranked
        .filter(|(distance, candidate)| {
            let longer = word.chars().count().max(candidate.chars().count());
            *distance <= longer / 3 || (*distance == 1 && longer > 1)
        })
        .map(|(_, candidate)| candidate)
}

/// `, did you mean X?` for the end of a sentence; nothing when nothing is near. Names are strangers'
/// text, so it is for messages, which are made harmless, and not for hints.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> String {
    nearest(word, candidates).map(|name| format!(", did you mean {name}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near_is_suggested() {
        let names = ["echo", "orders", "heartbeat", "a"];
        for (word, expected) in [
            ("ehco", Some("echo")),
            ("Echo", Some("echo")),
            ("order", Some("orders")),
            ("hartbeet", Some("heartbeat")),
            ("x", None),
            ("", None),
            ("something", None),
        ] {
            assert_eq!(nearest(word, names), expected, "{word}");
        }
        assert_eq!(did_you_mean("ehco", names), ", did you mean echo?");
        assert_eq!(did_you_mean("nothing", []), "");
    }
}
