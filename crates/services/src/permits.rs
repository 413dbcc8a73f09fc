//! What a node lets a native workload ask for.
//!
//! Owns: the words of those refusals. Never: reads a request (`plan`).

use std::path::PathBuf;

use nex_api::Code;
use nex_nexlet::StartFailure;
use nex_sandbox::jail::Isolation;

use crate::plan::{self, Plan};

/// Nothing is permitted unless it is said.
#[derive(Debug, Clone, Default)]
pub struct Permits {
    /// A box may lack walls that this machine does not offer.
    pub weak_sandbox: bool,
    /// `sandbox: none`, with the rights of the node's user.
    pub no_sandbox: bool,
    /// Folders of the host from which `mounts` may come.
    pub mounts: Vec<PathBuf>,
}

impl Permits {
    /// Refuses what is not permitted here.
    pub(crate) fn check(&self, plan: &Plan) -> Result<(), StartFailure> {
        if plan.isolation == Isolation::None && !self.no_sandbox {
            let message = "sandbox: none is not allowed on this node: leave it out, or start the node \
                           with --allow-unsandboxed";
            return Err(StartFailure::new(Code::SandboxUnavailable, message));
        }
        plan.mounts.iter().try_for_each(|mount| self.check_mount(&mount.source))
    }

    fn check_mount(&self, source: &std::path::Path) -> Result<(), StartFailure> {
        let shown = source.display();
        // Where links lead is what counts, now; the box mounts what is there when it starts.
        let real = source
            .canonicalize()
            .map_err(|error| plan::invalid(format!("mounts: {shown}: {error}")))?;
        let allowed = self.mounts.iter().filter_map(|allowed| allowed.canonicalize().ok());
        if allowed.into_iter().any(|allowed| real.starts_with(allowed)) {
            return Ok(());
        }
        let message = format!(
            "mounts: {shown} is not below a folder that this node allows: start it with \
             --allow-mounts {shown}"
        );
        Err(StartFailure::new(Code::SandboxUnavailable, message))
    }
}
