//! The file that is deployed: what it is, its way into a bucket, and what goes from there after it.
//!
//! Owns: reading it piece by piece, and telling how far its upload is. Never: has it whole in memory; removes an
//! upload that somebody may need.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use nex_artifact::{
    Kind as FileKind, Refusal, UploadError, Uploaded, detect_file, foresee, foresee_inline, prune,
    upload_file_with,
};
use nex_client::Client;
use nex_types::{ByteSize, WorkloadName};
use tempfile::NamedTempFile;

use super::TypeArg;
use crate::error::{CliError, LINK_STATICALLY};
use crate::progress::Progress;
use crate::ui;

/// Of what has no end that one could see beforehand.
const LONGEST_STREAM: u64 = 1 << 30;

/// A file of the caller's side.
#[derive(Debug)]
pub(super) struct LocalFile {
    /// As it was named.
    named: PathBuf,
    /// What a pipe gave, which cannot be read twice.
    copy: Option<NamedTempFile>,
}

impl LocalFile {
    /// Looks whether it is there and can be read.
    pub(super) fn open(named: &Path) -> Result<Self, CliError> {
        let unreadable = |error: io::Error| {
            CliError::usage(format!("cannot read {}: {error}", named.display()))
                .hint("name a file that is there: nex run FILE --on SUBJECT")
        };
        let file = File::open(named).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(unreadable(io::ErrorKind::IsADirectory.into()));
        }
        let copy = match metadata.is_file() {
            true => None,
            false => Some(copy(file, named).map_err(unreadable)?),
        };
        Ok(Self { named: named.to_owned(), copy })
    }

    /// Its type by its bytes.
    pub(super) fn kind(&self) -> Result<TypeArg, CliError> {
        let named = self.named.display();
        let detected = detect_file(self.path())
            .map_err(|error| CliError::usage(format!("cannot read {named}: {error}")))?;
        let refused = |error: Refusal| {
            let hint = match &error {
                Refusal::Program(_) => LINK_STATICALLY,
                _ => "see what can be run: nex run --help",
            };
            CliError::other(format!("{named}: {error}")).hint(hint)
        };
        Ok(match detected.map_err(refused)? {
            FileKind::JavaScript => TypeArg::Javascript,
            FileKind::TypeScript => TypeArg::Typescript,
            FileKind::WasmModule | FileKind::WasmComponent | FileKind::Wat => TypeArg::Wasm,
            FileKind::Elf(_) => TypeArg::Native,
        })
    }

    /// Brings it to where nodes can fetch it.
    pub(super) async fn upload(
        &self,
        client: &Client,
        name: &WorkloadName,
    ) -> Result<Uploaded, CliError> {
        let file = self.named.file_name().unwrap_or(self.named.as_os_str());
        let mut progress =
            Progress::of(format!("uploading {}", ui::harmless(&file.to_string_lossy())));
        let tell = |done, total| progress.at(done, total);
        let (nats, namespace) = (client.nats(), client.namespace());
        let uploaded = upload_file_with(nats, namespace, name.as_str(), self.path(), tell).await;
        uploaded.map_err(|error| failed(&error))
    }

    /// What [`Self::upload`] will answer, without sending anything.
    pub(super) async fn foresee(
        &self,
        client: &Client,
        name: &WorkloadName,
        has_jetstream: bool,
    ) -> Result<Uploaded, CliError> {
        let foreseen = match has_jetstream {
            true => foresee(client.namespace(), name.as_str(), self.path()).await,
            false => foresee_inline(self.path()).await,
        };
        foreseen.map_err(|error| failed(&error))
    }

    fn path(&self) -> &Path {
        self.copy.as_ref().map_or(&self.named, NamedTempFile::path)
    }
}

/// Removes older uploads of that name which nothing needs, after a deploy that went well; tells which.
pub(super) async fn prune_after(
    client: &Client,
    uploaded: &Uploaded,
    name: &WorkloadName,
) -> Vec<String> {
    if uploaded.bucket.is_none() {
        return Vec::new();
    }
    let in_use = async || {
        let mut in_use = client.digests_in_use().await?;
        // What runs now may not stand in the view yet.
        in_use.insert(uploaded.digest);
        Some(in_use)
    };
    Box::pin(prune(client.nats(), client.namespace(), name.as_str(), in_use)).await
}

/// Keeps the end of the name, by which some types are told.
fn copy(mut stream: File, named: &Path) -> io::Result<NamedTempFile> {
    let suffix = named.file_name().unwrap_or_default();
    let mut copy = tempfile::Builder::new().prefix("nex-").suffix(suffix).tempfile()?;
    let copied = io::copy(&mut stream.by_ref().take(LONGEST_STREAM + 1), &mut copy)?;
    if copied > LONGEST_STREAM {
        let longest = ByteSize(LONGEST_STREAM);
        return Err(io::Error::other(format!("it is no file, and gives more than {longest}")));
    }
    Ok(copy)
}

fn failed(error: &UploadError) -> CliError {
    let hint = match error {
        UploadError::NoJetStream { .. } => "start nats-server with -js, or let nex up start one",
        UploadError::File { .. } => "name a file that is there: nex run FILE --on SUBJECT",
        UploadError::Changed { .. } | UploadError::Objects(_) => "see: nex doctor",
    };
    CliError::chain(error).hint(hint)
}
