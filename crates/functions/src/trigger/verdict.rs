//! What is done with a delivered message, before its run and after it.
//!
//! Owns: the decisions. Never: runs, publishes, or reads a clock.
//!
//! ```text
//!               above max_deliver, or two nexlets died ──▶ given up
//! delivered ──▶ one nexlet died, or may have ────────────▶ runs alone ──┐
//!               else ────────────────────────────────────▶ runs ────────┤
//!                                                                       ├─ succeeded ──▶ done
//!                                              stopped in the middle ───┼──────────────▶ again, at once
//!                                                              failed ──┼──────────────▶ again, later
//!                                        failed the last allowed time ──┘──────────────▶ given up
//! ```
//!
//! Who kills a nexlet takes others' runs along: what ran at the same time is suspected too, and shown to be
//! innocent by running alone. Deliveries that a stop of the function cut off are none of the message's runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Failed, Rules};

/// Pauses after failed runs; the last one for all that follow.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
];
/// A message over which so many nexlets died is not tried again.
const MOST_DEATHS: u32 = 2;

/// What is remembered of a message that did not go well at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Nexlets that ended while they ran it.
    pub(crate) deaths: u32,
    /// The nexlet that runs it now, or ran it when it died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) running: Option<String>,
    /// Deliveries that a stop cut off; they do not count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) cut_off: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Before a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The record, where there is one, is written first.
    Run(Option<Record>),
    /// With no other message of this trigger in this nexlet.
    RunAlone(Record),
    GiveUp(String),
}

/// After it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum After {
    Done,
    /// The record is written first, so that the next delivery is not taken for a death.
    Again(Duration),
    /// At once, as if this delivery had not been; the record says so.
    HandBack,
    GiveUp(String),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    Well,
    Badly(String),
    /// The function is being stopped; it was not the message's fault.
    CutOff,
    /// The nexlet had no room for it; nor was that.
    NoRoom,
}

/// Decides before the run. A first delivery has no record, so that messages which go well cost nothing.
pub(crate) fn before(count: u64, rules: &Rules, record: Option<&Record>, me: &str) -> Verdict {
    let deaths = deaths(count, record, me);
    if deaths >= MOST_DEATHS {
        return Verdict::GiveUp(format!("{deaths} nexlets ended while they ran it"));
    }
    let n_runs = n_runs(count, record);
    if n_runs > rules.max_deliver {
        return Verdict::GiveUp(format!("it was delivered {n_runs} times"));
    }
    let cut_off = record.map_or(0, |record| record.cut_off);
    let record = Record { deaths, running: Some(me.to_owned()), cut_off };
    match (count, deaths) {
        (1, _) => Verdict::Run(None),
        (_, 0) => Verdict::Run(Some(record)),
        _ => Verdict::RunAlone(record),
    }
}

/// Decides after it.
pub(crate) fn after(count: u64, rules: &Rules, record: Option<&Record>, ended: Ended) -> After {
    let n_runs = n_runs(count, record);
    match ended {
        Ended::Well => After::Done,
        Ended::CutOff => After::HandBack,
        Ended::NoRoom => After::Again(pause(n_runs)),
        Ended::Badly(_) if rules.failed == Failed::IsOver => After::Done,
        Ended::Badly(reason) if n_runs >= rules.max_deliver => After::GiveUp(reason),
        Ended::Badly(_) => After::Again(pause(n_runs)),
    }
}

/// The record of a delivery that was handed back: it counts neither as a run nor as a death.
pub(crate) fn handed_back(count: u64, record: Option<&Record>, me: &str) -> Record {
    let cut_off = record.map_or(0, |record| record.cut_off).saturating_add(1);
    Record { deaths: deaths(count, record, me), running: None, cut_off }
}

fn deaths(count: u64, record: Option<&Record>, me: &str) -> u32 {
    match record {
        // Delivered before, and whoever ran it left no word: it may have died.
        None => u32::from(count > 1),
        Some(Record { deaths, running: Some(other), .. }) if other != me => {
            deaths.saturating_add(1)
        }
        Some(Record { deaths, .. }) => *deaths,
    }
}

/// Which run this one is.
fn n_runs(count: u64, record: Option<&Record>) -> u64 {
    count.saturating_sub(record.map_or(0, |record| record.cut_off))
}

