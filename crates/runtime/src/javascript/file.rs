//! A function's one file, on its way into the engine.
//!
//! Owns: its name in messages, what the engine is given of it, and refusals that point into it.
//! Never: quotes a source that whoever deploys might not be able to read.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use nex_functions::runtime::{GuestSpec, Refusal, SourceLanguage};

use super::frames::Frames;
use super::host::Outcome;
use super::place::Place;
use super::typescript::{self, Fault};
use crate::limits;

pub(crate) struct File {
    pub(crate) name: String,
    /// JavaScript.
    pub(crate) code: Bytes,
    /// The way back to the author's lines, where the code was printed anew.
    pub(crate) frames: Option<Arc<Frames>>,
    source: Bytes,
    quotes_source: bool,
}

impl File {
    /// Takes types away.
    pub(crate) async fn prepare(spec: &GuestSpec, deadline: Instant) -> Result<Self, Refusal> {
        let (name, code, frames) = match spec.source_language {
            SourceLanguage::JavaScript => (format!("{}.js", spec.name), spec.source.clone(), None),
            SourceLanguage::TypeScript => {
                let name = format!("{}.ts", spec.name);
                let stripping = async { Ok(typescript::strip(&name, &spec.source).await) };
                let stripped = limits::until(deadline, stripping).await.map_err(|_| {
                    let timeout = spec.timeout;
                    Refusal::new(format!("{name} was not parsed within {timeout:?}"))
                })?;
                let source = std::str::from_utf8(&spec.source).unwrap_or_default();
                let shown = spec.quotes_source.then_some(source);
                let stripped = stripped.map_err(|fault| fault.into_refusal(&name, shown))?;
                (name, stripped.code.into(), Some(Arc::new(stripped.frames)))
            }
        };
        let (source, quotes_source) = (spec.source.clone(), spec.quotes_source);
        Ok(Self { name, code, frames, source, quotes_source })
    }

    /// The guest said why; its places are the author's already.
    pub(crate) fn refused(&self, outcome: Option<Outcome>) -> Refusal {
        let Some(Outcome::Failed { message, detail: stack }) = outcome else {
            return Refusal::new("the script was refused without a reason");
        };
        let source = std::str::from_utf8(&self.source).unwrap_or_default();
        let imported = Place::of_import(&message, source);
        let told = Place::of_message(&message, &self.name);
        let (place, message) = match (imported, told) {
            (Some(place), Some((_, message))) => (Some(place), message.to_owned()),
            (Some(place), None) => {
                let named = format!("{}: ", self.name);
                (Some(place), message.strip_prefix(&named).unwrap_or(&message).to_owned())
            }
            (None, Some((place, message))) => (Some(place), message.to_owned()),
            (None, None) => (None, message.clone()),
        };
        // The guest may have put the line in front, as it was printed; what is shown is the author's.
        let stack = stack.map(|stack| match stack.find(&message) {
            Some(start) => stack.split_at(start).1.to_owned(),
            None => stack,
        });
        let shown = self.quotes_source.then_some(source);
        let refusal = Fault { message, place }.into_refusal(&self.name, shown);
        match (refusal.detail.clone(), stack) {
            (Some(marked), Some(stack)) => refusal.with_detail(format!("{marked}\n{stack}")),
            (None, Some(stack)) => refusal.with_detail(stack),
            (_, None) => refusal,
        }
    }
}
