//! The command line: commands, flags and the variables behind them.
//!
//! Owns: names, help texts and defaults. Never: acts on them.

mod connection;
mod log;
mod metrics;
mod node_flags;
mod otlp;
mod overview;
mod secret;
mod traces;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    apply, buckets, call, clone, config, delete, dev, doctor, events, explain, info, init,
    lameduck, logs, ls, nexlet, node, nodes, run, scale, schema, stop, top, up, workload,
};
use crate::complete;
use crate::config::Origins;
pub(crate) use connection::ConnectionArgs;
pub(crate) use log::{LogArgs, LogTarget};
pub(crate) use metrics::MetricsArgs;
pub(crate) use node_flags::{Agent, GoNodeArgs, NexletsArgs};
pub(crate) use otlp::OtlpArgs;
pub(crate) use secret::Secret;
pub(crate) use traces::TraceArgs;

const LONG_ABOUT: &str =
    "Nex runs code on NATS: JavaScript and WebAssembly functions, and static Linux programs.

Start here:
  nex up                                   NATS if none is there, a node, all nexlets
  nex run echo.js --on js.echo             deploy a function
  nex call echo 'hello'                    call it
  nex ls · nex logs -f · nex stop echo     look, follow, stop";

/// Runs code on NATS.
#[derive(Debug, Parser)]
#[command(name = "nex", version, about = "Run code on NATS", long_about = LONG_ABOUT, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// Namespace to act in; `system` sees and may do all
    #[arg(short = 'n', long, global = true, env = "NEX_NAMESPACE", add = complete::namespaces())]
    pub(crate) namespace: Option<String>,
    /// Where the node keeps its identity and its data [default: /var/lib/nex for root, else ~/.local/state/nex]
    #[arg(long, global = true, env = "NEX_STATE_DIR", hide_env_values = true, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// JSON configuration file, before ./config.json, ~/.config/nex/config.json and /etc/nex/config.json
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print the settings that are in force instead of running the command
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) unused: UnusedArgs,
    #[command(flatten)]
    pub(crate) nats: ConnectionArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Who said what of all this.
    #[arg(skip)]
    pub(crate) origins: Origins,
}

/// Accepted, so that scripts and files of the Go command line carry over.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct UnusedArgs {
    #[arg(long, global = true, hide = true)]
    disable_upgrade_check: bool,
    #[arg(long, global = true, hide = true)]
    auto_upgrade: bool,
    #[arg(long, global = true, hide = true)]
    dev_mode: bool,
}

/// The whole command line.
pub(crate) fn command() -> clap::Command {
    overview::added(<Cli as clap::CommandFactory>::command())
}

/// A duration as Go writes it.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    nex_types::parse_go(text).map_err(|_| "a duration, such as 500ms, 10s or 1m30s".to_owned())
}

/// The commands, short verbs first.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(Box<up::UpArgs>),
    #[command(visible_aliases = ["devrun", "yeet"])]
    Run(Box<run::RunArgs>),
    Dev(Box<dev::DevArgs>),
    Call(call::CallArgs),
    #[command(visible_alias = "ps")]
    Ls(ls::LsArgs),
    Nodes(nodes::NodesArgs),
    Info(info::InfoArgs),
    Logs(logs::LogsArgs),
    Events(events::EventsArgs),
    Top(top::TopArgs),
    Stop(stop::StopArgs),
    Clone(clone::CloneArgs),
    Lameduck(lameduck::LameduckArgs),
    Scale(scale::ScaleArgs),
    Apply(apply::ApplyArgs),
    Diff(apply::DiffArgs),
    Delete(delete::DeleteArgs),
    Init(init::InitArgs),
    Buckets(buckets::BucketsArgs),
    /// Work with nodes
    #[command(subcommand)]
    Node(node::NodeCommand),
    /// Work with workloads, in the form of the Go command line
    #[command(subcommand, visible_alias = "workloads")]
    Workload(workload::WorkloadCommand),
    Config(config::ConfigArgs),
    Doctor(doctor::DoctorArgs),
    Explain(explain::ExplainArgs),
    /// Print the JSON schema of a file that people write, for editors
    ///
    ///   nex schema nexfile > nexfile.schema.json
    #[command(verbatim_doc_comment)]
    Schema {
        /// Of which file
        #[arg(value_enum)]
        what: schema::SchemaOf,
    },
    /// Print the version
    ///
    ///   nex version --json
    #[command(verbatim_doc_comment)]
    Version,
    /// Print the script that lets a shell complete commands, flags and the names of what runs
    ///
    /// Let the shell read it at its start, so that it fits the program. Names are asked for while you
    /// type, for a third of a second at most.
    ///
    ///   source <(nex completions bash)                in ~/.bashrc
    ///   source <(nex completions zsh)                 in ~/.zshrc, after compinit
    ///   nex completions fish | source                 in ~/.config/fish/config.fish
    #[command(verbatim_doc_comment)]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Work with nexlets of your own
    #[command(subcommand)]
    Nexlet(nexlet::NexletCommand),
}

impl Command {
    /// Whether the process lives long and its log is for operators.
    pub(crate) fn is_daemon(&self) -> bool {
        match self {
            Self::Nexlet(command) => !matches!(command, nexlet::NexletCommand::Check(_)),
            other => matches!(other, Self::Node(node::NodeCommand::Up(_))),
        }
    }

    /// Whether it draws on the whole terminal, where nothing else may be written meanwhile.
    pub(crate) fn owns_terminal(&self) -> bool {
        matches!(self, Self::Top(_))
    }

    /// Nodes and nexlets have threads to spare for what waits; a request needs one.
    pub(crate) fn runtime(&self) -> std::io::Result<tokio::runtime::Runtime> {
        let mut builder = match self {
            Self::Up(_) | Self::Nexlet(_) | Self::Node(node::NodeCommand::Up(_)) => {
                tokio::runtime::Builder::new_multi_thread()
            }
            _ => tokio::runtime::Builder::new_current_thread(),
        };
        builder.enable_all().build()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn assert_apart(command: &clap::Command, globals: &[String]) {
        for argument in command.get_arguments().map(|argument| argument.get_id().to_string()) {
            assert!(!globals.contains(&argument), "{} has {argument} twice", command.get_name());
        }
        command.get_subcommands().for_each(|inner| assert_apart(inner, globals));
    }

    #[test]
    fn no_command_has_an_argument_that_is_called_as_a_global_one() {
        let command = Cli::command();
        let global = command.get_arguments().filter(|argument| argument.is_global_set());
        let globals: Vec<String> = global.map(|argument| argument.get_id().to_string()).collect();
        assert!(globals.iter().any(|name| name == "nats_password"), "{globals:?}");
        command.get_subcommands().for_each(|inner| assert_apart(inner, &globals));
    }
}
