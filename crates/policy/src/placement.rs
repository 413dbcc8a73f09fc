//! Which bid is taken, and how copies of a name are spread, replaced and reduced (spec: CLI,
//! "Replacing"; control API, section 13, "How long to wait for bids").
//!
//! Owns: the order of preference. Never: asks anybody; chance comes in as a number.

use std::collections::{BTreeMap, BTreeSet};

/// A bid, as far as the choice cares. Go nodes tell no counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offer {
    /// Copies of the name that the bidder has.
    pub copies: Option<u32>,
    /// All workloads that it has.
    pub workloads: Option<u32>,
}

/// The position of the offer that is taken: fewest copies of the name, then fewest workloads, then
/// by chance. Who tells no counts is taken for one with the fewest copies and an average load, so
/// that it gets neither everything nor nothing.
#[must_use]
pub fn choose(offers: &[Offer], chance: usize) -> Option<usize> {
    let known = |figure: fn(&Offer) -> Option<u32>| offers.iter().filter_map(figure);
    let fewest_copies = known(|o| o.copies).min().unwrap_or(0);
    let loads: Vec<u64> = known(|o| o.workloads).map(u64::from).collect();
    let average = loads.iter().sum::<u64>() / (loads.len().max(1) as u64);
    let rank = |offer: &Offer| {
        let load = offer.workloads.map_or(average, u64::from);
        (offer.copies.unwrap_or(fewest_copies), load)
    };
    let best = offers.iter().map(rank).min()?;
    let equals: Vec<usize> = (0..offers.len()).filter(|idx| rank(&offers[*idx]) == best).collect();
    equals.get(chance % equals.len()).copied()
}

/// A copy of a name that runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Copy {
    /// Its id.
    pub id: String,
    /// The node that has it.
    pub node: String,
    /// What tells versions apart; empty when the node does not say.
    pub version: String,
    /// When it started, as text that sorts by time.
    pub started: String,
}

/// What brings a name to the wanted version and number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Starts, each on the node of the copy that it stands in for; none means anywhere.
    pub start: Vec<Option<String>>,
    /// Ids to stop, once those are ready.
    pub stop: BTreeSet<String>,
}

/// Every copy of another version is replaced by one of the wanted version on the same node. A node
/// that has several versions is in the middle of a replacement that somebody did not finish: it has
/// as many copies in the end as it has of its most frequent version. With `total`, missing copies
/// are added anywhere and surplus ones are stopped (see [`surplus`]).
#[must_use]
pub fn plan(copies: &[Copy], wanted: &str, total: Option<usize>) -> Plan {
    let mut by_node: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for copy in copies {
        *by_node.entry(&copy.node).or_default().entry(&copy.version).or_default() += 1;
    }
    let mut plan = Plan::default();
    for (node, versions) in &by_node {
        let n_target = versions.values().copied().max().unwrap_or(0);
        let n_there = versions.get(wanted).copied().unwrap_or(0);
        let missing = n_target.saturating_sub(n_there);
        plan.start.extend(std::iter::repeat_n(Some((*node).to_owned()), missing));
    }
    let (kept, old): (Vec<&Copy>, Vec<&Copy>) =
        copies.iter().partition(|copy| copy.version == wanted);
    plan.stop = old.iter().map(|copy| copy.id.clone()).collect();
    let total = total.unwrap_or_else(|| (kept.len() + plan.start.len()).max(1));
    let n_planned = kept.len() + plan.start.len();
    plan.start.extend(std::iter::repeat_n(None, total.saturating_sub(n_planned)));
    let too_many = n_planned.saturating_sub(total);
    let unneeded = too_many.min(plan.start.len());
    plan.start.truncate(plan.start.len() - unneeded);
    plan.stop.extend(surplus(&kept, too_many - unneeded));
    plan
}

