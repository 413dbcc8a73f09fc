//! What all workloads of this node have counted, by name.
//!
//! Owns: adding up copies, counters that never go down, and how many names have values of their own. Never:
//! reads a message, asks who runs here, knows the time.
//!
//! ```text
//! reading of a copy ─► what was counted since its last one ─► total of its name
//!                           └─ less than before: it was started again, all of it counts
//! copy gone ─► what it used is no more; what it counted stays
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use nex_api::metrics::{FunctionMetrics, ProcessMetrics};

use super::reading::{Reading, add, add_count, has_grown, since};

/// Names with values of their own.
const MOST_NAMES: usize = 2_000;
/// Workloads whose readings are remembered; far more than a node runs.
const MOST_COPIES: usize = 10_000;
/// Two nexlets tell of the same workload while one hands over to the other. Of two, one that said nothing for
/// so long has gone.
const SILENT: Duration = Duration::from_secs(120);

/// Whose a value is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Series {
    Named(Name),
    /// That of all names for which there was no room.
    Overflow,
}

/// What copies of a workload share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) workload_type: String,
}

/// What has been counted under one name; only grows.
#[derive(Debug, Clone)]
pub(crate) struct Total {
    pub(crate) since: SystemTime,
    pub(crate) function: Option<FunctionMetrics>,
    pub(crate) process: Option<ProcessTotal>,
    heard: SystemTime,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct ProcessTotal {
    pub(crate) cpu_seconds: f64,
    pub(crate) restarts: u64,
}

/// What copies of one name use now, together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) in_flight: Option<u64>,
    pub(crate) memory: Option<u64>,
    pub(crate) memory_limit: Option<u64>,
    pub(crate) processes: Option<u64>,
}

/// The last readings of one workload.
#[derive(Debug)]
struct Copy {
    series: Series,
    /// Of each nexlet that tells of it, the newest last.
    functions: Vec<(FunctionMetrics, SystemTime)>,
    process: Option<ProcessMetrics>,
    /// It did not run here at the last look, and may have a last word.
    is_leaving: bool,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Totals {
    most_names: usize,
    totals: BTreeMap<Series, Total>,
    copies: BTreeMap<String, Copy>,
}

impl Default for Totals {
    fn default() -> Self {
        Self { most_names: MOST_NAMES, totals: BTreeMap::new(), copies: BTreeMap::new() }
    }
}

impl Totals {
    /// Whether something was read of this workload, so that its last word counts also when it is gone.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.copies.contains_key(id)
    }

    /// What a workload had counted before this node listened is where it begins; nothing of it is added.
    pub(crate) fn begin(
        &mut self,
        id: &str,
        reading: &Reading,
        now: SystemTime,
        name: impl FnOnce() -> Option<Name>,
    ) {
        if self.knows(id) || !self.remember(id, now, name) {
            return;
        }
        if let Some(copy) = self.copies.get_mut(id) {
            copy.functions = reading.function.iter().map(|it| (it.clone(), now)).collect();
            copy.process.clone_from(&reading.process);
        }
    }

    /// Adds what `id` has counted since its last reading; false when there is no room for another.
    /// `name` is asked for when it is new.
    pub(crate) fn take(
        &mut self,
        id: &str,
        reading: Reading,
        now: SystemTime,
        name: impl FnOnce() -> Option<Name>,
    ) -> bool {
        if !self.remember(id, now, name) {
            return false;
        }
        let Some(copy) = self.copies.get_mut(id) else { return false };
        let total = self.totals.entry(copy.series.clone()).or_insert_with(|| Total::new(now));
        total.heard = now;
        if let Some(function) = reading.function {
            let more = copy.function_since(function, now);
            add(total.function.get_or_insert_default(), &more);
        }
        if let Some(process) = reading.process {
            total.add_process(&process, copy.process.as_ref());
            copy.process = Some(process);
        }
        true
    }

    /// Makes a place for a workload that is new; false when there is none.
    fn remember(&mut self, id: &str, now: SystemTime, name: impl FnOnce() -> Option<Name>) -> bool {
        if self.knows(id) {
            return true;
        }
        let Some(name) = name().filter(|_| self.copies.len() < MOST_COPIES) else { return false };
        let series = self.place(name, now);
        let copy = Copy { series, functions: Vec::new(), process: None, is_leaving: false };
        self.copies.insert(id.to_owned(), copy);
        true
    }

