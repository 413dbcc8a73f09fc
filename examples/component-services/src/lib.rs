//! A component that uses objects, messages and HTTP: the payload says which, and the answer tells what came of it.
//!
//! Built by `cargo xtask guests` into `examples/component-services.wasm`.

mod http;

wit_bindgen::generate!({ path: "../../wit", world: "nex:function/function", generate_all });

use exports::nex::function::handler::{Error, Guest, Message, Reply};
use nex::host::messaging::{self, Until};
use nex::host::object_store as objects;
use nex::host::types as host;

struct Services;

impl Guest for Services {
    fn handle(message: Message) -> Result<Reply, Error> {
        let text = String::from_utf8(message.payload)
            .map_err(|_| Error::BadInput("the payload is no text".to_owned()))?;
        let (service, argument) = text.split_once(' ').unwrap_or((&text, ""));
        let answer = match service {
            "objects" => keep(argument).map_err(failed),
            "messages" => ask(argument).map_err(failed),
            "publish" => messaging::publish(argument, b"told", &[])
                .map(|()| "told".to_owned())
                .map_err(failed),
            "http" => http::post(argument, b"posted").map_err(Error::Failed),
            _ => Err(Error::BadInput(format!("there is no service {service}"))),
        }?;
        Ok(Reply { payload: answer.into_bytes(), headers: Vec::new() })
    }
}

fn failed(error: host::Error) -> Error {
    Error::Failed(format!("{error:?}"))
}

/// Writes an object whole and one in pieces, reads both back, and removes the first.
fn keep(text: &str) -> Result<String, host::Error> {
    assert!(objects::get(None, "nothing")?.is_none(), "what nobody put");
    assert!(objects::info(None, "nothing")?.is_none(), "what nobody put");
    objects::put(None, "whole", text.as_bytes())?;
    let whole = objects::get(None, "whole")?.unwrap_or_default();

    let writer = objects::create(None, "pieces")?;
    for piece in text.as_bytes().chunks(2) {
        writer.write(piece)?;
    }
    let info = objects::Writer::finish(writer)?;
    let mut read = Vec::new();
    if let Some(reader) = objects::open(None, "pieces")? {
        assert_eq!(reader.info().size, info.size, "as it was written");
        while let Some(piece) = reader.read(3)? {
            read.extend(piece);
        }
    }

    objects::delete(None, "whole")?;
    let left = objects::list(None, "", None, 10)?;
    let left: Vec<String> = left.objects.into_iter().map(|object| object.name).collect();
    let (whole, read) = (String::from_utf8_lossy(&whole), String::from_utf8_lossy(&read));
    Ok(format!("{whole} {read} {} {}", info.size, left.join(",")))
}

/// Asks once for one answer, and once for two.
fn ask(subject: &str) -> Result<String, host::Error> {
    let answer = messaging::request(subject, b"one", &[], 2000)?;
    let until = Until { count: Some(2), stall_ms: Some(300), timeout_ms: 2000 };
    let answers = messaging::request_many(subject, b"many", &[], until)?;
    Ok(format!("{} {}", String::from_utf8_lossy(&answer.payload), answers.len()))
}

export!(Services);
