//! A bucket read by direct gets, a page of messages for each request (servers from 2.11 on).
//!
//! Owns: the requests, and which of several messages of a key counts. Never: fails; what cannot be read
//! in this way is read through a consumer.
//!
//! Pages come in the order of writes, each from after the last message of the one before. A key that
//! is written meanwhile moves to a later page, so that none is missed, and the later message counts.

use std::collections::HashMap;

use async_nats::{Client, HeaderMap, Message, Subscriber};
use futures::StreamExt;
use nex_api::Time;
use serde_json::json;

use super::{Entry, OPERATION_HEADER, STALL};
use crate::streams::api_subject;

/// Messages in a page.
const PAGE: u64 = 1024;
/// Bytes after which a page ends.
const PAGE_BYTES: u64 = 4 << 20;
/// Pages in all: writers that are as fast as the reader shall not keep it.
const MOST_PAGES: usize = 256;

/// The entries of a bucket, in the order of their last writes; none when server or credentials refuse.
pub(super) async fn read(
    client: &Client,
    bucket: &str,
    filter: &str,
    now: Time,
) -> Option<Vec<Entry>> {
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.ok()?;
    let subject = api_subject(&format!("DIRECT.GET.KV_{bucket}"));
    let prefix = format!("$KV.{bucket}.");
    let mut keys = Keys { prefix: &prefix, now, entries: HashMap::new() };
    let mut from = 1;
    for _ in 0..MOST_PAGES {
        let request = json!({
            "seq": from, "next_by_subj": format!("{prefix}{filter}"), "batch": PAGE, "max_bytes": PAGE_BYTES,
        });
        let body = request.to_string().into();
        client.publish_with_reply(subject.clone(), inbox.clone(), body).await.ok()?;
        match page(&mut answers, &mut keys).await? {
            Page { n_left: 0, .. } => return Some(keys.in_order()),
            Page { last, .. } => from = last + 1,
        }
    }
    None
}

/// How a page ended.
struct Page {
    last: u64,
    n_left: u64,
}

/// Reads until the end of the page; none when something else comes, or nothing.
async fn page(answers: &mut Subscriber, keys: &mut Keys<'_>) -> Option<Page> {
    let mut last = 0;
    loop {
        let message = tokio::time::timeout(STALL, answers.next()).await.ok()??;
        match message.status.map(|status| status.as_u16()) {
            None => last = keys.take(&message)?,
            Some(204) => {
                let n_left = number(message.headers.as_ref()?, "Nats-Num-Pending")?;
                return Some(Page { last, n_left: if last == 0 { 0 } else { n_left } });
            }
            Some(404) => return Some(Page { last, n_left: 0 }),
            Some(_) => return None,
        }
    }
}

/// What the messages so far say.
struct Keys<'a> {
    prefix: &'a str,
    now: Time,
    entries: HashMap<String, Entry>,
}

impl Keys<'_> {
    /// Takes a message in and tells its sequence; none when it is not one of a page.
    fn take(&mut self, message: &Message) -> Option<u64> {
        let headers = message.headers.as_ref()?;
        // An older server answers with one message that does not tell how many are left.
        let _is_of_a_page = number(headers, "Nats-Num-Pending")?;
        let revision = number(headers, "Nats-Sequence")?;
        let written = Time::parse(last(headers, "Nats-Time-Stamp")?)?;
        let key = last(headers, "Nats-Subject")?.strip_prefix(self.prefix)?.to_owned();
        if headers.get(OPERATION_HEADER).is_some() {
            self.entries.remove(&key);
        } else {
            let (value, age) = (message.payload.clone(), self.now.since(written));
            self.entries.insert(key.clone(), Entry { key, value, age, revision });
        }
        Some(revision)
    }

    fn in_order(self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self.entries.into_values().collect();
        entries.sort_unstable_by_key(|entry| entry.revision);
        entries
    }
}

/// The server's own headers stand behind those of the writer.
fn last<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get_last(name).map(async_nats::HeaderValue::as_str)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    last(headers, name)?.parse().ok()
}
