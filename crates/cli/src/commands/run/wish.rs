//! A workload as a Nexfile wants it: how it differs from what runs, and making it so.
//!
//! Owns: one workload from its keys to its start, by the same steps as `nex run FILE`. Never: asks, and
//! uploads nothing to find out what differs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nex_api::workload::{StartWorkloadRequest, WorkloadSummary, fact};
use nex_artifact::Uploaded;
use nex_client::{Client, Fleet};
use nex_policy::placement::plan;
use nex_types::{Tags, WorkloadName};
use serde_json::{Map, Value};

use super::local::{self, LocalFile};
use super::placement::Placed;
use super::replace::{Done, Wanted, copies, replace};
use super::{RunArgs, TypeArg, digest, prepare, report, wanted};
use crate::commands::served::parse_tags;
use crate::error::CliError;
use crate::nexfile::Nexfile;

/// What a Nexfile's workload needs done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing of the name runs.
    Create,
    /// These keys differ.
    Replace(Vec<String>),
    /// It runs as wanted.
    Same,
}

/// A workload that shall be, read and checked.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) name: WorkloadName,
    tags: Tags,
    wanted: Wanted,
    artifact: Artifact,
}

#[derive(Debug)]
enum Artifact {
    /// A file of the caller's side, as `nex run` would take it.
    File { args: Box<RunArgs>, kind: TypeArg, file: LocalFile },
    /// It is named, and is there already.
    There(StartWorkloadRequest),
}

/// What was done for a wish.
#[derive(Debug)]
pub(crate) struct Fulfilled {
    pub(super) request: StartWorkloadRequest,
    pub(super) done: Done,
    pub(super) uploaded: Option<Uploaded>,
    pub(super) elapsed: Duration,
    /// Older uploads that went.
    pub(super) pruned: Vec<String>,
}

/// The newest upload of a name.
#[derive(Debug)]
pub(crate) struct Newest {
    name: WorkloadName,
    uploaded: Uploaded,
}

impl Newest {
    /// Removes older ones that nothing needs; returns what went.
    pub(crate) async fn prune(&self, client: &Client) -> Vec<String> {
        local::prune_after(client, &self.uploaded, &self.name).await
    }
}

/// What will be asked of nodes, and the upload that it names.
pub(crate) struct Prepared {
    /// The request.
    pub(crate) request: StartWorkloadRequest,
    uploaded: Option<Uploaded>,
}

impl Prepared {
    /// What tells this version from others.
    pub(crate) fn version(&self) -> Option<&str> {
        digest::of(&self.request)
    }
}

impl Wish {
    /// Reads the file and checks all that can be checked before anything is sent.
    pub(crate) fn of(nexfile: Nexfile) -> Result<Self, CliError> {
        let name = nexfile.workload_name()?;
        let copies = nexfile.copies.map(usize::from);
        if nexfile.file.is_none() {
            let (request, tags) = nexfile.into_request();
            let wanted = copies.map_or(Wanted::AsManyAsNow, Wanted::Exactly);
            return Ok(Self { name, tags, wanted, artifact: Artifact::There(request) });
        }
        Self::of_file(name, prepare::let_it_say(RunArgs::default(), nexfile)?)
    }

    /// Likewise of what was typed, and of the Nexfile that it names.
    pub(crate) fn typed(args: RunArgs) -> Result<Self, CliError> {
        let args = prepare::with_nexfile(args)?;
        Self::of_file(prepare::name(&args)?, args)
    }

    pub(super) fn of_file(name: WorkloadName, args: RunArgs) -> Result<Self, CliError> {
        let (file, kind) = prepare::open(&args)?;
        prepare::check(&args, kind)?;
        let (tags, wanted) = (parse_tags(&args.tags)?, wanted(&args));
        let artifact = Artifact::File { args: Box::new(args), kind, file };
        Ok(Self { name, tags, wanted, artifact })
    }

