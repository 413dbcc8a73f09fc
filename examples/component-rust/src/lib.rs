//! A component in Rust: the payload and the headers come back; `fail`, `bad` and a status show the errors.
//!
//! Built by `cargo xtask guests` into `examples/component-rust.wasm`; docs/guide/webassembly.md says how by hand.

wit_bindgen::generate!({ path: "../../wit", world: "nex:function/pure", generate_all });

use exports::nex::function::handler::{Error, Guest, Message, Reply};
use nex::function::types::StatusError;

struct Echo;

impl Guest for Echo {
    fn handle(message: Message) -> Result<Reply, Error> {
        match message.payload.as_slice() {
            b"bad" => Err(Error::BadInput("the payload is bad".to_owned())),
            b"fail" => Err(Error::Failed("the payload says fail".to_owned())),
            b"teapot" => Err(Error::Status(StatusError {
                code: 418,
                payload: b"short and stout".to_vec(),
                headers: message.headers,
            })),
            b"panic" => panic!("the payload says panic"),
            b"subject" => Ok(Reply { payload: message.subject.into_bytes(), headers: Vec::new() }),
            _ => Ok(Reply { payload: message.payload, headers: message.headers }),
        }
    }
}

export!(Echo);
