//! Lives against a model: any events in any order, and programs of every behaviour.
//!
//! Owns: what must hold of every life. Never: waits.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MIDDLE: f64 = 0.5;
const FAILURE: Event = Event::Ended(How::Failure);
const SUCCESS: Event = Event::Ended(How::Success);

fn service() -> Policy {
    Policy {
        kind: Kind::Service,
        restart: RestartWhen::Always,
        max: 10,
        window: 600 * SECOND,
        backoff_first: SECOND,
        backoff_longest: 60 * SECOND,
        timeout: None,
        grace: 10 * SECOND,
    }
}

fn job(retries: u32) -> Policy {
    let restart = if retries == 0 { RestartWhen::Never } else { RestartWhen::OnFailure };
    let timeout = Some(30 * SECOND);
    Policy { kind: Kind::Job, restart, max: retries, window: Duration::MAX, timeout, ..service() }
}

/// Plays events at one moment and collects what follows.
fn play(policy: Policy, events: &[Event]) -> (Life, Vec<Effect>) {
    let (mut life, now) = (Life::new(policy), Instant::now());
    let effects = events.iter().filter_map(|event| life.on(*event, now, MIDDLE)).collect();
    (life, effects)
}

fn last(policy: Policy, events: &[Event]) -> Effect {
    *play(policy, events).1.last().unwrap()
}

fn failed(why: Why) -> Effect {
    Effect::Settle(Outcome::Failed(why))
}

#[test]
fn ends_are_judged_by_the_policy() {
    use RestartWhen::{Always, Never, OnFailure};
    let completed = Effect::Settle(Outcome::Completed);
    let again = Effect::Wait(SECOND);
    let out_of_memory = Event::Ended(How::OutOfMemory);
    for (restart, end, follows) in [
        (Always, SUCCESS, again),
        (Always, FAILURE, again),
        (OnFailure, SUCCESS, completed),
        (OnFailure, out_of_memory, again),
        (Never, SUCCESS, completed),
        (Never, FAILURE, failed(Why::Ended)),
        (Never, out_of_memory, failed(Why::OutOfMemory)),
        (Never, Event::Interrupted, again),
        (OnFailure, Event::Interrupted, again),
    ] {
        let policy = Policy { restart, ..service() };
        assert_eq!(last(policy, &[Event::Started, end]), follows, "{restart:?} {end:?}");
    }
    for (retries, end, follows) in [
        (0, SUCCESS, completed),
        (3, SUCCESS, completed),
        (0, FAILURE, failed(Why::Ended)),
        (3, FAILURE, again),
        (0, Event::Interrupted, failed(Why::Interrupted)),
        (3, Event::Interrupted, again),
    ] {
        assert_eq!(last(job(retries), &[Event::Started, end]), follows, "{retries} {end:?}");
    }
    let is_final = |is_final| Event::StartFailed { is_final };
    assert_eq!(last(service(), &[is_final(true)]), failed(Why::StartFailed));
    assert_eq!(last(service(), &[is_final(false)]), again);
    assert_eq!(last(job(0), &[is_final(false)]), failed(Why::StartFailed));
}

#[test]
fn pauses_double_and_the_last_restart_of_the_window_is_the_last() {
    let (mut life, now) = (Life::new(service()), Instant::now());
    let mut pauses = Vec::new();
    let outcome = loop {
        match life.on(FAILURE, now, MIDDLE) {
            Some(Effect::Wait(pause)) => pauses.push(pause.as_secs()),
            Some(Effect::Settle(outcome)) => break outcome,
            other => panic!("{other:?}"),
        }
        assert_eq!(life.phase(), Phase::Restarting);
        assert!(life.next_start().is_some());
        assert_eq!(life.on(Event::PauseOver, now, MIDDLE), Some(Effect::Start));
    };
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    assert_eq!(outcome, Outcome::Failed(Why::TooManyRestarts));
    assert_eq!((life.phase(), life.restarts()), (Phase::Failed, 10));
}

