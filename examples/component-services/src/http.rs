//! One request of `wasi:http`, from its parts to the bytes of its answer.

use crate::wasi::http::outgoing_handler;
use crate::wasi::http::types::{
    Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
};
use crate::wasi::io::streams::StreamError;

/// Posts `body` to `http://AUTHORITY/PATH`; the answer's status and text.
pub(crate) fn post(url: &str, body: &[u8]) -> Result<String, String> {
    let rest = url.strip_prefix("http://").ok_or("write http://")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let request = OutgoingRequest::new(Fields::new());
    let set = request.set_method(&Method::Post).is_ok()
        && request.set_scheme(Some(&Scheme::Http)).is_ok()
        && request.set_authority(Some(authority)).is_ok()
        && request.set_path_with_query(Some(&format!("/{path}"))).is_ok();
    if !set {
        return Err(format!("{url} is no address"));
    }
    let outgoing = request.body().map_err(|()| "the body was taken before")?;
    let asked = outgoing_handler::handle(request, None).map_err(|error| format!("{error:?}"))?;
    {
        let stream = outgoing.write().map_err(|()| "the stream was taken before")?;
        stream.blocking_write_and_flush(body).map_err(|error| format!("{error:?}"))?;
    }
    OutgoingBody::finish(outgoing, None).map_err(|error| format!("{error:?}"))?;
    asked.subscribe().block();
    let response = match asked.get() {
        Some(Ok(Ok(response))) => response,
        Some(Ok(Err(error))) => return Err(format!("{error:?}")),
        other => return Err(format!("no answer: {other:?}")),
    };
    let status = response.status();
    Ok(format!("{status} {}", text_of(&response)?))
}

fn text_of(response: &IncomingResponse) -> Result<String, String> {
    let body = response.consume().map_err(|()| "the body was taken before")?;
    let stream = body.stream().map_err(|()| "the stream was taken before")?;
    let mut read = Vec::new();
    loop {
        match stream.blocking_read(64 * 1024) {
            Ok(piece) => read.extend(piece),
            Err(StreamError::Closed) => break,
            Err(error) => return Err(format!("{error:?}")),
        }
    }
    String::from_utf8(read).map_err(|error| error.to_string())
}