    /// Forgets what workloads use that are not here; what they have counted stays. A workload is forgotten
    /// at the second look, so that its last word is heard.
    pub(crate) fn retain(&mut self, is_here: impl Fn(&str) -> bool) {
        self.copies.retain(|id, copy| {
            let was_leaving = copy.is_leaving;
            copy.is_leaving = !is_here(id);
            !(was_leaving && copy.is_leaving)
        });
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&Series, &Total)> {
        self.totals.iter()
    }

    /// What is used now, by name.
    pub(crate) fn usage(&self) -> BTreeMap<&Series, Usage> {
        let mut all: BTreeMap<&Series, Usage> = BTreeMap::new();
        for copy in self.copies.values().filter(|copy| !copy.is_leaving) {
            let usage = all.entry(&copy.series).or_default();
            let process = copy.process.as_ref();
            let in_flight = copy.functions.last().map(|(function, _)| function.in_flight);
            add_usage(&mut usage.in_flight, in_flight);
            add_usage(&mut usage.memory, process.and_then(|it| it.memory_bytes));
            add_usage(&mut usage.memory_limit, process.and_then(|it| it.memory_limit_bytes));
            add_usage(&mut usage.processes, process.and_then(|it| it.processes));
        }
        all
    }

    /// Where a name that may be new is counted. When there is no room, the one that has had no copy for the
    /// longest time gives way: a series that ends is not one that goes down.
    fn place(&mut self, name: Name, now: SystemTime) -> Series {
        let series = Series::Named(name);
        let n_named = self.totals.len() - usize::from(self.totals.contains_key(&Series::Overflow));
        if self.totals.contains_key(&series) || n_named < self.most_names {
            self.totals.entry(series.clone()).or_insert_with(|| Total::new(now));
            return series;
        }
        let in_use: BTreeSet<&Series> = self.copies.values().map(|copy| &copy.series).collect();
        let idle = self.totals.iter().filter(|(it, _)| **it != Series::Overflow);
        let idle = idle.filter(|(it, _)| !in_use.contains(it));
        let Some(oldest) = idle.min_by_key(|(_, total)| total.heard).map(|(it, _)| it.clone())
        else {
            return Series::Overflow;
        };
        self.totals.remove(&oldest);
        self.totals.insert(series.clone(), Total::new(now));
        series
    }
}

impl Total {
    fn new(now: SystemTime) -> Self {
        Self { since: now, function: None, process: None, heard: now }
    }

    /// A service that is started again begins its processor time anew, but not its restarts.
    fn add_process(&mut self, now: &ProcessMetrics, before: Option<&ProcessMetrics>) {
        let total = self.process.get_or_insert_default();
        let (cpu_seconds, restarts) =
            before.map_or((0.0, 0), |before| (before.cpu_seconds, before.restarts));
        let is_same_run = now.restarts <= restarts && now.cpu_seconds >= cpu_seconds;
        total.cpu_seconds += match is_same_run {
            true => now.cpu_seconds - cpu_seconds,
            false => now.cpu_seconds,
        };
        let more = now.restarts.checked_sub(restarts).unwrap_or(now.restarts);
        add_count(&mut total.restarts, more);
    }
}

impl Copy {
    /// What `now` tells that was not counted yet. It goes on where the nexlet was that comes nearest; when
    /// it is less than all of them, the workload was started again.
    fn function_since(&mut self, now: FunctionMetrics, at: SystemTime) -> FunctionMetrics {
        if let [(_, heard), _] = self.functions.as_slice()
            && at.duration_since(*heard).is_ok_and(|silent| silent > SILENT)
        {
            self.functions.remove(0);
        }
        let earlier = self.functions.iter().enumerate().filter(|(_, (it, _))| has_grown(&now, it));
        let nearest = earlier.max_by_key(|(_, (it, _))| it.calls).map(|(i, _)| i);
        let more = match nearest {
            Some(i) => since(&now, &self.functions.remove(i).0),
            None => FunctionMetrics { in_flight: 0, ..now.clone() },
        };
        self.functions.push((now, at));
        if self.functions.len() > 2 {
            self.functions.remove(0);
        }
        more
    }
}

