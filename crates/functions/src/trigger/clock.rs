//! The nominal ticks of a schedule.
//!
//! Owns: reading `cron` and `timezone`, and which tick is next. Never: reads a clock; time is an argument.

use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use nex_types::parse_go;

/// Ticks more often than this are no schedule.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);
const EVERY: &str = "@every";

/// When it ticks.
#[derive(Debug, Clone)]
pub(crate) enum Clock {
    /// Counted from the Unix epoch.
    Every {
        millis: i64,
    },
    Cron {
        cron: Box<Cron>,
        timezone: TimeZone,
    },
}

impl Clock {
    /// Reads both keys; the refusal names the one that is wrong.
    pub(crate) fn parse(cron: &str, timezone: &str) -> Result<Self, String> {
        if let Some(every) = cron.trim().strip_prefix(EVERY) {
            if timezone != "UTC" {
                return Err(format!("timezone {timezone}: {EVERY} is counted from the Unix epoch"));
            }
            return parse_every(every.trim()).map(|millis| Self::Every { millis });
        }
        let n_fields = cron.split_whitespace().count();
        if !(5..=6).contains(&n_fields) {
            return Err(format!(
                "cron \"{cron}\" has {n_fields} fields; write five, six with seconds, or {EVERY} 10s"
            ));
        }
        let parser =
            CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let parsed = parser.parse(cron).map_err(|error| format!("cron \"{cron}\": {error}"))?;
        let timezone = TimeZone::get(timezone).map_err(|_| {
            format!("timezone \"{timezone}\" is not known; write for example Europe/Berlin")
        })?;
        let clock = Self::Cron { cron: Box::new(parsed), timezone };
        match clock.next(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(clock),
            None => Err(format!("cron \"{cron}\" never comes")),
        }
    }

    /// The first tick after `after`.
    pub(crate) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every { millis } => {
                let n_passed = after.as_millisecond().div_euclid(*millis);
                Timestamp::from_millisecond((n_passed + 1).checked_mul(*millis)?).ok()
            }
            Self::Cron { cron, timezone } => {
                let local = after.to_zoned(timezone.clone());
                cron.find_next_occurrence(&local, false).ok().map(|at| at.timestamp())
            }
        }
    }

    /// The last tick at or before `now`.
    pub(crate) fn last(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every { millis } => {
                Timestamp::from_millisecond(now.as_millisecond().div_euclid(*millis) * millis).ok()
            }
            Self::Cron { cron, timezone } => {
                let local = now.to_zoned(timezone.clone());
                cron.find_previous_occurrence(&local, true).ok().map(|at| at.timestamp())
            }
        }
    }

    /// Whether `tick` is older than a period, so that there was another one since.
    pub(crate) fn is_over(&self, tick: Timestamp, now: Timestamp) -> bool {
        self.next(tick).is_none_or(|next| next <= now)
    }
}

fn parse_every(text: &str) -> Result<i64, String> {
    let every = parse_go(text)
        .map_err(|_| format!("cron \"{EVERY} {text}\": \"{text}\" is not a duration; write 10s"))?;
    if !(SHORTEST..=LONGEST).contains(&every) {
        return Err(format!("cron \"{EVERY} {text}\": write from 1s to 8784h"));
    }
    i64::try_from(every.as_millis()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn ticks(cron: &str, timezone: &str, from: &str, n: usize) -> Vec<String> {
        let clock = Clock::parse(cron, timezone).unwrap();
        let mut now = at(from);
        let mut ticks = Vec::new();
        for _ in 0..n {
            now = clock.next(now).unwrap();
            ticks.push(now.to_string());
        }
        ticks
    }

    #[test]
    fn five_fields_six_fields_and_every() {
        assert_eq!(
            ticks("*/15 * * * *", "UTC", "2026-01-01T00:00:00Z", 2),
            ["2026-01-01T00:15:00Z", "2026-01-01T00:30:00Z"]
        );
        assert_eq!(
            ticks("*/20 * * * * *", "UTC", "2026-01-01T00:00:00Z", 2),
            ["2026-01-01T00:00:20Z", "2026-01-01T00:00:40Z"]
        );
        assert_eq!(
            ticks("@every 7s", "UTC", "1970-01-01T00:00:01Z", 2),
            ["1970-01-01T00:00:07Z", "1970-01-01T00:00:14Z"]
        );
    }

    #[test]
    fn what_is_no_schedule_is_refused_by_its_key() {
        for (cron, timezone, says) in [
            ("* * * *", "UTC", "4 fields"),
            ("* * * * * * 2026", "UTC", "7 fields"),
            ("61 * * * *", "UTC", "cron"),
            ("@every 10", "UTC", "not a duration"),
            ("@every 1ms", "UTC", "from 1s"),
            ("* * * * *", "Mars/Olympus", "timezone"),
            ("@every 1s", "Europe/Berlin", "timezone"),
            ("0 0 31 2 *", "UTC", "never"),
        ] {
            let error = Clock::parse(cron, timezone).unwrap_err();
            assert!(error.contains(says), "{cron}: {error}");
        }
    }

    #[test]
    fn a_time_that_is_skipped_runs_at_the_next_instant_and_one_that_is_repeated_once() {
        // On 29 March 2026 Berlin has no 02:30, on 25 October it has two.
        assert_eq!(
            ticks("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2),
            ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
        );
        assert_eq!(
            ticks("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
    }

    proptest! {
        #[test]
        fn the_next_tick_is_later_and_nothing_lies_between(
            seconds in 0i64..4_000_000_000, which in 0usize..5,
        ) {
            let crons = ["@every 1s", "@every 90m", "*/5 * * * *", "15 3 * * 1", "*/7 30 */6 * * *"];
            let clock = Clock::parse(crons[which], "UTC").unwrap();
            let now = Timestamp::from_second(seconds).unwrap();
            let (last, next) = (clock.last(now).unwrap(), clock.next(now).unwrap());
            prop_assert!(last <= now && now < next);
            prop_assert_eq!(clock.next(last), Some(next));
            prop_assert!(!clock.is_over(last, now));
            prop_assert!(clock.is_over(last, next));
        }
    }
}
