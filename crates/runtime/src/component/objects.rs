//! `nex:host/object-store`: objects whole and in pieces.
//!
//! Owns: the translation, and readers and writers as resources. Never: holds more of an object than a piece,
//! but where the guest asked for all of it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, channel::mpsc};
use nex_functions::Span;
use nex_functions::host::{Host, HostError, ObjectInfo, Objects, bucket_span, traced};
use wasmtime::component::Resource;

use super::bindings::nex::host::object_store as wit;
use super::errors::{ServiceError, switched_off};
use super::state::State;

/// Bytes of one piece.
const MAX_PIECE: usize = 1024 * 1024;

/// Objects of one page.
const MAX_PAGE: usize = 1000;

type Pieces = BoxStream<'static, Result<Bytes, HostError>>;
type Done = Result<ObjectInfo, HostError>;

/// An object that is being read.
#[expect(unreachable_pub, reason = "the generated bindings name it")]
pub struct Reader {
    info: ObjectInfo,
    pieces: Pieces,
    /// Of the latest piece, what the guest has not taken yet.
    rest: Bytes,
}

/// An object that is being written: `putting` takes what `pieces` is given, and runs while the guest writes.
#[expect(unreachable_pub, reason = "the generated bindings name it")]
pub struct Writer {
    pieces: mpsc::Sender<Result<Bytes, HostError>>,
    putting: Pin<Box<dyn Future<Output = Done> + Send>>,
    done: Option<Done>,
}

impl wit::Host for State {
    async fn get(
        &mut self,
        bucket: Option<String>,
        name: String,
    ) -> Result<Option<Vec<u8>>, ServiceError> {
        let limit = usize::try_from(self.memory_limit).unwrap_or(usize::MAX);
        // Until all of it has come.
        let _span = self.object_span("objects get", bucket.as_deref());
        let found = service(&self.host)?.get(bucket.as_deref(), &name).await?;
        let Some((_, mut pieces)) = found else { return Ok(None) };
        let mut bytes = BytesMut::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            if piece.len() > limit.saturating_sub(bytes.len()) {
                let why = format!("{name} is larger than the function's memory: open it instead");
                return Err(HostError::Invalid(why).into());
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Some(bytes.into()))
    }

    async fn open(
        &mut self,
        bucket: Option<String>,
        name: String,
    ) -> Result<Option<Resource<Reader>>, ServiceError> {
        let span = self.object_span("objects get", bucket.as_deref());
        let found = traced(span, service(&self.host)?.get(bucket.as_deref(), &name)).await?;
        let Some((info, pieces)) = found else { return Ok(None) };
        Ok(Some(self.table.push(Reader { info, pieces, rest: Bytes::new() })?))
    }

    async fn put(
        &mut self,
        bucket: Option<String>,
        name: String,
        bytes: Vec<u8>,
    ) -> Result<wit::ObjectInfo, ServiceError> {
        let pieces = stream::once(async { Ok(Bytes::from(bytes)) }).boxed();
        let span = self.object_span("objects put", bucket.as_deref());
        let putting = service(&self.host)?.put(bucket.as_deref(), &name, pieces);
        Ok(info(traced(span, putting).await?))
    }

    async fn create(
        &mut self,
        bucket: Option<String>,
        name: String,
    ) -> Result<Resource<Writer>, ServiceError> {
        service(&self.host)?;
        let host = Arc::clone(&self.host);
        let span = self.object_span("objects put", bucket.as_deref());
        let (pieces, taken) = mpsc::channel(1);
        let putting = Box::pin(async move {
            let objects = host.objects.as_ref().ok_or_else(|| switched_off("object store"))?;
            traced(span, objects.put(bucket.as_deref(), &name, taken.boxed())).await
        });
        Ok(self.table.push(Writer { pieces, putting, done: None })?)
    }

    async fn delete(&mut self, bucket: Option<String>, name: String) -> Result<(), ServiceError> {
        let span = self.object_span("objects delete", bucket.as_deref());
        Ok(traced(span, service(&self.host)?.delete(bucket.as_deref(), &name)).await?)
    }

