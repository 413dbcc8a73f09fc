//! Entry points for fuzzers: whatever the bytes are, they return.
//!
//! Owns: one function per parser of strangers' bytes in this crate. Never: part of the interface.

use crate::metrics;
use crate::schema::Schema;

/// A registration's schema and a start request, at the first NUL byte apart.
pub fn fuzz_schema(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let text = |part: Option<&[u8]>| String::from_utf8_lossy(part.unwrap_or_default()).into_owned();
    let (schema, request) = (text(parts.next()), text(parts.next()));
    let (Ok(schema), Ok(request)) = (Schema::compile(&schema), serde_json::from_str(&request))
    else {
        return;
    };
    let _report = schema.check(&request);
}

/// Messages with metrics of one workload, at NUL bytes apart, one after the other.
pub fn fuzz_metrics(data: &[u8]) {
    metrics::count_all(data.split(|byte| *byte == 0).take(8));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Words of schemas, so that some of what is made compiles.
    const WORDS: &str = r##"(\{|\}|\[|\]|,|:|"\$ref"|"#"|"#/\$defs/a"|"\$defs"|"a"|"allOf"|"not"|"properties"|"type"|"object"|"pattern"|"\^\(a\+\)\+\$"|"items"|"required"|1|true|null|\x00){0,40}"##;

    const NUMBER: &str =
        r"(0|1|7|9007199254740992|9007199254740993|18446744073709551615|-1|0\.5|1e300|null)";
    const LIST: &str = r"(\[\]|\[1\]|\[1,2\]|\[1,2,3\]|\[2,1\]|\[9007199254740992,9007199254740992,1\]|\[-1,0\]|null)";

    proptest! {
        #[test]
        fn any_schema_has_an_answer(text in WORDS) {
            fuzz_schema(text.as_bytes());
        }

        #[test]
        fn so_has_a_small_one(
            keyword in "(allOf|anyOf|not|items|properties|required|type|pattern|minLength|\\$ref|\\$id|if|enum)",
            value in r##"(\[\{"\$ref":"#"\}\]|\{"\$ref":"#"\}|"#"|"\^a"|7|-1|1e999|\[\]|\{\}|true|null|"[a-z(*+\\]{0,6}")"##,
            request in r##"(\{"a":\{"a":1\}\}|\[\[\[1\]\]\]|"aaaa"|7|null)"##,
        ) {
            fuzz_schema(format!("{{\"{keyword}\":{value}}}\0{request}").as_bytes());
        }

        #[test]
        fn so_have_bytes(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            fuzz_schema(&data);
            fuzz_metrics(&data);
        }

        #[test]
        fn any_metrics_are_counted_or_not(
            messages in proptest::collection::vec((NUMBER, NUMBER, LIST, LIST, NUMBER, LIST), 1..5),
        ) {
            let message = |(calls, errors, bounds, counts, sum, more): &(String, String, String, String, String, String)| {
                format!(
                    r#"{{"id":"w","name":"n","namespace":"a","time":"2026-01-01T00:00:00Z","type":"t",
                    "function":{{"calls":{calls},"errors":{{"500":{errors},"x":1}},
                    "duration":{{"bounds":{bounds},"counts":{counts},"sum":{sum}}},
                    "queue_time":{{"bounds":{bounds},"counts":{more},"sum":0}}}},
                    "process":{{"cpu_seconds":{sum},"restarts":{calls},"memory_bytes":{errors}}}}}"#
                )
            };
            let all: Vec<String> = messages.iter().map(message).collect();
            fuzz_metrics(all.join("\0").as_bytes());
        }
    }
}
