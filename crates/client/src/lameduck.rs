//! Sending a node into lame duck mode.
//!
//! Owns: LAMEDUCK. Never: waits for the node's end; that is an event (see [`crate::Events`]).

use std::time::Duration;

use nex_api::node::{LameduckRequest, LameduckResponse};
use nex_api::{encode, subject};
use nex_types::{Namespace, Tags, format_go};

use crate::{Client, Error};

/// Our node answers within half a second; Go's waits for its nexlets, up to ten.
const BOUND: Duration = Duration::from_secs(12);

impl Client {
    /// Tells one node to take no more work and to end after `delay`, provided that it has all of `guard`
    /// among its tags; else it stays silent.
    ///
    /// # Errors
    /// [`Error::NoResponders`] when there is no such node, [`Error::TimedOut`] when its tags differ.
    pub async fn lameduck(
        &self,
        node_id: &str,
        delay: Duration,
        guard: &Tags,
    ) -> Result<LameduckResponse, Error> {
        let subject = subject::control_of(Namespace::SYSTEM, "LAMEDUCK", node_id);
        let request = LameduckRequest { delay: format_go(delay), tag: guard.clone() };
        self.ask_one(subject, encode(&request), BOUND).await
    }
}
