//! Entry points for fuzzers: whatever the bytes are, they return.
//!
//! Owns: one function per parser of strangers' bytes in this crate. Never: part of the interface.

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Words of schemas, so that some of what is made compiles.
    const WORDS: &str = r##"(\{|\}|\[|\]|,|:|"\$ref"|"#"|"#/\$defs/a"|"\$defs"|"a"|"allOf"|"not"|"properties"|"type"|"object"|"pattern"|"\^\(a\+\)\+\$"|"items"|"required"|1|true|null|\x00){0,40}"##;

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
        }
    }
}
