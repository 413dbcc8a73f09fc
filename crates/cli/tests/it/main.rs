//! The acceptance tests: what a user does with the real `nex` binary, and what must be seen.
//!
//! 1. The journeys, one file each, by their numbers.
//! 2. Bad input is refused with an exit code, a sentence and a hint (`refused`, `failing_calls`, `up_refused`).
//! 3. Nothing is lost when NATS, a nexlet, the node or the managed server goes away (`outage`, `killed`, J30,
//!    J37), or when node and nexlets are replaced (`upgrade`).
//! 4. What runs outlives its node, and secrets are nobody else's (`j30_state`, `j36_restored`, `state*`, `secrets`).
//! 5. The control API keeps its promises to raw requests of any client (`control_*`, `feeds`, `replies`).
//! 6. Settings, identities and the noun verbs: `configuration`, `identity`, `nouns`.
//! 7. The examples run, the guide's commands print what the guide says, and `nex init` writes what works
//!    (`examples`, `guide`, `init`); a file is worked on (`dev`).
//! 8. What draws on a terminal, in a terminal (`top`, `dev`).
//! 9. Nexfiles are applied and deleted, errors explained, mistyped names guessed (`apply*`, `explain`, `suggestions`),
//!    shells offered what is there (`completions`), uploads pruned (`uploads`), files mended (`doctor_fix`).
//! 10. Metrics leave for other tools (`exporters`).
//!
//! Callers of functions speak through async-nats, never through our own client.

#![allow(clippy::disallowed_methods, reason = "callers run side by side in plain tasks")]
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod apply;
mod apply_asks;
mod completions;
mod configuration;
mod control_agent_id;
mod control_clone;
mod control_deploy;
mod control_errors;
mod control_ingress;
mod control_lists;
mod control_nexlets;
mod control_register;
mod control_remote;
mod control_shared;
mod dev;
mod doctor_fix;
mod error_codes;
mod examples;
mod explain;
mod exporters;
mod failing_calls;
mod feeds;
mod floods;
mod foreign;
mod function_settings;
mod functions_killed;
mod go_nexlet;
mod guests;
mod guide;
mod history;
mod identity;
mod init;
mod j01_newcomer;
mod j02_nodes;
mod j03_bytes;
mod j04_j05_scripts;
mod j06_wasm;
mod j07_service;
mod j08_replace;
mod j09_stop;
mod j10_command_line;
mod j10_every_command;
mod j10_help;
mod j10_output;
mod j11_copies;
mod j12_attacks;
mod j13_host_services;
mod j14_stream_trigger;
mod j15_other_triggers;
mod j16_thousand;
mod j17_sources;
mod j18_components;
mod j18_components_key_value;
mod j18_components_services;
mod j19_denied;
mod j21_j25_services;
mod j24_adopted;
mod j27_namespaces;
mod j28_lameduck;
mod j30_node_killed;
mod j30_state;
mod j31_credentials;
mod j31_issuers;
mod j31_renewal;
mod j32_foreign_nexlet;
mod j34_boxed;
mod j34_two_accounts;
mod j35_replacing;
mod j36_restored;
mod j37_kills;
mod j38_durables;
mod j39_sizes;
mod j40_namespaces;
mod j41_many_attackers;
mod j42_fresh_instances;
mod killed;
mod liars;
mod lists;
mod load;
mod metrics;
mod nexlet_check;
mod nouns;
mod outage;
mod programs;
mod refused;
mod remote_nexlet;
mod replies;
mod scripted;
mod secrets;
mod site;
mod state;
mod state_away;
mod suggestions;
mod top;
mod traces;
mod traces_otlp;
mod up_refused;
mod up_server;
mod upgrade;
mod uploads;
mod world;
