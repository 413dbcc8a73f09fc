//! TypeScript becomes JavaScript: types are taken away, enums and namespaces are written out.
//!
//! Owns: what of TypeScript is taken, and refusals with file, line and column.
//! Never: checks types, or parses on a thread of the nexlet: the parser calls itself, so deep text
//! needs a stack of its own.

use std::path::Path;
use std::thread;

use nex_functions::runtime::Refusal;
use oxc::allocator::Allocator;
use oxc::ast::AstKind;
use oxc::codegen::{Codegen, CodegenOptions};
use oxc::diagnostics::OxcDiagnostic;
use oxc::parser::Parser;
use oxc::semantic::SemanticBuilder;
use oxc::span::{GetSpan, SourceType};
use oxc::transformer::{TransformOptions, Transformer};
use tokio::sync::{Semaphore, oneshot};

use super::frames::{Frames, Part};
use super::place::Place;

/// A file as a person writes it; bundles are JavaScript.
const MAX_SOURCE: usize = 256 * 1024;
/// Address space; only what the text needs of it is ever touched.
const STACK: usize = 1024 * 1024 * 1024;
/// Open brackets, and operators in front of a value, each of which is a call of the parser.
const MAX_NESTING: usize = 1000;

/// One at a time, since each has a stack of its own.
static TURN: Semaphore = Semaphore::const_new(1);

/// What the engine runs, and the way back to what the author wrote.
#[derive(Debug)]
pub(crate) struct Stripped {
    pub(crate) code: String,
    pub(crate) frames: Frames,
}

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) place: Option<Place>,
}

/// Takes the types away on a thread that ends afterwards.
pub(crate) async fn strip(file: &str, source: &[u8]) -> Result<Stripped, Fault> {
    let plain = |message: String| Fault { message, place: None };
    let Ok(source) = std::str::from_utf8(source) else {
        return Err(plain(format!("{file} is not UTF-8")));
    };
    refuse_extremes(source)?;
    let (file, source) = (file.to_owned(), source.to_owned());
    let failed = |_| plain("the TypeScript parser failed".to_owned());
    let turn = TURN.acquire().await.map_err(|_| plain("the nexlet ends".to_owned()))?;
    let (done, stripped) = oneshot::channel();
    let work = move || {
        let _nobody_waits = done.send(strip_here(&file, &source));
        drop(turn);
    };
    let builder = thread::Builder::new().name("typescript".to_owned()).stack_size(STACK);
    builder.spawn(work).map_err(|error| plain(format!("no thread for TypeScript: {error}")))?;
    stripped.await.map_err(failed)?
}

impl Fault {
    fn new(source: &str, error: &OxcDiagnostic) -> Self {
        let label = error.labels.first().and_then(|label| usize::try_from(label.offset()).ok());
        let help = error.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        let message = format!("SyntaxError: {}{help}", error.message);
        Self { message, place: label.map(|offset| Place::at(source, offset)) }
    }

    /// As a refusal; with the line itself where that may be shown.
    pub(crate) fn into_refusal(self, file: &str, shown: Option<&str>) -> Refusal {
        let Some(place) = self.place else {
            return Refusal::new(self.message);
        };
        let Place { line, column } = place;
        let refusal = Refusal::new(format!("{file}:{line}:{column}: {}", self.message));
        match shown.and_then(|source| place.mark(source)) {
            Some(marked) => refusal.with_detail(marked),
            None => refusal,
        }
    }
}

fn strip_here(file: &str, source: &str) -> Result<Stripped, Fault> {
    let allocator = Allocator::default();
    let kind = SourceType::ts().with_unambiguous(true);
    let parsed = Parser::new(&allocator, source, kind).parse();
    refuse_errors(source, &parsed.diagnostics)?;
    let mut program = parsed.program;
    let analysed = SemanticBuilder::new()
        .with_check_syntax_error(true)
        .with_build_nodes(true)
        .with_enum_eval(true)
        .build(&program);
    refuse_errors(source, &analysed.diagnostics)?;
    let decorator = analysed.semantic.nodes().iter().find_map(|node| match node.kind() {
        AstKind::Decorator(decorator) => Some(decorator.span()),
        _ => None,
    });
    if let Some(span) = decorator {
        let offset = usize::try_from(span.start).unwrap_or_default();
        let message = "SyntaxError: decorators are not supported; compile them first, for example with `npx esbuild main.ts --target=es2022 --outfile=main.js`";
        return Err(Fault { message: message.to_owned(), place: Some(Place::at(source, offset)) });
    }
    let scoping = analysed.semantic.into_scoping();
    let path = Path::new(file);
    let transformer = Transformer::new(&allocator, path, &TransformOptions::default());
    let transformed = transformer.build_with_scoping(scoping, &mut program);
    refuse_errors(source, &transformed.diagnostics)?;
    let options =
        CodegenOptions { source_map_path: Some(path.to_owned()), ..CodegenOptions::default() };
    let printed = Codegen::new().with_options(options).build(&program);
    let parts = printed.map.iter().flat_map(|map| map.get_tokens()).map(|token| Part {
        printed: (token.get_dst_line(), token.get_dst_col()),
        written: (token.get_src_line(), token.get_src_col()),
    });
    let frames = Frames::new(file, parts.collect());
    Ok(Stripped { code: printed.code, frames })
}

