//! Artifacts against a real nats-server, and servers of the tests' own.
//!
//! Owns: the contracts of uploads and fetches, one per test. Never: tests a nexlet.
//!
//! 1. What is uploaded is fetched, byte by byte, and uploaded once.
//! 2. What is fetched with a digest is fetched once, also by many at the same time.
//! 3. Each failure has its own variant: missing, wrong digest, too large, not allowed, no JetStream.
//! 4. No namespace reads another's bucket, not even through a link.
//! 5. Files come from allowed folders only, whatever links say.
//! 6. Nothing half fetched is left.
//! 7. Web servers and registries are asked at public addresses only, or at hosts that are allowed by name.
//! 8. They may send too much, too little, something else, or nothing: each is noticed.
//! 9. Old uploads go, those in use stay.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod files;
mod https;
mod objects;
mod registry;
mod support;
mod web;
