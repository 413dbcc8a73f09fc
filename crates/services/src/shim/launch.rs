//! Starting a shim with its order.
//!
//! Owns: the shim's program on the disk, the order's way to it, and its answer. Never: leaves a shim behind
//! whose answer nobody got.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nex_sandbox::jail::Wall;
use nex_sandbox::{Child, Exit, Program};
use nex_shim::{Answer, Order};
use nex_types::Digest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::link::Link;
use crate::programs::SHIM_OF;

/// A box is built in milliseconds; a machine that is out of memory takes longer.
const ANSWER_BOUND: Duration = Duration::from_secs(20);
const LONGEST_ANSWER: u64 = 64 * 1024;

/// Starts shims from a copy of the program that this binary carries.
#[derive(Debug)]
pub(crate) struct Launcher {
    program: PathBuf,
}

/// A shim that was started, and what it said of the box.
#[derive(Debug)]
pub(crate) struct Answered {
    /// None when the program has ended already, and the shim with it.
    pub(crate) link: Option<Link>,
    pub(crate) pid: i32,
    pub(crate) walls: Vec<Wall>,
    pub(crate) missing: Vec<String>,
}

/// A program that does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    #[error("{message}")]
    Refused { message: String, lacks_wall: bool },
    #[error("the shim did not answer in {}s", ANSWER_BOUND.as_secs())]
    Silent,
    #[error("the shim's answer is not one: {0}")]
    Garbled(String),
    #[error("the shim could not be started")]
    Spawn(#[from] io::Error),
}

impl Launcher {
    /// Places the shim's program in `directory`, and takes those of other versions away; shims that run
    /// from them go on.
    pub(crate) fn install(directory: &Path, binary: &[u8]) -> io::Result<Self> {
        let digest = Digest::of(binary).to_string();
        let name =
            format!(".shim-{}", digest.trim_start_matches("sha256:").get(..16).unwrap_or_default());
        let program = directory.join(&name);
        for entry in fs::read_dir(directory)?.filter_map(Result::ok) {
            let other = entry.file_name().to_string_lossy().into_owned();
            if other.starts_with(".shim-") && other != name {
                fs::remove_file(entry.path())?;
            }
        }
        // Always anew: what stands there may be half of one.
        let part = directory.join(format!(".part{name}"));
        fs::write(&part, binary)?;
        fs::set_permissions(&part, fs::Permissions::from_mode(0o755))?;
        fs::rename(part, &program)?;
        Ok(Self { program })
    }

    /// Starts a shim in `folder`; the program runs when this returns. What is to be left when the future
    /// is dropped, [`super::clear`] takes away.
    pub(crate) async fn launch(
        &self,
        id: &str,
        folder: &Path,
        order: &Order,
    ) -> Result<Answered, LaunchError> {
        let program = Program {
            // The marker by which a lost one is found.
            environment: [(SHIM_OF.to_owned(), id.to_owned())].into(),
            directory: Some(folder.to_owned()),
            takes_input: true,
            ..Program::new(&self.program)
        };
        let order = serde_json::to_vec(order).map_err(io::Error::other)?;
        let mut child = program.spawn()?;
        let answer = tokio::time::timeout(ANSWER_BOUND, ask(&mut child, &order)).await;
        let (answer, exit) = answer.map_err(|_| LaunchError::Silent)??;
        match serde_json::from_slice(answer.trim_ascii()) {
            Ok(Answer::Running { pid, walls, missing, .. }) => {
                let link = Link::connect(folder).await.ok();
                Ok(Answered { link, pid, walls, missing })
            }
            Ok(Answer::Failed { step, message, lacks_wall }) => {
                Err(LaunchError::Refused { message: format!("{message} ({step})"), lacks_wall })
            }
            Err(_) if answer.is_empty() => {
                Err(LaunchError::Garbled(format!("nothing, and its first process ended: {exit}")))
            }
            Err(_) => {
                let said = String::from_utf8_lossy(&answer).chars().take(200).collect();
                Err(LaunchError::Garbled(said))
            }
        }
    }
}

/// The process that was spawned ends when the shim has left this nexlet's tree.
async fn ask(child: &mut Child, order: &[u8]) -> io::Result<(Vec<u8>, Exit)> {
    let gone = || io::Error::other("the shim has no pipes");
    let mut stdin = child.stdin.take().ok_or_else(gone)?;
    let stdout = child.stdout.take().ok_or_else(gone)?;
    drop(child.stderr.take());
    stdin.write_all(order).await?;
    drop(stdin);
    let mut answer = Vec::new();
    stdout.take(LONGEST_ANSWER).read_to_end(&mut answer).await?;
    let exit = child.wait().await?;
    Ok((answer, exit))
}