fn refuse_errors(source: &str, diagnostics: &oxc::diagnostics::Diagnostics) -> Result<(), Fault> {
    match diagnostics.errors().next() {
        Some(error) => Err(Fault::new(source, error)),
        None => Ok(()),
    }
}

/// Keeps the parser's stack within bounds whatever the text is.
fn refuse_extremes(source: &str) -> Result<(), Fault> {
    if source.len() > MAX_SOURCE {
        let message = format!(
            "a TypeScript file may have {} KiB; this one has {} KiB: bundle it to JavaScript first",
            MAX_SOURCE / 1024,
            source.len() / 1024,
        );
        return Err(Fault { message, place: None });
    }
    let (mut n_open, mut n_operators) = (0_usize, 0_usize);
    for (offset, byte) in source.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' | b'<' => n_open += 1,
            b')' | b']' | b'}' | b'>' | b';' => n_open = n_open.saturating_sub(1),
            _ => {}
        }
        match byte {
            b'!' | b'~' | b'+' | b'-' => n_operators += 1,
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => n_operators = 0,
        }
        if n_open > MAX_NESTING || n_operators > MAX_NESTING {
            let message = format!("SyntaxError: nested more than {MAX_NESTING} levels deep");
            return Err(Fault { message, place: Some(Place::at(source, offset)) });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fault(source: &str) -> Fault {
        strip("a.ts", source.as_bytes()).await.unwrap_err()
    }

    #[tokio::test]
    async fn places_lead_back_to_the_author() {
        let source =
            "interface A {\n  b: string;\n}\n\ntype C = A;\nconst a: C = { b: 'x' };\n\nthrow a;\n";
        let stripped = strip("a.ts", source.as_bytes()).await.unwrap();
        let printed = stripped.code.lines().position(|line| line.contains("throw")).unwrap() + 1;
        let written = stripped.frames.written(Place { line: printed, column: 1 });
        assert_eq!(written, Place { line: 8, column: 1 });
    }

    #[tokio::test]
    async fn what_cannot_be_parsed_has_a_place() {
        let fault = fault("const a: number = 1;\nconst b: = 2;\n").await;
        assert_eq!(fault.place.map(|place| place.line), Some(2));
        let refusal = fault.into_refusal("a.ts", Some("const a: number = 1;\nconst b: = 2;\n"));
        assert!(refusal.message.starts_with("a.ts:2:"), "{}", refusal.message);
        assert!(refusal.detail.unwrap().starts_with("const b: = 2;\n"));
    }

    #[tokio::test]
    async fn extreme_texts_are_refused_or_survived() {
        let fill = |part: &str| part.repeat(MAX_SOURCE / part.len());
        let parts = [
            "(",
            "[",
            "!",
            "a=>",
            "a?",
            "a?b:",
            "1+",
            "a.",
            "a()",
            "a!",
            "await ",
            "typeof ",
            "if(1)",
            "x:",
            "a=",
            "new ",
            "`${",
            "<a>",
            "a as b as ",
            "else if(1)",
            "class{x=",
            "function a(){",
            "keyof ",
            "A[",
            "async a=>",
            "do ",
            "a**",
            "a??",
            "type a=b extends c?d:",
            "{a:",
            "return(",
            "\u{0}",
            "/*",
            "a?.",
            "a[b]",
        ];
        for part in parts {
            for tail in ["", "a", "1"] {
                let source =
                    format!("{}{tail}", fill(part).get(..MAX_SOURCE - 8).unwrap_or_default());
                let _either = strip("a.ts", source.as_bytes()).await;
            }
        }
        assert!(fault(&"x".repeat(MAX_SOURCE + 1)).await.message.contains("bundle"));
    }
}
