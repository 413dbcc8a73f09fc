//! Behaviour of the engine, through the seam only.

mod support;

mod cache;
mod commands;
mod javascript_calls;
mod javascript_deploys;
mod javascript_globals;
mod javascript_instances;
mod limits;
mod reactors;
mod refusals;
mod sources;
