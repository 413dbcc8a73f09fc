//! The life of the nexlet's own credentials.
//!
//! Owns: the moment from which they are to be renewed, and handing new ones to the connection. Never:
//! asks for them; that is a registration.

use std::time::SystemTime;

use nex_api::NatsConnectionData;
use nex_bus::{Renewer, jwt};

/// What a connection needs to outlive its credentials.
#[derive(Debug)]
pub(crate) struct Renewal {
    renewer: Renewer,
    /// By the wall clock, as the end itself is: a machine that sleeps does not live longer. None when
    /// there is no end, or the node would refuse a second registration.
    due: Option<SystemTime>,
    may_register_again: bool,
}

impl Renewal {
    /// For a connection that was opened with `data`; only who has a token may register again.
    pub(crate) fn new(
        renewer: Renewer,
        data: &NatsConnectionData,
        may_register_again: bool,
    ) -> Self {
        let mut renewal = Self { renewer, due: None, may_register_again };
        renewal.plan(data);
        renewal
    }

    /// Whether two thirds of their life have passed.
    pub(crate) fn is_due(&self, now: SystemTime) -> bool {
        self.due.is_some_and(|due| now >= due)
    }

    /// Takes the credentials that replace them.
    pub(crate) fn take(&mut self, data: &NatsConnectionData) {
        if let Err(error) = self.renewer.renew(data) {
            tracing::error!(%error, "the node's new credentials are refused");
        }
        self.plan(data);
    }

    fn plan(&mut self, data: &NatsConnectionData) {
        let now = SystemTime::now();
        let left = jwt::renew_after(&data.nats_user_jwt, now).filter(|_| self.may_register_again);
        self.due = left.and_then(|left| now.checked_add(left));
    }
}