#[test]
fn a_steady_run_makes_the_pause_short_again_and_old_restarts_do_not_count() {
    let (mut life, mut now) = (Life::new(service()), Instant::now());
    for _ in 0..100 {
        assert_eq!(life.on(Event::Started, now, MIDDLE), None);
        now += 61 * SECOND;
        assert_eq!(life.on(FAILURE, now, MIDDLE), Some(Effect::Wait(SECOND)));
        assert_eq!(life.on(Event::PauseOver, now, MIDDLE), Some(Effect::Start));
    }
    assert_eq!(life.restarts(), 100);
}

#[test]
fn a_stop_ends_it_wherever_it_is() {
    let stopped = Effect::Settle(Outcome::Stopped);
    let start_failed = Event::StartFailed { is_final: false };
    let (life, effects) = play(service(), &[Event::StopAsked]);
    assert_eq!((life.phase(), effects), (Phase::Stopping, vec![]));
    for (events, follow) in [
        (&[Event::StopAsked, Event::Started, FAILURE] as &[_], vec![Effect::Ask, stopped]),
        (&[Event::StopAsked, start_failed], vec![stopped]),
        (&[Event::Started, Event::StopAsked, FAILURE], vec![Effect::Ask, stopped]),
        (
            &[Event::Started, Event::Unhealthy, Event::StopAsked, FAILURE],
            vec![Effect::Ask, stopped],
        ),
        (
            &[Event::Started, Event::StopAsked, Event::GraceOver, FAILURE],
            vec![Effect::Ask, Effect::Kill, failed(Why::Forced)],
        ),
        (&[Event::Started, FAILURE, Event::StopAsked], vec![Effect::Wait(SECOND), stopped]),
    ] {
        assert_eq!(play(service(), events).1, follow, "{events:?}");
    }
}

#[test]
fn an_unhealthy_service_is_asked_killed_and_started_again() {
    let events = [Event::Started, Event::Unhealthy, Event::GraceOver, SUCCESS, Event::PauseOver];
    let effects = [Effect::Ask, Effect::Kill, Effect::Wait(SECOND), Effect::Start];
    assert_eq!(play(service(), &events).1, effects);
    let never = Policy { restart: RestartWhen::Never, ..service() };
    assert_eq!(last(never, &events[..4]), failed(Why::Unhealthy));
}

#[test]
fn a_job_s_time_is_for_each_attempt_and_running_over_it_is_a_failure() {
    let attempt = [Event::Started, Event::TimeOver, SUCCESS];
    let watch = Effect::Watch(30 * SECOND);
    let once = [watch, Effect::Ask, failed(Why::TimedOut)];
    assert_eq!(play(job(0), &attempt).1, once);
    let again = [watch, Effect::Ask, Effect::Wait(SECOND), Effect::Start];
    let twice: Vec<Event> = [&attempt[..], &[Event::PauseOver], &attempt].concat();
    assert_eq!(play(job(1), &twice).1, [&again[..], &once].concat());
}

#[test]
fn what_another_nexlet_began_goes_on() {
    let now = Instant::now();
    let mut life = Life::resumed(job(2), 2, now);
    assert_eq!(life.on(Event::Started, now, MIDDLE), Some(Effect::Watch(30 * SECOND)));
    assert_eq!(life.on(FAILURE, now, MIDDLE), Some(failed(Why::Ended)));
    let mut life = Life::resumed(service(), 12, now);
    assert_eq!(life.on(FAILURE, now, MIDDLE), Some(Effect::Wait(SECOND)));
    assert_eq!(life.on(Event::Interrupted, now, MIDDLE), Some(Effect::Wait(SECOND)));
    assert_eq!(life.restarts(), 12);
}

/// What there is of a program, as the driver knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    Nothing,
    Coming,
    Up { is_asked: bool, is_killed: bool },
}

/// What must hold, whatever happens.
struct Model {
    policy: Policy,
    there: There,
    starts: Vec<Instant>,
    is_settled: bool,
}

impl Model {
    fn event(&mut self, event: Event) {
        let up = There::Up { is_asked: false, is_killed: false };
        self.there = match (self.there, event) {
            (There::Coming, Event::Started) => up,
            (There::Coming, Event::StartFailed { .. }) => There::Nothing,
            (_, Event::Ended(_) | Event::Interrupted) => There::Nothing,
            (there, _) => there,
        };
    }

