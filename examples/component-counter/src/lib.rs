//! A component that imports `wasi:keyvalue`: it counts, in its own bucket, how often each payload came.
//!
//! Built by `cargo xtask guests` into `examples/component-counter.wasm`.

wit_bindgen::generate!({ path: "../../wit", world: "nex:function/function", generate_all });

use exports::nex::function::handler::{Error, Guest, Message, Reply};
use wasi::config::store as config;
use wasi::keyvalue::{atomics, batch, store};
use wasi::logging::logging::{Level, log};

struct Counter;

impl Guest for Counter {
    fn handle(message: Message) -> Result<Reply, Error> {
        let key = String::from_utf8(message.payload)
            .map_err(|_| Error::BadInput("the payload is no text".to_owned()))?;
        let count = count(&key).map_err(|error| {
            log(Level::Error, "counter", &format!("{error:?}"));
            Error::Failed(format!("cannot count: {error:?}"))
        })?;
        log(Level::Info, "counter", &format!("{key} came {count} times"));
        let greeting = config::get("GREETING").ok().flatten().unwrap_or_default();
        Ok(Reply { payload: format!("{greeting}{key}={count}").into_bytes(), headers: Vec::new() })
    }
}

fn count(key: &str) -> Result<u64, store::Error> {
    let bucket = store::open("")?;
    let count = atomics::increment(&bucket, key, 1)?;
    bucket.set("latest", key.as_bytes())?;
    let both = batch::get_many(&bucket, &["latest".to_owned(), "nothing".to_owned()])?;
    let latest = both.first().cloned().flatten().map(|(_, value)| value);
    assert_eq!(latest.as_deref(), Some(key.as_bytes()), "what was just set");
    assert_eq!(both.get(1), Some(&None), "what nobody set");
    assert!(bucket.exists(key)?, "what was just counted");
    let listed = bucket.list_keys(None)?;
    assert!(listed.keys.iter().any(|listed| listed == key), "the key is listed");
    bucket.delete("latest")?;
    Ok(count)
}

export!(Counter);