/// The ids of `n` copies that may go: from the node that has most of them first, and of those the
/// newest.
#[must_use]
pub fn surplus(copies: &[&Copy], n: usize) -> Vec<String> {
    let mut left: Vec<&Copy> = copies.to_vec();
    let mut gone = Vec::new();
    for _ in 0..n {
        let n_on = |node: &str| left.iter().filter(|copy| copy.node == node).count();
        let worst = left
            .iter()
            .enumerate()
            .max_by_key(|(_, copy)| (n_on(&copy.node), copy.started.as_str(), copy.id.as_str()));
        let Some((position, _)) = worst else { break };
        gone.push(left.swap_remove(position).id.clone());
    }
    gone
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offer(copies: u32, workloads: u32) -> Offer {
        Offer { copies: Some(copies), workloads: Some(workloads) }
    }

    fn copy(id: &str, node: &str, version: &str) -> Copy {
        let own = str::to_owned;
        Copy { id: own(id), node: own(node), version: own(version), started: own(id) }
    }

    #[test]
    fn fewest_copies_come_before_fewest_workloads() {
        assert_eq!(choose(&[offer(1, 0), offer(0, 9), offer(0, 8)], 0), Some(2));
        assert_eq!(choose(&[], 0), None);
        let equals = [offer(0, 1), offer(0, 1)];
        assert_eq!([0, 1].map(|chance| choose(&equals, chance)), [Some(0), Some(1)]);
    }

    #[test]
    fn who_tells_no_counts_gets_neither_everything_nor_nothing() {
        let silent = Offer::default();
        assert_eq!(choose(&[silent, offer(0, 0), offer(0, 10)], 0), Some(1));
        assert_eq!(choose(&[silent, offer(1, 5), offer(1, 5)], 0), Some(0));
        assert_eq!(choose(&[silent, silent], 1), Some(1));
    }

    #[test]
    fn a_replacement_starts_one_for_each_on_its_node() {
        let copies = [copy("1", "a", "old"), copy("2", "a", "old"), copy("3", "b", "old")];
        let plan = plan(&copies, "new", None);
        assert_eq!(plan.start.len(), 3);
        assert_eq!(plan.start.iter().filter(|node| node.as_deref() == Some("a")).count(), 2);
        assert_eq!(plan.stop.len(), 3);
    }

    #[test]
    fn a_replacement_that_was_cut_off_is_finished_and_not_doubled() {
        let copies = [copy("1", "a", "old"), copy("2", "a", "new")];
        let finish = plan(&copies, "new", None);
        assert_eq!((finish.start.len(), finish.stop.len()), (0, 1));
        let third = plan(&copies, "newest", None);
        assert_eq!((third.start.len(), third.stop.len()), (1, 2));
    }

    #[test]
    fn copies_are_added_and_taken_where_there_are_most() {
        assert_eq!(plan(&[], "new", Some(2)).start, [None, None]);
        let copies = [copy("1", "a", "v"), copy("2", "a", "v"), copy("3", "b", "v")];
        assert_eq!(plan(&copies, "v", Some(2)).stop, ["2".to_owned()].into());
        assert_eq!(plan(&copies, "v", None), Plan::default());
        assert_eq!(plan(&copies, "v", Some(0)).stop.len(), 3);
    }

    proptest! {
        #[test]
        fn the_choice_is_never_worse_than_another(
            counts in prop::collection::vec((0_u32..4, 0_u32..50), 1..8),
            chance in any::<usize>(),
        ) {
            let offers: Vec<Offer> = counts.iter().map(|(c, w)| offer(*c, *w)).collect();
            let chosen = counts[choose(&offers, chance).unwrap()];
            prop_assert!(counts.iter().all(|other| chosen <= *other));
        }

        #[test]
        fn a_plan_ends_with_the_wanted_version_alone(
            copies in prop::collection::vec((0..3_u8, 0..3_u8), 0..9),
            total in prop::option::of(0_usize..6),
        ) {
            let describe = |(idx, (node, version)): (usize, &(u8, u8))| {
                copy(&idx.to_string(), &node.to_string(), &version.to_string())
            };
            let copies: Vec<Copy> = copies.iter().enumerate().map(describe).collect();
            let plan = plan(&copies, "0", total);
            let left: Vec<&Copy> = copies.iter().filter(|c| !plan.stop.contains(&c.id)).collect();
            prop_assert!(left.iter().all(|copy| copy.version == "0"));
            let n_end = left.len() + plan.start.len();
            match total {
                Some(total) => prop_assert_eq!(n_end, total),
                None => prop_assert!(n_end >= 1 && n_end <= copies.len().max(1)),
            }
        }
    }
}
