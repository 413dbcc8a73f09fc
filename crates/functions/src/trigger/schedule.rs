//! Schedules: every copy publishes the nominal ticks, one durable runs them.
//!
//! Owns: what a request may say, publishing ticks, and which of them are too old. Never: publishes by a
//! clock that is not the server's.
//!
//! A tick's `Nats-Msg-Id` is the same in all copies, so that the stream keeps one.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nex_api::start::FullTrigger;
use nex_api::trigger::{CatchUp, Durable, Of, ScheduleTrigger, ticks_prefix, ticks_stream};
use nex_bus::{Client, HeaderMap, Message, durable, streams};
use nex_nexlet::StartFailure;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::{DurableTrigger, Failed, Read, Source, invalid};
use crate::guest_log::FeedLog;
use crate::request::Owner;
use crate::runtime::{GuestLog, Level, Stimulus};

/// The nominal time of a tick.
const TICK: &str = "Nex-Tick";
/// A clock that is off by more does not tick.
const MOST_SKEW: SignedDuration = SignedDuration::from_secs(5);
/// How often the clocks are compared.
const COMPARED: Duration = Duration::from_secs(60);
/// And how often while they differ, or the server does not answer.
const COMPARED_AGAIN: Duration = Duration::from_secs(5);
/// A tick later than this is not published any more: the stream may have forgotten that it had it.
const LATEST: SignedDuration = SignedDuration::from_secs(60);
/// Before a tick that was not taken is published again: an election takes about as long.
const PUBLISH_PAUSE: std::time::Duration = std::time::Duration::from_secs(1);
/// Ticks that run at the same time.
const MOST_AT_ONCE: u32 = 16;

/// The ticks of one trigger.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    clock: Clock,
    catch_up: CatchUp,
    stream: String,
    /// Of all ticks of the namespace.
    prefix: String,
    subject: String,
}

pub(super) fn parse(
    wire: ScheduleTrigger,
    durable: Durable,
    owner: &Owner<'_>,
) -> Result<DurableTrigger, StartFailure> {
    let timezone = wire.timezone.as_deref().unwrap_or("UTC");
    let clock = Clock::parse(&wire.cron, timezone).map_err(|why| invalid(&why))?;
    let schedule = Schedule {
        clock,
        catch_up: wire.catch_up.unwrap_or_default(),
        stream: ticks_stream(owner.namespace),
        prefix: ticks_prefix(owner.namespace),
        subject: wire.subject(Of { namespace: owner.namespace, name: owner.name }),
    };
    let source = Source::Schedule(schedule);
    let mut trigger = DurableTrigger::new(FullTrigger::Schedule(wire), durable, source);
    trigger.settings.max_in_flight = MOST_AT_ONCE;
    trigger.rules.failed = Failed::IsOver;
    Ok(trigger)
}

impl Schedule {
    /// Makes the stream of ticks unless it is there.
    pub(crate) async fn prepare(&self, client: &Client) -> Result<(), StartFailure> {
        streams::keep_ticks(client, &self.stream, &self.prefix).await.map_err(|why| {
            invalid(&format!("stream {} for ticks cannot be made: {why}", self.stream))
        })
    }

    pub(super) fn read(&self, message: &Message, now: Timestamp) -> Read {
        match tick_of(message.headers.as_ref()) {
            Some(at) if !self.clock.is_over(at, now) => Read::Run(Stimulus::Schedule { at }),
            _ => Read::Skip,
        }
    }

