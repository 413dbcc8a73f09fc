//! Which workloads are shown, and in which order.
//!
//! Owns: the keys to sort by, and the filter. Never: changes a workload.

use std::cmp::Ordering;

use nex_api::workload::WorkloadSummary;

use super::meter::Figures;
use super::state::Row;

/// What the table is sorted by; `s` goes through them in the order of the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Name,
    Type,
    Node,
    State,
    Calls,
    P99,
    Errors,
    Cpu,
    Memory,
    Restarts,
    Uptime,
}

const KEYS: [Key; 11] = [
    Key::Name,
    Key::Type,
    Key::Node,
    Key::State,
    Key::Calls,
    Key::P99,
    Key::Errors,
    Key::Cpu,
    Key::Memory,
    Key::Restarts,
    Key::Uptime,
];

impl Key {
    fn next(self) -> Self {
        let mut after = KEYS.iter().skip_while(|key| **key != self).skip(1);
        after.next().copied().unwrap_or(Key::Name)
    }

    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Name | Self::Type | Self::Node | Self::State)
    }
}

/// The order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) key: Key,
    is_reversed: bool,
}

impl Default for Order {
    /// The busiest first.
    fn default() -> Self {
        Self { key: Key::Calls, is_reversed: false }
    }
}

impl Order {
    pub(super) fn cycle(&mut self) {
        *self = Self { key: self.key.next(), is_reversed: false };
    }

    pub(super) fn reverse(&mut self) {
        self.is_reversed = !self.is_reversed;
    }

    /// Texts begin with the first, numbers with the greatest, unless it is turned round.
    pub(super) fn is_descending(self) -> bool {
        self.is_reversed == self.key.is_text()
    }

    /// What is not known comes last either way; what is alike goes by name and id.
    pub(super) fn sort(self, rows: &mut [Row]) {
        rows.sort_by(|a, b| self.compare(a, b).then_with(|| tie(a).cmp(&tie(b))));
    }

    fn compare(self, a: &Row, b: &Row) -> Ordering {
        if self.key.is_text() {
            let (a, b) = (self.text(a).to_lowercase(), self.text(b).to_lowercase());
            return self.turned(a.cmp(&b));
        }
        match (self.number(&a.figures), self.number(&b.figures)) {
            (Some(a), Some(b)) => self.turned(a.total_cmp(&b)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        }
    }

    fn turned(self, order: Ordering) -> Ordering {
        if self.is_descending() { order.reverse() } else { order }
    }

    fn text(self, row: &Row) -> &str {
        match self.key {
            Key::Type => &row.workload.workload_type,
            Key::Node => &row.node,
            Key::State => row.workload.workload_state.as_str(),
            _ => &row.workload.name,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "what differs by less is alike")]
    fn number(self, figures: &Figures) -> Option<f64> {
        match self.key {
            Key::Calls => figures.calls,
            Key::P99 => figures.p99.map(|p99| p99.seconds),
            Key::Errors => figures.errors,
            Key::Cpu => figures.cpu_percent,
            Key::Memory => figures.memory.map(|bytes| bytes as f64),
            Key::Restarts => figures.restarts.map(|n| n as f64),
            Key::Uptime => figures.uptime.map(|time| time.as_secs_f64()),
            _ => None,
        }
    }
}

fn tie(row: &Row) -> (&str, &str, &str) {
    (&row.workload.namespace, &row.workload.name, &row.workload.id)
}

/// Whether a filter's text stands in what the table tells of a workload, in capitals or not.
pub(super) fn matches(filter: &str, workload: &WorkloadSummary, node: &str) -> bool {
    let wanted = filter.to_lowercase();
    let state = workload.workload_state.as_str();
    [&workload.name, node, &workload.workload_type, state, &workload.namespace, &workload.id]
        .iter()
        .any(|text| text.to_lowercase().contains(&wanted))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn row(name: &str, calls: Option<f64>) -> Row {
        let workload = WorkloadSummary { name: name.to_owned(), ..WorkloadSummary::default() };
        let figures = Figures { calls, ..Figures::default() };
        Row { workload: Arc::new(workload), node: "n".to_owned(), figures }
    }

    fn sorted(order: Order) -> Vec<String> {
        let mut rows =
            vec![row("quiet", Some(0.0)), row("b", None), row("busy", Some(9.0)), row("A", None)];
        order.sort(&mut rows);
        rows.iter().map(|row| row.workload.name.clone()).collect()
    }

    #[test]
    fn the_busiest_come_first_and_the_unknown_last_either_way() {
        let mut order = Order::default();
        assert_eq!(sorted(order), ["busy", "quiet", "A", "b"]);
        order.reverse();
        assert_eq!(sorted(order), ["quiet", "busy", "A", "b"]);
    }

    #[test]
    fn names_go_from_the_first_to_the_last() {
        let mut order = Order { key: Key::Name, is_reversed: false };
        assert_eq!(sorted(order), ["A", "b", "busy", "quiet"]);
        order.reverse();
        assert_eq!(sorted(order), ["quiet", "busy", "b", "A"]);
    }

    #[test]
    fn every_key_has_its_turn() {
        let mut order = Order::default();
        let mut seen = Vec::new();
        for _ in KEYS {
            seen.push(order.key);
            order.cycle();
        }
        assert_eq!(order, Order::default());
        assert!(KEYS.iter().all(|key| seen.contains(key)));
    }

    #[test]
    fn a_filter_looks_at_name_node_type_and_state() {
        let workload = WorkloadSummary {
            name: "Echo".to_owned(),
            workload_type: "native".to_owned(),
            ..WorkloadSummary::default()
        };
        for text in ["ech", "OTTER", "nat", "start", ""] {
            assert!(matches(text, &workload, "swift-otter"), "{text}");
        }
        assert!(!matches("wasm", &workload, "swift-otter"));
    }
}
