//! Lame duck mode of a nexlet: no new work, workloads stopped at nine tenths of the delay, then the end.
//!
//! Owns: both moments, and the answer to SETLAMEDUCK. Never: stops a workload itself; the task of each
//! waits for the first moment, so that one which is just being started is not missed.
//!
//! ```text
//! running ─SETLAMEDUCK─► lameduck ─9/10 of the delay─► workloads stop ─10/10─► drain, process ends
//! ```

use std::time::{Duration, Instant};

use nex_api::agent::AGENT_ID_HEADER;
use nex_api::decode;
use nex_api::node::{LameduckRequest, LameduckResponse};
use nex_bus::service::Answer;
use nex_sandbox::Deadline;
use nex_types::parse_go;

use crate::server::{Server, failed};

/// What a nexlet says of itself from then on.
pub(crate) const LAMEDUCK: &str = "lameduck";

/// When a lame duck does what; not set while it is none.
#[derive(Debug, Default)]
pub(crate) struct Lameduck {
    pub(crate) stop: Deadline,
    pub(crate) end: Deadline,
}

impl Lameduck {
    /// A second delay can only bring both moments nearer.
    fn set(&self, now: Instant, delay: Duration) {
        self.stop.bring(now + delay - delay / 10);
        self.end.bring(now + delay);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.end.get().is_some()
    }
}

/// SETLAMEDUCK: answered at once, whatever the delay.
pub(crate) fn answer(server: &Server, body: &[u8]) -> Answer {
    let request = match decode::<LameduckRequest>(body) {
        Ok(request) => request,
        Err(error) => return failed(&error.to_string()),
    };
    let delay = match parse_go(&request.delay) {
        Ok(delay) => delay,
        Err(error) => return failed(&error.to_string()),
    };
    server.lameduck.set(Instant::now(), delay);
    server.state.send_if_modified(|state| {
        let was_running = *state == "running";
        if was_running {
            *state = LAMEDUCK;
        }
        was_running
    });
    tracing::warn!(?delay, "nexlet entering lameduck mode");
    let response = LameduckResponse { message: String::new(), success: true };
    // Go nodes look for the id here, and log an error when it is missing.
    let headers = vec![(AGENT_ID_HEADER.to_owned(), server.agent_id.clone())];
    Answer::Reply { body: nex_api::encode(&response), headers }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workloads_stop_at_nine_tenths_and_nothing_moves_it_back() {
        let (lameduck, now) = (Lameduck::default(), Instant::now());
        assert!(!lameduck.is_set());
        lameduck.set(now, Duration::from_secs(10));
        lameduck.set(now, Duration::from_secs(60));
        assert_eq!(lameduck.stop.get(), Some(now + Duration::from_secs(9)));
        assert_eq!(lameduck.end.get(), Some(now + Duration::from_secs(10)));
        lameduck.set(now, Duration::ZERO);
        assert_eq!([lameduck.stop.get(), lameduck.end.get()], [Some(now); 2]);
    }
}