    /// Publishes ticks until `stop`.
    pub(crate) async fn tick(self, client: Arc<Client>, logs: FeedLog, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.tick_for_ever(&client, &logs) => {}
        }
    }

    async fn tick_for_ever(&self, client: &Client, logs: &FeedLog) {
        let mut ticked = Timestamp::now();
        self.agree(client, logs).await;
        let mut compared = tokio::time::Instant::now();
        if self.catch_up == CatchUp::Last {
            self.make_up(client, ticked).await;
        }
        loop {
            let Some(next) = self.clock.next(ticked) else { return };
            sleep_until(next).await;
            if compared.elapsed() > COMPARED {
                self.agree(client, logs).await;
                compared = tokio::time::Instant::now();
            }
            ticked = next;
            let late = Timestamp::now().duration_since(next);
            if late <= LATEST {
                self.publish_in_time(client, next).await;
            } else {
                // This copy slept; ticks between are another's, or missed.
                ticked = Timestamp::now();
            }
        }
    }

    /// Waits until this clock and the server's agree, and says so when they do not.
    async fn agree(&self, client: &Client, logs: &FeedLog) {
        let mut said = false;
        loop {
            let asked = Timestamp::now();
            let server = streams::time_by(client, &self.stream).await;
            let answered = Timestamp::now();
            let server = server.and_then(|text| text.parse::<Timestamp>().ok());
            match server.map(|server| skew(asked, server, answered)) {
                Some(skew) if skew.abs() <= MOST_SKEW => return,
                Some(skew) if !said => {
                    said = true;
                    let seconds = skew.as_secs();
                    let line = format!(
                        "this machine's clock is {seconds} s off the server's: no ticks from here until it is right"
                    );
                    tracing::error!("{line}");
                    logs.line(Level::Error, &line);
                }
                _ => {}
            }
            tokio::time::sleep(COMPARED_AGAIN).await;
        }
    }

    /// Publishes the last tick when the one before was published and this one was not: no copy ran.
    async fn make_up(&self, client: &Client, now: Timestamp) {
        let published = streams::last_headers(client, &self.stream, &self.subject).await;
        let Some(published) = tick_of(published.as_ref()) else { return };
        if let Some(last) = self.clock.last(now).filter(|last| published < *last) {
            self.publish(client, last).await;
        }
    }

    /// Publishes a tick again until it is taken, as long as it is timely: its id keeps it single.
    async fn publish_in_time(&self, client: &Client, at: Timestamp) {
        while !self.publish(client, at).await {
            let now = Timestamp::now();
            if now.duration_since(at) > LATEST || self.clock.is_over(at, now) {
                return;
            }
            tokio::time::sleep(PUBLISH_PAUSE).await;
        }
    }

    /// Whether the stream has it.
    async fn publish(&self, client: &Client, at: Timestamp) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", format!("{}.{}", self.subject, at.as_millisecond()));
        headers.insert(TICK, at.to_string());
        let published =
            durable::publish(client, self.subject.clone(), headers, bytes::Bytes::new()).await;
        if let Err(error) = &published {
            tracing::warn!(subject = self.subject, %error, "tick not published");
        }
        published.is_ok()
    }
}

fn tick_of(headers: Option<&HeaderMap>) -> Option<Timestamp> {
    headers?.get(TICK)?.as_str().parse().ok()
}

/// How far this clock is before the server's, which was read at some time between the two.
fn skew(asked: Timestamp, server: Timestamp, answered: Timestamp) -> SignedDuration {
    if server < asked {
        asked.duration_since(server)
    } else if server > answered {
        answered.duration_since(server)
    } else {
        SignedDuration::ZERO
    }
}

/// By the wall clock, which may be set meanwhile: never sleeps for long at once.
async fn sleep_until(at: Timestamp) {
    loop {
        let left = at.duration_since(Timestamp::now());
        let Ok(left) = Duration::try_from(left) else { return };
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(Duration::from_secs(10))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skew_is_what_the_way_there_and_back_does_not_explain() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        assert_eq!(skew(at(100), at(101), at(103)), SignedDuration::ZERO);
        assert_eq!(skew(at(100), at(90), at(103)), SignedDuration::from_secs(10));
        assert_eq!(skew(at(100), at(113), at(103)), SignedDuration::from_secs(-10));
    }
}
