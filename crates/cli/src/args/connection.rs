//! Flags that say which NATS is meant and who asks: ours, and the Go command line's beside them.
//!
//! Owns: names, variables and help texts. Never: decides which of them wins (see `connection`).

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Secret;

/// Where NATS is and how to identify oneself there.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "NATS options")]
pub(crate) struct ConnectionArgs {
    /// Address of NATS; several are separated by commas
    #[arg(
        short = 's',
        long = "nats-url",
        alias = "nats.servers",
        global = true,
        env = "NATS_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub(crate) nats_url: Option<String>,
    /// NATS context of the `nats` command line: address and identity in one
    #[arg(
        long = "context",
        aliases = ["nats.context", "nats-context"],
        global = true,
        env = "NATS_CONTEXT",
        value_name = "NAME",
        add = crate::complete::contexts()
    )]
    pub(crate) nats_context: Option<String>,
    /// NATS credentials file
    #[arg(long, alias = "nats.creds-file", global = true, env = "NATS_CREDS", value_name = "FILE")]
    pub(crate) nats_creds: Option<PathBuf>,
    /// User name
    #[arg(
        long,
        alias = "nats.user",
        global = true,
        env = "NATS_USER",
        hide_short_help = true,
        hide_env_values = true,
        value_name = "NAME"
    )]
    pub(crate) nats_user: Option<String>,
    /// Password, or @FILE that holds it
    #[arg(
        long,
        alias = "nats.password",
        global = true,
        env = "NATS_PASSWORD",
        hide_short_help = true,
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub(crate) nats_password: Option<Secret>,
    /// Token, or @FILE that holds it
    #[arg(
        long,
        alias = "nats.token",
        global = true,
        env = "NATS_TOKEN",
        hide_short_help = true,
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub(crate) nats_token: Option<Secret>,
    /// Public nkey whose seed is given too, or a file that holds the seed
    #[arg(
        long,
        alias = "nats.nkey",
        global = true,
        env = "NATS_NKEY",
        hide_short_help = true,
        hide_env_values = true,
        value_name = "KEY|FILE"
    )]
    pub(crate) nats_nkey: Option<String>,
    /// Seed that belongs to --nats-jwt or --nats-nkey, or @FILE that holds it
    #[arg(
        long,
        alias = "nats.seed",
        global = true,
        env = "NATS_SEED",
        hide_short_help = true,
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub(crate) nats_seed: Option<Secret>,
    /// User JWT, or @FILE that holds it
    #[arg(
        long,
        alias = "nats.jwt",
        global = true,
        env = "NATS_JWT",
        hide_short_help = true,
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub(crate) nats_jwt: Option<Secret>,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    /// Name that the server shows for the connection [default: nex-VERSION]
    #[arg(
        long,
        alias = "nats.conn-name",
        global = true,
        hide_short_help = true,
        value_name = "NAME"
    )]
    pub(crate) nats_conn_name: Option<String>,
    /// How long to wait for the server when connecting [default: 5s]
    #[arg(
        long,
        alias = "nats.timeout",
        global = true,
        env = "NATS_TIMEOUT",
        hide_short_help = true,
        value_name = "DURATION",
        value_parser = super::duration
    )]
    pub(crate) nats_timeout: Option<Duration>,
    /// JetStream domain
    #[arg(
        long,
        alias = "nats.jsdomain",
        global = true,
        env = "NATS_JS_DOMAIN",
        hide_short_help = true,
        value_name = "NAME"
    )]
    pub(crate) nats_js_domain: Option<String>,
}

/// TLS towards the server.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "NATS options")]
pub(crate) struct TlsArgs {
    /// Client certificate
    #[arg(
        long,
        alias = "nats.tlscert",
        global = true,
        env = "NATS_CERT",
        hide_short_help = true,
        value_name = "FILE"
    )]
    pub(crate) nats_tls_cert: Option<PathBuf>,
    /// Private key of the client certificate
    #[arg(
        long,
        alias = "nats.tlskey",
        global = true,
        env = "NATS_KEY",
        hide_short_help = true,
        value_name = "FILE"
    )]
    pub(crate) nats_tls_key: Option<PathBuf>,
    /// Certificates of the authorities to trust
    #[arg(
        long,
        alias = "nats.tlsca",
        global = true,
        env = "NATS_CA",
        hide_short_help = true,
        value_name = "FILE"
    )]
    pub(crate) nats_tls_ca: Option<PathBuf>,
    /// Begin with TLS, before the server says anything
    #[arg(long, alias = "nats.tlsfirst", global = true, hide_short_help = true)]
    pub(crate) nats_tls_first: bool,
}
