//! What `nex top` knows and shows at a moment.
//!
//! Owns: how news change it. Never: reads a clock, asks anybody, or draws; see `feed` and `screen`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use nex_api::Time;
use nex_api::metrics::WorkloadMetrics;
use nex_api::node::NodePingResponse;
use nex_api::workload::{WorkloadSummary, fact};

use super::detail::{Detail, Told};
use super::meter::{Figures, Meters};
use super::order::{Order, matches};

/// How long what an action came to stays on the screen.
const REMARK: Duration = Duration::from_secs(10);
/// Characters of a filter.
const LONGEST_FILTER: usize = 64;

/// A moment by the program's own clock, which only goes forward, and by the machine's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) clock: Duration,
    pub(super) time: Time,
}

/// What does not change while the program runs.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) namespace: String,
    /// Whether workloads of several namespaces are shown.
    pub(super) is_system: bool,
    pub(super) server: String,
    pub(super) interval: Duration,
}

/// What came in.
#[derive(Debug)]
pub(super) enum News {
    Seen(Box<Seen>),
    /// Nothing could be seen, and why.
    Lost(String),
    Counted(Box<WorkloadMetrics>),
    /// Of the workload with this id.
    Told(String, Told),
    /// An action ended; what it came to, or why it failed.
    Done(Result<String, String>),
}

/// Nodes and workloads as they were seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) nodes: Vec<NodePingResponse>,
    pub(super) workloads: Vec<Arc<WorkloadSummary>>,
    /// With NATS; none when it was not measured.
    pub(super) round_trip: Option<Duration>,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) workload: Arc<WorkloadSummary>,
    /// The node's name, or its id; empty when nobody tells.
    pub(super) node: String,
    pub(super) figures: Figures,
}

/// What fills the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    List,
    Detail,
    Logs,
}

/// What takes the keys before the page does.
#[derive(Debug, Clone)]
pub(super) enum Overlay {
    Help,
    Filter,
    Question(Question),
}

/// What is done when the answer is yes.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) action: Action,
    pub(super) workload: Arc<WorkloadSummary>,
    pub(super) node: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Stop,
    Clone,
}

/// Why nothing was seen, and since when.
#[derive(Debug, Clone)]
pub(super) struct Lost {
    pub(super) why: String,
    pub(super) since: Duration,
}

#[derive(Debug, Clone)]
pub(super) struct Remark {
    pub(super) text: String,
    pub(super) is_failure: bool,
    until: Duration,
}

/// All of it.
#[derive(Debug)]
pub(super) struct State {
    pub(super) setting: Setting,
    /// Columns and lines of the terminal.
    pub(super) size: (u16, u16),
    /// None before the first look.
    pub(super) seen: Option<Seen>,
    pub(super) lost: Option<Lost>,
    pub(super) order: Order,
    pub(super) filter: String,
    /// Filtered and sorted.
    pub(super) rows: Vec<Row>,
    pub(super) selected: Option<String>,
    pub(super) page: Page,
    /// Where Escape leads from the logs.
    pub(super) logs_from: Page,
    pub(super) overlay: Option<Overlay>,
    pub(super) detail: Option<Detail>,
    pub(super) remark: Option<Remark>,
    meters: Meters,
}

impl State {
    pub(super) fn new(setting: Setting, size: (u16, u16)) -> Self {
        Self {
            setting,
            size,
            seen: None,
            lost: None,
            order: Order::default(),
            filter: String::new(),
            rows: Vec::new(),
            selected: None,
            page: Page::List,
            logs_from: Page::List,
            overlay: None,
            detail: None,
            remark: None,
            meters: Meters::default(),
        }
    }

    /// Takes in what came; true when the screen looks different for it.
    pub(super) fn apply(&mut self, news: News, at: &Moment) -> bool {
        match news {
            News::Seen(seen) => self.see(*seen, at),
            News::Lost(why) => self.lose(why, at),
            News::Counted(metrics) => {
                // Shown with the next look at the lists, so that figures of one moment stand together.
                self.meters.hear(*metrics, at.clock);
                return false;
            }
            News::Told(id, told) => {
                let detail = self.detail.as_mut().filter(|detail| detail.id() == id);
                let Some(detail) = detail else { return false };
                detail.tell(told);
            }
            News::Done(outcome) => {
                let is_failure = outcome.is_err();
                self.say(outcome.unwrap_or_else(|why| why), is_failure, at);
            }
        }
        true
    }

