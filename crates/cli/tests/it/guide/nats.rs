//! What the `nats` program does for the pages, so that nobody needs it to run the tests.
//!
//! Owns: the commands of it that the guide uses. Never: talks to anything of Nex.

use async_nats::jetstream::{self, kv, object_store, stream};

use crate::world::World;

/// Does it, and returns what the program would print of an answer.
pub(super) async fn run(world: &World, arguments: &str) -> String {
    let words = words(arguments);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let jetstream = jetstream::new(world.client.clone());
    match words[..] {
        ["stream", "add", name, "--subjects", subjects, "--defaults"] => {
            let (name, subjects) = (name.to_owned(), vec![subjects.to_owned()]);
            let config = stream::Config { name, subjects, ..stream::Config::default() };
            drop(jetstream.create_stream(config).await.unwrap());
        }
        ["pub", subject, text] => {
            let (subject, text) = (subject.to_owned(), text.to_owned());
            world.client.publish(subject, text.into()).await.unwrap();
        }
        ["req", subject, text] => {
            let reply = world.ask(subject, text).await;
            return String::from_utf8_lossy(&reply.payload).into_owned();
        }
        ["kv", "add", bucket] => {
            let config = kv::Config { bucket: bucket.to_owned(), ..kv::Config::default() };
            drop(jetstream.create_key_value(config).await.unwrap());
        }
        ["kv", "put", bucket, key, value] => {
            let bucket = jetstream.get_key_value(bucket).await.unwrap();
            bucket.put(key, value.to_owned().into()).await.unwrap();
        }
        ["object", "add", bucket] => {
            let bucket = bucket.to_owned();
            let config = object_store::Config { bucket, ..object_store::Config::default() };
            drop(jetstream.create_object_store(config).await.unwrap());
        }
        ["object", "put", bucket, file] => {
            let bytes = std::fs::read(world.nex.work_dir().join(file)).unwrap();
            let bucket = jetstream.get_object_store(bucket).await.unwrap();
            bucket.put(file, &mut bytes.as_slice()).await.unwrap();
        }
        _ => panic!("the guide uses nats {arguments}, which this test does not know"),
    }
    String::new()
}

/// As a shell takes them apart, as far as the guide needs it: single quotes.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for letter in command.chars() {
        match letter {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            letter => words.last_mut().expect("there is one").push(letter),
        }
    }
    words
}