    fn effect(&mut self, event: Event, effect: Effect, now: Instant) {
        assert!(!self.is_settled, "{effect:?} after the end");
        match (effect, self.there) {
            (Effect::Start, There::Nothing) => {
                self.there = There::Coming;
                self.starts.push(now);
                let is_recent = |at: &&Instant| now.duration_since(**at) <= self.policy.window;
                let n_recent = self.starts.iter().filter(is_recent).count();
                assert!(n_recent <= usize::try_from(self.policy.max).unwrap(), "too many");
            }
            (Effect::Ask, There::Up { is_asked: false, .. }) => {
                self.there = There::Up { is_asked: true, is_killed: false };
            }
            (Effect::Kill, There::Up { is_asked: true, is_killed: false }) => {
                assert_eq!(event, Event::GraceOver);
                self.there = There::Up { is_asked: true, is_killed: true };
            }
            (Effect::Wait(pause), There::Nothing) => {
                let longest = self.policy.backoff_longest.max(self.policy.backoff_first);
                assert!(pause <= longest.mul_f64(1.21), "{pause:?}");
            }
            (Effect::Watch(time), There::Up { is_asked: false, .. }) => {
                assert_eq!(Some(time), self.policy.timeout);
            }
            (Effect::Settle(_), There::Nothing) => self.is_settled = true,
            wrong => panic!("{wrong:?}"),
        }
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Started),
        1 => any::<bool>().prop_map(|is_final| Event::StartFailed { is_final }),
        3 => Just(FAILURE),
        1 => Just(SUCCESS),
        1 => Just(Event::Ended(How::OutOfMemory)),
        1 => Just(Event::Unhealthy),
        1 => Just(Event::StopAsked),
        2 => Just(Event::GraceOver),
        1 => Just(Event::TimeOver),
        4 => Just(Event::PauseOver),
        1 => Just(Event::Interrupted),
    ]
}

prop_compose! {
    fn any_policy()(
        is_job in any::<bool>(), max in 0..6_u32, window in 0..300_u64, first in 0..4_u64,
        longest in 0..60_u64, timeout in 1..50_u64, grace in 0..20_u64,
        restart in prop_oneof![
            Just(RestartWhen::Always), Just(RestartWhen::OnFailure), Just(RestartWhen::Never),
        ],
    ) -> Policy {
        let (kind, window, timeout) = match is_job {
            true => (Kind::Job, Duration::MAX, Some(Duration::from_secs(timeout))),
            false => (Kind::Service, Duration::from_secs(window), None),
        };
        let [backoff_first, backoff_longest, grace] =
            [first, longest, grace].map(Duration::from_secs);
        Policy { kind, restart, max, window, backoff_first, backoff_longest, timeout, grace }
    }
}

/// How a program behaves, for the simulation.
#[derive(Debug, Clone, Copy)]
enum Program {
    NeverStarts,
    EndsAfter(u64, How),
    RunsOn { heeds: bool },
}

fn any_program() -> impl Strategy<Value = Program> {
    let how = prop_oneof![Just(How::Success), Just(How::Failure), Just(How::OutOfMemory)];
    prop_oneof![
        Just(Program::NeverStarts),
        (0..200_u64, how).prop_map(|(seconds, how)| Program::EndsAfter(seconds, how)),
        any::<bool>().prop_map(|heeds| Program::RunsOn { heeds }),
    ]
}

/// A driver with one timer, in a time that jumps from event to event.
struct Driver {
    life: Life,
    policy: Policy,
    now: Instant,
    program: Program,
    ends: Option<(Instant, Event)>,
    timer: Option<(Instant, Event)>,
    n_started: usize,
}

impl Driver {
    fn start(&mut self) {
        self.n_started += 1;
        let is_final = false;
        let (first, ends) = match self.program {
            Program::NeverStarts => (Event::StartFailed { is_final }, None),
            Program::EndsAfter(seconds, how) => {
                let at = self.now + Duration::from_secs(seconds);
                (Event::Started, Some((at, Event::Ended(how))))
            }
            Program::RunsOn { .. } => (Event::Started, None),
        };
        self.ends = ends;
        self.event(first);
    }

