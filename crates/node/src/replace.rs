//! Replaces a nexlet by the program that lies on the disk now.
//!
//! Owns: the order in which one nexlet hands over to another. Never: loses a function's call.
//!
//! ```text
//! functions:  old serves ─────────────────────────────┬─ leaves the control API, finishes its calls, ends
//!                 launch heir ─► registers, has all ─► complete
//! programs:   old leaves them to their shims, ends ─► launch ─► finds them
//! others:     old ends, and its workloads with it ─► launch ─► they start again
//! ```

use std::time::{Duration, Instant};

use nex_sandbox::{OnFailure, Signal};
use nex_types::Id;
use tokio_util::sync::CancellationToken;

use crate::config::Replacement;
use crate::process::fingerprint;
use crate::records::Role;
use crate::restore;
use crate::supervise::{DRAIN_BOUND, Running, Supervisor, announce_end};

/// Tells a nexlet of ours to leave its workloads to the next one.
pub(crate) const RETIRE: Signal = Signal::SIGUSR1;

/// An heir compiles and restores everything; past this it is given up, and the old one stays.
const COMPLETE_BOUND: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);

/// `old` when it runs the program on disk, or that cannot be run; else the one in its place.
pub(crate) async fn replace(
    supervisor: &Supervisor,
    old: Running,
    token: &CancellationToken,
) -> Running {
    let name = &supervisor.program.name;
    let on_disk = fingerprint(&supervisor.program, supervisor.house.orphan_after);
    if on_disk.is_err() || on_disk.is_ok_and(|program| program == old.program) {
        return old;
    }
    tracing::info!(nexlet = name, replacement = ?supervisor.program.replacement, "replacing it");
    match supervisor.program.replacement {
        Replacement::HandOver => hand_over(supervisor, old, token).await,
        Replacement::Restart => restart(supervisor, old, Signal::SIGTERM).await,
        Replacement::Leave => restart(supervisor, old, RETIRE).await,
    }
}

/// Without an overlap: what it runs must not run twice.
async fn restart(supervisor: &Supervisor, mut old: Running, signal: Signal) -> Running {
    old.process.stop(signal, DRAIN_BOUND).await;
    supervisor.shared.agents.process_ended(&old.agent_id);
    let name = &supervisor.program.name;
    announce_end(&supervisor.shared, &old.agent_id, name, "replaced by another program").await;
    match supervisor.launch(&old.agent_id, Role::Current).await {
        Ok(new) => new,
        Err(error) => {
            tracing::error!(nexlet = name, %error, "nexlet cannot be started");
            // Ended; whoever watches it sees that at once and tries again.
            old
        }
    }
}

async fn hand_over(supervisor: &Supervisor, old: Running, token: &CancellationToken) -> Running {
    let (shared, name) = (&supervisor.shared, &supervisor.program.name);
    let heir_id = Id::random().to_string();
    shared.agents.hand_over(&old.agent_id, &heir_id);
    let heir = match supervisor.launch(&heir_id, Role::Heir).await {
        Ok(heir) => heir,
        Err(error) => return give_up(supervisor, old, None, &heir_id, &error.to_string()).await,
    };
    let mut heir = heir;
    let failed = tokio::select! {
        is_complete = is_complete(supervisor, &heir_id) => {
            (!is_complete).then(|| "it did not come up in time".to_owned())
        }
        end = heir.process.wait() => Some(end),
        () = token.cancelled() => Some("the node is stopping".to_owned()),
    };
    let failed = failed.or_else(|| supervisor.records.promote().err().map(|e| e.to_string()));
    if let Some(reason) = failed {
        return give_up(supervisor, old, Some(heir), &heir_id, &reason).await;
    }
    tracing::info!(nexlet = name, agent.id = heir_id, "nexlet replaced");
    retire(supervisor, old, heir_id);
    heir
}

/// The old one ends beside the new one's life, and what it was handed at the last moment goes over.
fn retire(supervisor: &Supervisor, mut old: Running, heir_id: String) {
    let (shared, records) = (supervisor.shared.clone(), supervisor.records.clone());
    let name = supervisor.program.name.clone();
    supervisor.house.tasks.spawn("retire", OnFailure::Log, async move {
        old.process.stop(RETIRE, DRAIN_BOUND).await;
        shared.agents.forget(&old.agent_id);
        records.remove(Role::Retiring);
        announce_end(&shared, &old.agent_id, &name, "replaced by another program").await;
        restore::start_missing(&shared, &heir_id).await;
    });
}

async fn is_complete(supervisor: &Supervisor, heir_id: &str) -> bool {
    let agents = &supervisor.shared.agents;
    let deadline = Instant::now() + COMPLETE_BOUND;
    loop {
        if agents.is_complete(heir_id) {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The heir goes, the old one goes on as if nothing had been.
async fn give_up(
    supervisor: &Supervisor,
    old: Running,
    heir: Option<Running>,
    heir_id: &str,
    reason: &str,
) -> Running {
    if let Some(mut heir) = heir {
        heir.process.stop(RETIRE, DRAIN_BOUND).await;
    }
    supervisor.records.remove(Role::Heir);
    supervisor.shared.agents.take_back(&old.agent_id, heir_id);
    restore::give_back(&supervisor.shared, &old.agent_id);
    tracing::error!(nexlet = supervisor.program.name, reason, "nexlet not replaced");
    old
}