    /// The files that it was read from: its Nexfile, if it has one, and what is uploaded.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let Artifact::File { args, .. } = &self.artifact else { return Vec::new() };
        let nexfile = args.nexfile.as_ref().map(|nexfile| nexfile.path.clone());
        nexfile.into_iter().chain([args.path().to_owned()]).collect()
    }

    /// Type and lifecycle, for people.
    pub(crate) fn describe(&self) -> String {
        match &self.artifact {
            Artifact::There(request) => {
                format!("{} {}", request.workload_type, request.workload_lifecycle)
            }
            Artifact::File { args, kind, .. } => {
                format!("{} {}", kind.as_str(), prepare::lifecycle(args, *kind))
            }
        }
    }

    /// How what runs differs from it.
    pub(crate) async fn foresee(
        &self,
        client: &Client,
        fleet: &Fleet,
        state_dir: &Path,
        has_jetstream: bool,
    ) -> Result<Change, CliError> {
        let foreseen = match &self.artifact {
            Artifact::There(_) => None,
            Artifact::File { file, .. } => {
                Some(file.foresee(client, &self.name, has_jetstream).await?)
            }
        };
        let request = self.request(client, state_dir, foreseen.as_ref())?;
        let found = client.copies(fleet, self.name.as_str()).await?;
        if found.here.is_empty() && found.away.is_empty() {
            return Ok(Change::Create);
        }
        let version = digest::of(&request).unwrap_or_default();
        let total = self.wanted.total();
        let plan = plan(&copies(&found), version, total);
        if plan.start.is_empty() && plan.stop.is_empty() {
            return Ok(Change::Same);
        }
        let is_old = |w: &&WorkloadSummary| {
            w.metadata.get(fact::REQUEST_DIGEST).map(String::as_str) != Some(version)
        };
        let mut keys = match found.here.iter().find(is_old) {
            Some(old) => self.keys(&client.definition(&old.id).await?, &request),
            None => Vec::new(),
        };
        if total.is_some_and(|n| n != found.here.len() + found.away.len()) {
            keys.push("copies".to_owned());
        }
        if keys.is_empty() {
            let why = match found.away.is_empty() {
                true => "deployed by another user or machine, whose secrets cannot be compared",
                false => "on a node that does not answer",
            };
            keys.push(why.to_owned());
        }
        Ok(Change::Replace(keys))
    }

    /// Uploads, and brings what runs to it.
    pub(crate) async fn fulfil(
        &self,
        client: &Client,
        state_dir: &Path,
    ) -> Result<Fulfilled, CliError> {
        let start = Instant::now();
        let prepared = self.upload(client, state_dir).await?;
        let until_uploaded = start.elapsed();
        let mut done = self.place(client, prepared).await?;
        done.elapsed += until_uploaded;
        if let Some(newest) = done.newest() {
            done.pruned = newest.prune(client).await;
        }
        Ok(done)
    }

    /// The first half of [`Self::fulfil`], for who must know what was asked for although it failed.
    pub(crate) async fn upload(
        &self,
        client: &Client,
        state_dir: &Path,
    ) -> Result<Prepared, CliError> {
        let uploaded = self.send(client).await?;
        self.prepare(client, state_dir, uploaded)
    }

    /// Brings its file, if it has one, to where nodes can fetch it.
    pub(super) async fn send(&self, client: &Client) -> Result<Option<Uploaded>, CliError> {
        match &self.artifact {
            Artifact::File { file, .. } => Ok(Some(file.upload(client, &self.name).await?)),
            Artifact::There(_) => Ok(None),
        }
    }

    pub(super) fn prepare(
        &self,
        client: &Client,
        state_dir: &Path,
        uploaded: Option<Uploaded>,
    ) -> Result<Prepared, CliError> {
        let request = self.request(client, state_dir, uploaded.as_ref())?;
        Ok(Prepared { request, uploaded })
    }

    /// The second half: brings what runs to what was uploaded.
    pub(crate) async fn place(
        &self,
        client: &Client,
        Prepared { request, uploaded }: Prepared,
    ) -> Result<Fulfilled, CliError> {
        let start = Instant::now();
        let done = Box::pin(replace(client, &request, &self.tags, self.wanted)).await?;
        let elapsed = start.elapsed();
        Ok(Fulfilled { request, done, uploaded, elapsed, pruned: Vec::new() })
    }

    fn request(
        &self,
        client: &Client,
        state_dir: &Path,
        uploaded: Option<&Uploaded>,
    ) -> Result<StartWorkloadRequest, CliError> {
        let mut request = match (&self.artifact, uploaded) {
            (Artifact::File { args, kind, .. }, Some(uploaded)) => {
                prepare::start_request(client, args, *kind, &self.name, uploaded)?
            }
            (Artifact::There(request), _) => StartWorkloadRequest {
                namespace: client.namespace().to_string(),
                ..request.clone()
            },
            (Artifact::File { .. }, None) => return Err(CliError::other("nothing was uploaded")),
        };
        digest::attach(&mut request, state_dir);
        Ok(request)
    }

    /// The keys of two requests that differ, as a Nexfile calls them.
    fn keys(&self, old: &StartWorkloadRequest, new: &StartWorkloadRequest) -> Vec<String> {
        let mut keys = differing(old, new);
        if matches!(self.artifact, Artifact::File { .. }) {
            let n_before = keys.len();
            keys.retain(|key| key != "uri" && key != "digest");
            if keys.len() < n_before {
                keys.insert(0, "file".to_owned());
            }
        }
        keys
    }
}