    async fn info(
        &mut self,
        bucket: Option<String>,
        name: String,
    ) -> Result<Option<wit::ObjectInfo>, ServiceError> {
        let span = self.object_span("objects info", bucket.as_deref());
        Ok(traced(span, service(&self.host)?.info(bucket.as_deref(), &name)).await?.map(info))
    }

    async fn list(
        &mut self,
        bucket: Option<String>,
        prefix: String,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<wit::Page, ServiceError> {
        let limit = usize::try_from(limit).unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
        let service = service(&self.host)?;
        let span = self.object_span("objects list", bucket.as_deref());
        let listing = service.list(bucket.as_deref(), &prefix, cursor.as_deref(), limit);
        let page = traced(span, listing).await?;
        let objects = page.objects.into_iter().map(info).collect();
        Ok(wit::Page { objects, cursor: page.cursor })
    }
}

impl wit::HostReader for State {
    fn info(&mut self, reader: Resource<Reader>) -> wasmtime::Result<wit::ObjectInfo> {
        Ok(info(self.table.get(&reader)?.info.clone()))
    }

    async fn read(
        &mut self,
        reader: Resource<Reader>,
        max: u32,
    ) -> Result<Option<Vec<u8>>, ServiceError> {
        let max = usize::try_from(max).unwrap_or(MAX_PIECE).clamp(1, MAX_PIECE);
        let reader = self.table.get_mut(&reader)?;
        while reader.rest.is_empty() {
            match reader.pieces.next().await {
                Some(piece) => reader.rest = piece?,
                None => return Ok(None),
            }
        }
        let piece = reader.rest.split_to(max.min(reader.rest.len()));
        Ok(Some(piece.to_vec()))
    }

    fn drop(&mut self, reader: Resource<Reader>) -> wasmtime::Result<()> {
        self.table.delete(reader)?;
        Ok(())
    }
}

impl wit::HostWriter for State {
    async fn write(
        &mut self,
        writer: Resource<Writer>,
        bytes: Vec<u8>,
    ) -> Result<(), ServiceError> {
        // In pieces of their own: a slice would keep all of the bytes until the last one is sent.
        for piece in bytes.chunks(MAX_PIECE) {
            self.table.get_mut(&writer)?.write(Bytes::copy_from_slice(piece)).await?;
        }
        Ok(())
    }

    async fn finish(&mut self, writer: Resource<Writer>) -> Result<wit::ObjectInfo, ServiceError> {
        let writer = self.table.delete(writer)?;
        Ok(info(writer.finish().await?))
    }

    fn drop(&mut self, writer: Resource<Writer>) -> wasmtime::Result<()> {
        let writer = self.table.delete(writer)?;
        // The future goes first: it must not take the end of the pieces for the end of the object.
        drop(writer.putting);
        Ok(())
    }
}

impl State {
    fn object_span(&self, name: &'static str, bucket: Option<&str>) -> Span {
        bucket_span(&self.scope, name, bucket)
    }
}

impl Writer {
    /// Waits until there is room for the piece, while the service works at those before it.
    async fn write(&mut self, piece: Bytes) -> Result<(), HostError> {
        if let Some(done) = &self.done {
            return Err(ended_early(done));
        }
        let room = futures::future::poll_fn(|context| self.pieces.poll_ready(context));
        tokio::select! {
            done = &mut self.putting => {
                let error = ended_early(&done);
                self.done = Some(done);
                Err(error)
            }
            room = room => {
                let full = |_| HostError::Failed("the object is not written any more".to_owned());
                room.map_err(full)?;
                self.pieces.start_send(Ok(piece)).map_err(full)
            }
        }
    }

    async fn finish(mut self) -> Done {
        if let Some(done) = self.done {
            return done;
        }
        self.pieces.close_channel();
        self.putting.await
    }
}

fn ended_early(done: &Done) -> HostError {
    match done {
        Err(error) => error.clone(),
        Ok(_) => {
            HostError::Failed("the object was finished before all of it was written".to_owned())
        }
    }
}

fn service(host: &Host) -> Result<&Objects, ServiceError> {
    host.objects.as_ref().ok_or_else(|| switched_off("object store").into())
}

fn info(info: ObjectInfo) -> wit::ObjectInfo {
    wit::ObjectInfo {
        name: info.name,
        size: info.size,
        digest: info.digest,
        modified: u64::try_from(info.modified).unwrap_or(0),
    }
}