    /// Shows a remark for a while.
    pub(super) fn say(&mut self, text: String, is_failure: bool, at: &Moment) {
        self.remark = Some(Remark { text, is_failure, until: at.clock + REMARK });
    }

    fn see(&mut self, seen: Seen, at: &Moment) {
        let ids: HashSet<&str> = seen.workloads.iter().map(|w| w.id.as_str()).collect();
        self.meters.keep(&ids);
        if let Some(detail) = &mut self.detail {
            detail.seen(seen.workloads.iter().find(|w| w.id == detail.id()));
        }
        self.lost = None;
        self.seen = Some(seen);
        self.refresh(at);
    }

    /// What was seen last stays, marked as old; what is counted meanwhile cannot be heard.
    fn lose(&mut self, why: String, at: &Moment) {
        let since = self.lost.as_ref().map_or(at.clock, |lost| lost.since);
        self.lost = Some(Lost { why, since });
        self.meters.clear();
        self.forget_remark(at);
    }

    fn forget_remark(&mut self, at: &Moment) {
        self.remark = self.remark.take().filter(|remark| remark.until > at.clock);
    }

    /// Makes the rows anew; the selected workload stays so wherever it goes.
    pub(super) fn refresh(&mut self, at: &Moment) {
        self.forget_remark(at);
        let Some(seen) = &self.seen else { return };
        let was = self.position();
        let mut rows: Vec<Row> = Vec::new();
        for workload in &seen.workloads {
            let node = node_of(workload, &seen.nodes);
            if matches(&self.filter, workload, &node) {
                let figures = self.meters.figures(workload, at);
                rows.push(Row { workload: Arc::clone(workload), node, figures });
            }
        }
        self.order.sort(&mut rows);
        self.rows = rows;
        if self.selected_row().is_none() {
            self.select(was);
        }
    }

    /// Likewise after the order or the filter changed, while what was seen is old.
    pub(super) fn rearrange(&mut self, at: &Moment) {
        if self.lost.is_none() {
            self.refresh(at);
            return;
        }
        // Figures were of the last look, and nothing can be read out of the meters now.
        let old: Vec<(String, Figures)> =
            self.rows.iter().map(|row| (row.workload.id.clone(), row.figures)).collect();
        self.refresh(at);
        for row in &mut self.rows {
            let known = old.iter().find(|(id, _)| *id == row.workload.id);
            row.figures = known.map_or(row.figures, |(_, figures)| *figures);
        }
        self.order.sort(&mut self.rows);
    }

    /// Where the selected row stands; 0 when none is.
    pub(super) fn position(&self) -> usize {
        let is_selected = |row: &Row| Some(&row.workload.id) == self.selected.as_ref();
        self.rows.iter().position(is_selected).unwrap_or_default()
    }

    pub(super) fn selected_row(&self) -> Option<&Row> {
        self.rows.iter().find(|row| Some(&row.workload.id) == self.selected.as_ref())
    }

    /// Selects the row at this place, or the last one.
    pub(super) fn select(&mut self, position: usize) {
        let row = self.rows.get(position).or(self.rows.last());
        self.selected = row.map(|row| row.workload.id.clone());
    }

    /// A character more in the filter; control codes that were pasted are none.
    pub(super) fn type_filter(&mut self, c: char) {
        if !c.is_control() && self.filter.chars().count() < LONGEST_FILTER {
            self.filter.push(c);
        }
    }
}

/// The name of the node that has it, as itself or the list of nodes tells; empty when neither does.
pub(super) fn node_of(workload: &WorkloadSummary, nodes: &[NodePingResponse]) -> String {
    let told = |key: &str| workload.metadata.get(key).filter(|text| !text.is_empty());
    if let Some(name) = told(fact::NODE_NAME) {
        return name.clone();
    }
    let Some(id) = told(fact::NODE_ID) else { return String::new() };
    nodes.iter().find(|node| node.node_id == *id).map_or_else(|| id.clone(), name_of)
}

/// A node's name, or its id when it has none.
pub(super) fn name_of(node: &NodePingResponse) -> String {
    node.tags.get("nex.node").unwrap_or(&node.node_id).clone()
}