fn pause(count: u64) -> Duration {
    let idx = usize::try_from(count.saturating_sub(1)).unwrap_or(usize::MAX);
    PAUSES[idx.min(PAUSES.len() - 1)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(max_deliver: u64) -> Rules {
        Rules { max_deliver, dead_letter: None, failed: Failed::RunsAgain }
    }

    #[test]
    fn pauses_grow_to_two_minutes() {
        let seconds = [1, 2, 3, 4, 5, 1000].map(|count| pause(count).as_secs());
        assert_eq!(seconds, [1, 5, 30, 120, 120, 120]);
    }

    #[test]
    fn the_last_allowed_run_that_fails_is_given_up_with_its_reason() {
        let badly = || Ended::Badly("thrown".to_owned());
        assert_eq!(after(4, &rules(5), None, badly()), After::Again(Duration::from_secs(120)));
        assert_eq!(after(5, &rules(5), None, badly()), After::GiveUp("thrown".to_owned()));
        assert_eq!(after(5, &rules(5), None, Ended::CutOff), After::HandBack);
        let tick = Rules { failed: Failed::IsOver, ..rules(5) };
        assert_eq!(after(1, &tick, None, badly()), After::Done);
    }

    #[test]
    fn what_a_stop_cut_off_counts_neither_as_a_run_nor_as_a_death() {
        let once = handed_back(1, None, "a");
        assert_eq!(once, Record { cut_off: 1, ..Record::default() });
        let Verdict::Run(Some(record)) = before(2, &rules(1), Some(&once), "b") else {
            panic!("it runs, and not alone");
        };
        assert_eq!((record.deaths, record.cut_off), (0, 1));
        let badly = Ended::Badly("thrown".to_owned());
        assert_eq!(after(2, &rules(1), Some(&record), badly), After::GiveUp("thrown".to_owned()));
        let twice = handed_back(2, Some(&record), "b");
        assert!(matches!(before(3, &rules(1), Some(&twice), "c"), Verdict::Run(Some(_))));
    }

    #[test]
    fn a_nexlet_that_dies_over_the_last_allowed_run_does_not_get_another() {
        assert!(matches!(before(6, &rules(5), None, "a"), Verdict::GiveUp(_)));
        assert!(matches!(before(5, &rules(5), None, "a"), Verdict::RunAlone(_)));
    }

    #[test]
    fn an_outage_is_not_a_death_of_who_lives() {
        let mine = Record { deaths: 1, running: Some("me".to_owned()), ..Record::default() };
        assert_eq!(before(3, &rules(5), Some(&mine), "me"), Verdict::RunAlone(mine.clone()));
        assert!(matches!(before(3, &rules(5), Some(&mine), "new"), Verdict::GiveUp(_)));
    }

    /// What may happen to a run.
    #[derive(Debug, Clone, Copy)]
    enum Fate {
        Succeeds,
        Fails,
        KillsNexlet,
        IsCutOff,
    }

    fn fate() -> impl Strategy<Value = Fate> {
        use Fate::*;
        prop_oneof![Just(Succeeds), Just(Fails), Just(KillsNexlet), Just(IsCutOff)]
    }

    proptest! {
        /// Whatever happens, a message ends, runs at most `max_deliver` times to an end of its own, and
        /// kills at most two.
        #[test]
        fn every_message_ends(
            max_deliver in 1u64..8,
            fates in proptest::collection::vec(fate(), 10),
        ) {
            let rules = rules(max_deliver);
            let (mut record, mut me, mut n_runs, mut n_deaths) = (None::<Record>, 0, 0, 0);
            let mut n_cut_off = 0;
            let mut has_ended = false;
            for (count, fate) in (1u64..).zip(fates) {
                let verdict = before(count, &rules, record.as_ref(), &me.to_string());
                match verdict {
                    Verdict::GiveUp(_) => { has_ended = true; break; }
                    Verdict::Run(Some(written)) | Verdict::RunAlone(written) => record = Some(written),
                    Verdict::Run(None) => {}
                }
                n_runs += 1;
                let ended = match fate {
                    Fate::Succeeds => Ended::Well,
                    Fate::Fails => Ended::Badly("thrown".to_owned()),
                    Fate::IsCutOff => Ended::CutOff,
                    Fate::KillsNexlet => { n_deaths += 1; me += 1; continue; }
                };
                match after(count, &rules, record.as_ref(), ended) {
                    After::Done | After::GiveUp(_) => { has_ended = true; break; }
                    After::Again(_) => {
                        record = Some(Record { running: None, ..record.unwrap_or_default() });
                    }
                    After::HandBack => {
                        n_cut_off += 1;
                        record = Some(handed_back(count, record.as_ref(), &me.to_string()));
                    }
                }
            }
            prop_assert!(has_ended || n_cut_off > 10 - 1 - max_deliver, "{n_cut_off} were cut off");
            prop_assert!(n_runs <= max_deliver + n_cut_off);
            prop_assert!(n_deaths <= 2);
        }
    }
}