    fn event(&mut self, event: Event) {
        if matches!(event, Event::Ended(_)) {
            (self.ends, self.timer) = (None, None);
        }
        let Some(effect) = self.life.on(event, self.now, MIDDLE) else { return };
        let after = |pause, event| Some((self.now + pause, event));
        match effect {
            Effect::Start => self.start(),
            Effect::Ask => {
                self.timer = after(self.policy.grace, Event::GraceOver);
                if matches!(self.program, Program::RunsOn { heeds: true }) {
                    self.ends = after(Duration::ZERO, SUCCESS);
                }
            }
            Effect::Kill => self.ends = after(Duration::ZERO, FAILURE),
            Effect::Wait(pause) => self.timer = after(pause, Event::PauseOver),
            Effect::Watch(time) => self.timer = after(time, Event::TimeOver),
            Effect::Settle(_) => self.timer = None,
        }
    }

    /// The next thing that happens; `false` when nothing will.
    fn step(&mut self) -> bool {
        let ends_first = match (self.ends, self.timer) {
            (None, None) => return false,
            (Some((end, _)), Some((timer, _))) => end <= timer,
            (end, _) => end.is_some(),
        };
        let next = if ends_first { self.ends.take() } else { self.timer.take() };
        let (at, event) = next.unwrap();
        self.now = at;
        self.event(event);
        true
    }
}

proptest! {
    #[test]
    fn no_order_of_events_starts_two_or_starts_after_the_end(
        policy in any_policy(),
        events in proptest::collection::vec((any_event(), 0..40_u64, any::<f64>()), 0..60),
    ) {
        let (mut life, mut now) = (Life::new(policy.clone()), Instant::now());
        let there = There::Coming;
        let mut model = Model { policy, there, starts: Vec::new(), is_settled: false };
        for (event, seconds, jitter) in events {
            now += Duration::from_secs(seconds);
            model.event(event);
            if let Some(effect) = life.on(event, now, jitter) {
                model.effect(event, effect, now);
            }
            prop_assert_eq!(life.outcome().is_some(), model.is_settled);
            prop_assert_eq!(life.restarts() as usize, model.starts.len());
            let is_waiting = life.phase() == Phase::Restarting;
            prop_assert_eq!(is_waiting, life.next_start().is_some());
            let is_there = model.there != There::Nothing;
            prop_assert_eq!(is_there, !is_waiting && !model.is_settled);
        }
    }

    #[test]
    fn every_program_is_settled_soon_after_a_stop(
        policy in any_policy(), program in any_program(), n_steps in 0..40_usize,
    ) {
        let (life, now) = (Life::new(policy.clone()), Instant::now());
        let (ends, timer) = (None, None);
        let mut driver = Driver { life, policy, now, program, ends, timer, n_started: 0 };
        driver.start();
        for _ in 0..n_steps {
            driver.step();
        }
        let (asked, n_started) = (driver.now, driver.n_started);
        driver.event(Event::StopAsked);
        // The program's end, or the grace and the end of what is killed.
        for _ in 0..2 {
            driver.step();
        }
        prop_assert!(driver.life.outcome().is_some(), "{:?}", driver.life);
        prop_assert!(driver.now <= asked + driver.policy.grace);
        prop_assert_eq!(driver.n_started, n_started);
        prop_assert!(!driver.step());
    }

    #[test]
    fn what_fails_at_once_is_given_up(
        policy in any_policy(),
        program in prop_oneof![
            Just(Program::NeverStarts), Just(Program::EndsAfter(0, How::Failure)),
        ],
    ) {
        let policy = Policy { window: Duration::MAX, ..policy };
        let max = usize::try_from(policy.max).unwrap();
        let (life, now) = (Life::new(policy.clone()), Instant::now());
        let (ends, timer) = (None, None);
        let mut driver = Driver { life, policy, now, program, ends, timer, n_started: 0 };
        driver.start();
        while driver.step() {}
        prop_assert_eq!(driver.life.phase(), Phase::Failed);
        prop_assert!(driver.n_started <= max + 1);
    }
}