fn add_usage(all: &mut Option<u64>, more: Option<u64>) {
    if let Some(more) = more {
        *all = Some(all.unwrap_or_default().saturating_add(more));
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use nex_api::metrics::Histogram;
    use proptest::prelude::*;

    use super::*;

    fn name(name: &str) -> Name {
        let text = |text: &str| text.to_owned();
        Name { namespace: text("a"), name: text(name), workload_type: text("javascript") }
    }

    fn function(calls: u64) -> FunctionMetrics {
        let duration = Histogram { bounds: vec![1.0], counts: vec![calls, 0], sum: 0.0 };
        let errors = BTreeMap::from([("500".to_owned(), calls / 2)]);
        FunctionMetrics { calls, duration, errors, in_flight: 1, ..FunctionMetrics::default() }
    }

    fn process(cpu_seconds: f64, restarts: u64) -> ProcessMetrics {
        let memory_bytes = Some(10);
        ProcessMetrics { cpu_seconds, restarts, memory_bytes, ..ProcessMetrics::default() }
    }

    fn tell(totals: &mut Totals, id: &str, of: &str, calls: u64) -> bool {
        let reading = Reading { function: Some(function(calls)), process: None };
        totals.take(id, reading, UNIX_EPOCH, || Some(name(of)))
    }

    fn calls(totals: &Totals, of: &Series) -> u64 {
        let total = totals.totals.get(of).and_then(|total| total.function.as_ref());
        total.map_or(0, |function| function.calls)
    }

    fn named(of: &str) -> Series {
        Series::Named(name(of))
    }

    #[test]
    fn copies_are_added_up_and_what_they_counted_stays() {
        let mut totals = Totals::default();
        tell(&mut totals, "1", "echo", 5);
        tell(&mut totals, "2", "echo", 7);
        tell(&mut totals, "1", "echo", 6);
        assert_eq!(calls(&totals, &named("echo")), 13);
        assert_eq!(totals.usage()[&named("echo")].in_flight, Some(2));
        totals.retain(|id| id == "2");
        assert_eq!(totals.usage()[&named("echo")].in_flight, Some(1));
        tell(&mut totals, "1", "echo", 8);
        totals.retain(|_| false);
        totals.retain(|_| false);
        assert!(totals.usage().is_empty() && !totals.knows("1"));
        assert_eq!(calls(&totals, &named("echo")), 15);
    }

    #[test]
    fn a_workload_that_was_started_again_counts_anew() {
        let mut totals = Totals::default();
        tell(&mut totals, "1", "echo", 100);
        tell(&mut totals, "1", "echo", 3);
        tell(&mut totals, "1", "echo", 4);
        assert_eq!(calls(&totals, &named("echo")), 104);
    }

    #[test]
    fn two_nexlets_that_tell_of_one_workload_are_kept_apart() {
        let mut totals = Totals::default();
        for calls in [100, 1, 101, 2, 102, 3] {
            tell(&mut totals, "1", "echo", calls);
        }
        assert_eq!(calls(&totals, &named("echo")), 105);
    }

    #[test]
    fn a_long_silence_counts_nothing_twice() {
        let mut totals = Totals::default();
        for (calls, seconds) in [(100, 0), (101, 10_000), (102, 20_000)] {
            let reading = Reading { function: Some(function(calls)), process: None };
            let now = UNIX_EPOCH + Duration::from_secs(seconds);
            totals.take("1", reading, now, || Some(name("echo")));
        }
        assert_eq!(calls(&totals, &named("echo")), 102);
    }

    #[test]
    fn a_restarted_service_keeps_its_processor_time_and_its_restarts() {
        let mut totals = Totals::default();
        for (cpu_seconds, restarts) in [(5.0, 0), (6.0, 0), (0.5, 1), (1.0, 1), (0.25, 2)] {
            let process = Some(process(cpu_seconds, restarts));
            let reading = Reading { function: None, process };
            totals.take("1", reading, UNIX_EPOCH, || Some(name("db")));
        }
        let total = totals.totals[&named("db")].process.unwrap();
        assert_eq!(total, ProcessTotal { cpu_seconds: 7.25, restarts: 2 });
        assert_eq!(totals.usage()[&named("db")].memory, Some(10));
    }

    #[test]
    fn names_that_find_no_room_are_added_up() {
        let mut totals = Totals { most_names: 2, ..Totals::default() };
        for (id, of) in [("1", "a"), ("2", "b"), ("3", "c"), ("4", "d")] {
            tell(&mut totals, id, of, 10);
        }
        assert_eq!(totals.totals.len(), 3);
        assert_eq!(calls(&totals, &Series::Overflow), 20);
        // Of those without copies the one that was heard first gives way.
        totals.retain(|id| id == "2");
        totals.retain(|id| id == "2");
        tell(&mut totals, "5", "e", 1);
        assert_eq!([calls(&totals, &named("a")), calls(&totals, &named("e"))], [0, 1]);
        assert_eq!(totals.totals.len(), 3);
    }

    #[test]
    fn nobody_unknown_is_counted() {
        let mut totals = Totals::default();
        let reading = Reading { function: Some(function(1)), process: None };
        assert!(!totals.take("1", reading, UNIX_EPOCH, || None));
        assert!(totals.totals.is_empty() && totals.copies.is_empty());
    }

    #[derive(Debug, Clone)]
    enum Step {
        Function { id: u8, calls: u64 },
        Process { id: u8, cpu: u32, restarts: u64 },
        Look { here: u8 },
    }

    fn step() -> impl Strategy<Value = Step> {
        let id = 0..6_u8;
        prop_oneof![
            (id.clone(), 0..200_u64).prop_map(|(id, calls)| Step::Function { id, calls }),
            (id.clone(), 0..200_u64)
                .prop_map(|(id, n)| Step::Function { id, calls: (1 << 53) - n }),
            (id, any::<u32>(), 0..5_u64).prop_map(|(id, cpu, restarts)| Step::Process {
                id,
                cpu,
                restarts
            }),
            any::<u8>().prop_map(|here| Step::Look { here }),
        ]
    }

    type Counters = Vec<(Series, FunctionMetrics, ProcessTotal)>;

    fn counters(totals: &Totals) -> Counters {
        let read = |(series, total): (&Series, &Total)| {
            let function = total.function.clone().unwrap_or_default();
            (series.clone(), function, total.process.unwrap_or_default())
        };
        totals.all().map(read).collect()
    }

    fn is_not_less(now: &Counters, before: &Counters) -> bool {
        before.iter().all(|(series, function, process)| {
            let found = now.iter().find(|(it, ..)| it == series);
            found.is_some_and(|(_, now, used)| {
                let buckets = now.duration.counts.iter().zip(&function.duration.counts);
                has_grown(now, function)
                    && buckets.into_iter().all(|(now, before)| now >= before)
                    && now.duration.sum >= function.duration.sum
                    && used.cpu_seconds >= process.cpu_seconds
                    && used.restarts >= process.restarts
            })
        })
    }

    proptest! {
        /// Whatever copies say, and whenever they come, go and start again.
        #[test]
        fn no_counter_ever_goes_down(steps in prop::collection::vec(step(), 1..80)) {
            // Room for all three names, so that none gives way.
            let mut totals = Totals { most_names: 3, ..Totals::default() };
            let mut before = Counters::new();
            for step in steps {
                match step {
                    Step::Function { id, calls } => {
                        tell(&mut totals, &id.to_string(), &format!("n{}", id % 3), calls);
                    }
                    Step::Process { id, cpu, restarts } => {
                        let process = Some(process(f64::from(cpu), restarts));
                        let reading = Reading { function: None, process };
                        let of = format!("n{}", id % 3);
                        totals.take(&id.to_string(), reading, UNIX_EPOCH, || Some(name(&of)));
                    }
                    Step::Look { here } => {
                        totals.retain(|id| id.parse().is_ok_and(|n: u32| here & (1 << n) != 0));
                    }
                }
                let now = counters(&totals);
                prop_assert!(is_not_less(&now, &before), "{before:?} became {now:?}");
                before = now;
            }
        }
    }
}