impl Fulfilled {
    /// What was uploaded, if it took another's place.
    pub(crate) fn newest(&self) -> Option<Newest> {
        let (Some(uploaded), Done::Changed { .. }) = (&self.uploaded, &self.done) else {
            return None;
        };
        let name = WorkloadName::parse(&self.request.name).ok()?;
        Some(Newest { name, uploaded: uploaded.clone() })
    }

    /// How long it took, without the removal of older uploads.
    pub(crate) fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// What was asked for.
    pub(crate) fn request(&self) -> &StartWorkloadRequest {
        &self.request
    }

    /// What was started; nothing when it ran already.
    pub(crate) fn placed(&self) -> &[Placed] {
        match &self.done {
            Done::AlreadyRunning(_) => &[],
            Done::Changed { placed, .. } => placed,
        }
    }

    /// What ran already, just so.
    pub(crate) fn already(&self) -> Option<&WorkloadSummary> {
        match &self.done {
            Done::AlreadyRunning(workload) => Some(workload),
            Done::Changed { .. } => None,
        }
    }

    /// How many it took the place of.
    pub(crate) fn n_replaced(&self) -> usize {
        match &self.done {
            Done::AlreadyRunning(_) => 0,
            Done::Changed { n_stopped, n_buried, .. } => n_stopped + n_buried,
        }
    }

    /// What happened, for people.
    pub(crate) fn tell(&self, is_verbose: bool) {
        match &self.done {
            Done::AlreadyRunning(workload) => report::already(&self.request.name, &workload.id),
            Done::Changed { placed, n_stopped, n_buried } => {
                report::deployed(&self.request, placed, self.elapsed);
                report::replaced(*n_stopped, *n_buried);
            }
        }
        if is_verbose {
            report::pruned(&self.pruned);
        }
    }

    /// What happened, for programs.
    pub(crate) fn to_json(&self) -> Value {
        let name = &self.request.name;
        match &self.done {
            Done::AlreadyRunning(workload) => {
                serde_json::json!({ "name": name, "already_running": true, "id": workload.id })
            }
            Done::Changed { placed, n_stopped, n_buried } => {
                let responses: Vec<_> = placed.iter().map(|placed| &placed.response).collect();
                serde_json::json!({
                    "name": name, "already_running": false, "workloads": responses,
                    "replaced": n_stopped, "replaced_unreachable": n_buried,
                    "pruned": self.pruned,
                })
            }
        }
    }
}

/// Names of the keys whose values differ; within objects one level deep. Values are not told: they may
/// be secret.
fn differing(old: &StartWorkloadRequest, new: &StartWorkloadRequest) -> Vec<String> {
    let mut keys = Vec::new();
    if old.workload_type != new.workload_type {
        keys.push("type".to_owned());
    }
    if old.workload_lifecycle != new.workload_lifecycle {
        keys.push("lifecycle".to_owned());
    }
    let map = |request: &StartWorkloadRequest| {
        serde_json::from_str::<Map<String, Value>>(&request.run_request).unwrap_or_default()
    };
    let (old, new) = (map(old), map(new));
    for key in both(&old, &new) {
        match (old.get(key), new.get(key)) {
            (old, new) if old == new => {}
            (Some(Value::Object(old)), Some(Value::Object(new))) => {
                let inner =
                    both(old, new).into_iter().filter(|inner| old.get(*inner) != new.get(*inner));
                keys.extend(inner.map(|inner| format!("{key}.{inner}")));
            }
            _ => keys.push(key.to_owned()),
        }
    }
    keys
}

fn both<'a>(old: &'a Map<String, Value>, new: &'a Map<String, Value>) -> BTreeSet<&'a str> {
    old.keys().chain(new.keys()).map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use nex_api::workload::Lifecycle;
    use serde_json::json;

    use super::*;

    fn request(lifecycle: Lifecycle, run_request: &Value) -> StartWorkloadRequest {
        StartWorkloadRequest {
            workload_lifecycle: lifecycle,
            run_request: run_request.to_string(),
            ..StartWorkloadRequest::default()
        }
    }

    #[test]
    fn keys_that_differ_are_named_one_level_deep() {
        let old = json!({"uri": "u", "limits": {"timeout": "1s", "memory": "1MiB"}, "argv": ["a"],
            "environment": {"PIN": "1"}});
        let new = json!({"uri": "u", "limits": {"timeout": "2s", "memory": "1MiB"}, "argv": ["b"],
            "environment": {"PIN": "2", "MORE": "3"}, "triggers": ["x"]});
        let keys = differing(&request(Lifecycle::Service, &old), &request(Lifecycle::Job, &new));
        let expected = [
            "lifecycle",
            "argv",
            "environment.MORE",
            "environment.PIN",
            "limits.timeout",
            "triggers",
        ];
        assert_eq!(keys, expected);
        assert!(
            differing(&request(Lifecycle::Job, &new), &request(Lifecycle::Job, &new)).is_empty()
        );
    }
}
