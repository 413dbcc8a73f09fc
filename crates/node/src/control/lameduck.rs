//! LAMEDUCK.<node id>: takes no more work, and ends after a delay (spec: control API, section 5.10).
//!
//! Owns: the order of things, and that a second request can only bring the end nearer. Never: ends the
//! node itself; whoever runs it waits for [`Shared::lameduck`] to pass and drains.
//!
//! ```text
//! decode ─► tag ─► delay ─► state, tag ─► SETLAMEDUCK to all nexlets ─► event ─► reply
//!   400    silence  400                    (at most BOUND)
//! ```

use std::time::{Duration, Instant};

use jiff::Zoned;
use nex_api::event::Event;
use nex_api::node::{LameduckRequest, LameduckResponse, NodeState};
use nex_api::{Code, Time, decode, encode, subject};
use nex_bus::gather::{Bounds, gather};
use nex_bus::service::Answer;
use nex_types::{Tags, format_go, matches_tags, parse_go};

use super::{Shared, malformed};

/// Nexlets answer at once; who does not is not waited for.
const BOUND: Duration = Duration::from_millis(500);
/// Even without a delay, the reply goes out before the node begins to end.
const REPLY_FIRST: Duration = Duration::from_millis(100);

pub(super) async fn answer(shared: &Shared, body: &[u8]) -> Answer {
    let request = match decode::<LameduckRequest>(body) {
        Ok(request) => request,
        Err(error) => return malformed("failed to unmarshal lameduck request", &error),
    };
    if !matches_tags(&request.tag, &shared.tags()) {
        return Answer::Silence;
    }
    let delay = match parse_go(&request.delay) {
        Ok(delay) => delay,
        Err(error) => {
            let description = "failed to parse lameduck delay";
            return Answer::error(400, description, &error.to_string(), Code::MalformedRequest);
        }
    };
    // From here on the node takes no work; only then are the nexlets told.
    let asked = Instant::now();
    let end = shared.lameduck.bring(asked + delay.max(REPLY_FIRST));
    shared.state.send_if_modified(|state| {
        let is_up = matches!(state, NodeState::Starting | NodeState::Running);
        if is_up {
            *state = NodeState::Lameduck;
        }
        is_up
    });
    let left = delay.min(end.saturating_duration_since(asked));
    tell_nexlets(shared, left, request.tag).await;
    let ends = wall_clock(end);
    tracing::warn!(ends = %ends, "node entering lameduck mode");
    let (id, time) = (shared.node_id.clone(), Time::from(&ends));
    shared.events.emit(&Event::NodeLameduckSet { id, time }).await;
    let shown = ends.strftime("%Y-%m-%d %H:%M:%S");
    let message = format!("node entering lameduck mode, will shutdown at {shown}");
    Answer::ok(&LameduckResponse { message, success: true })
}

/// Asks every nexlet to take no more work, and announces what each answered.
async fn tell_nexlets(shared: &Shared, delay: Duration, tag: Tags) {
    let reachable = shared.agents.reachable();
    if reachable == 0 {
        return;
    }
    let subject = subject::agents(&shared.node_id, "SETLAMEDUCK");
    let body = encode(&LameduckRequest { delay: format_go(delay), tag });
    let bounds = Bounds { total: BOUND, stall: BOUND, max: Some(reachable) };
    let gathered = match gather(&shared.client, subject, body.into(), bounds, |_| false).await {
        Ok(gathered) => gathered,
        Err(error) => return tracing::error!(%error, "nexlets not told of lameduck mode"),
    };
    for reply in &gathered.messages {
        let success =
            decode::<LameduckResponse>(&reply.payload).is_ok_and(|response| response.success);
        shared.events.emit(&Event::AgentLameduckSet { success }).await;
    }
    if gathered.messages.len() < reachable {
        let silent = reachable - gathered.messages.len();
        tracing::warn!(silent, "nexlets did not answer SETLAMEDUCK in time");
    }
}

/// A moment by the local clock.
fn wall_clock(at: Instant) -> Zoned {
    let now = Zoned::now();
    now.checked_add(at.saturating_duration_since(Instant::now())).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_delay_is_still_a_time() {
        let end = Instant::now() + Duration::from_nanos(u64::MAX);
        assert!(wall_clock(end).year() > 2500);
        assert!(Time::from(&wall_clock(Instant::now())) <= Time::now());
    }
}
