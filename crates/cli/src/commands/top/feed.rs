//! Where news come from: looks at the lists, readings of counters, lines and events of one workload.
//!
//! Owns: how often, how long and how much is asked. Never: keeps what it reads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nex_api::workload::WorkloadSummary;
use nex_client::{Begin, Client, Error, EventLine, History, LogRecord, Overview};
use tokio::sync::{Notify, mpsc};

use super::detail::{Happening, Line, Told};
use super::state::{News, Seen};

/// News that wait to be taken in; who has more waits, and what NATS delivers meanwhile waits there.
pub(super) const WAITING: usize = 1024;
/// A look takes at most this long; then the next one is tried.
const LOOK_BOUND: Duration = Duration::from_secs(10);
/// An echo that takes longer is not waited for: the credentials may not allow one.
const ECHO_BOUND: Duration = Duration::from_millis(750);
/// After a look that failed.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// Among so many of the newest messages of a stream the last of one workload are looked for first.
const NEWEST_LINES: u64 = 20_000;
const NEWEST_EVENTS: u64 = 5_000;

/// Looks at the lists at every interval, and at once when it is asked to, until nobody takes the news.
pub(super) async fn watch(
    client: Client,
    interval: Duration,
    now: Arc<Notify>,
    news: mpsc::Sender<News>,
) {
    loop {
        let look = tokio::time::timeout(LOOK_BOUND, look(&client)).await;
        let look = look.unwrap_or_else(|_| News::Lost("no answer in time".to_owned()));
        let pause = if matches!(look, News::Lost(_)) { TRY_AGAIN.min(interval) } else { interval };
        if news.send(look).await.is_err() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = now.notified() => {}
        }
    }
}

async fn look(client: &Client) -> News {
    if !nex_bus::is_connected(client.nats()) {
        return News::Lost("the connection is lost".to_owned());
    }
    let start = Instant::now();
    let came_back = nex_bus::round_trip(client.nats(), ECHO_BOUND).await;
    let round_trip = came_back.then(|| start.elapsed());
    match client.overview().await {
        Ok(Overview { nodes, workloads }) => {
            let workloads = workloads.into_iter().map(Arc::new).collect();
            News::Seen(Box::new(Seen { nodes, workloads, round_trip }))
        }
        Err(error) => News::Lost(error.to_string()),
    }
}

/// Hears what workloads count. The connection subscribes again by itself after it was lost.
pub(super) async fn count(client: Client, news: mpsc::Sender<News>) {
    let mut metrics = loop {
        match client.metrics().await {
            Ok(metrics) => break metrics,
            Err(_) => tokio::time::sleep(TRY_AGAIN).await,
        }
    };
    while let Some(counted) = metrics.next().await {
        if news.send(News::Counted(Box::new(counted))).await.is_err() {
            return;
        }
    }
}

/// Reads the last lines and events of one workload, and then what comes.
pub(super) async fn follow(
    client: Client,
    workload: Arc<WorkloadSummary>,
    news: mpsc::Sender<News>,
) {
    let mine = Mine { client, workload, news };
    tokio::join!(mine.lines(), mine.events());
}

struct Mine {
    client: Client,
    workload: Arc<WorkloadSummary>,
    news: mpsc::Sender<News>,
}

impl Mine {
    /// None when nobody takes it.
    async fn tell(&self, told: Told) -> Option<()> {
        self.news.send(News::Told(self.workload.id.clone(), told)).await.ok()
    }

    async fn lines(&self) -> Option<()> {
        let mut first = Vec::new();
        let mut history = match self.last_lines(&mut first).await {
            Ok(history) => history,
            Err(error) => return self.tell(Told::NoLines(error.to_string())).await,
        };
        if let Some(why) = history.missing() {
            self.tell(Told::NoLines(why.to_string())).await?;
        }
        for line in first {
            self.tell(Told::Line(line)).await?;
        }
        while let Some(record) = history.past().await {
            self.tell(Told::Line(Line::of(&record))).await?;
        }
        while let Some(record) = history.next().await {
            self.tell(Told::Line(Line::of(&record))).await?;
        }
        None
    }

    /// In a namespace where others write much, a workload's last lines may lie far back.
    async fn last_lines(&self, first: &mut Vec<Line>) -> Result<History<LogRecord>, Error> {
        let (owner, id) = (self.client.owner(&self.workload), &self.workload.id);
        let mut history = self.client.workload_logs(owner, id, Begin::Last(NEWEST_LINES)).await?;
        match history.past().await {
            Some(record) => first.push(Line::of(&record)),
            None if history.is_kept() && !history.is_whole() => {
                return self.client.workload_logs(owner, id, Begin::Oldest).await;
            }
            None => {}
        }
        Ok(history)
    }

    async fn events(&self) -> Option<()> {
        let opened = self.client.past_events(Begin::Last(NEWEST_EVENTS), true).await;
        let mut history = match opened {
            Ok(history) => history,
            Err(error) => return self.tell(Told::NoEvents(error.to_string())).await,
        };
        if let Some(why) = history.missing() {
            self.tell(Told::NoEvents(why.to_string())).await?;
        }
        while let Some(event) = history.past().await {
            self.event(&event).await?;
        }
        while let Some(event) = history.next().await {
            self.event(&event).await?;
        }
        None
    }

    async fn event(&self, event: &EventLine) -> Option<()> {
        match Happening::of(event, &self.workload.id) {
            Some(happening) => self.tell(Told::Event(happening)).await,
            None => Some(()),
        }
    }
}
