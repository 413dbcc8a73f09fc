//! Behaviour of the engine, through the seam only.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod support;

mod attacks;
mod cache;
mod commands;
mod component_attacks;
mod component_commands;
mod components;
mod javascript_calls;
mod javascript_deploys;
mod javascript_globals;
mod javascript_instances;
mod javascript_members;
mod limits;
mod pool;
mod reactors;
mod refusals;
mod retired;
mod sources;
mod typescript;
