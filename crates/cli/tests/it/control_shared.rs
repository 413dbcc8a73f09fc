//! What a node shares with a second process of its seed (spec: control API, section 2.2; check 39).
//!
//! 1. Each broadcast is answered once per node id: the queue group is the node id, on every endpoint.

use std::collections::BTreeSet;

use futures::StreamExt;

use crate::world::World;

#[tokio::test]
async fn two_processes_of_one_seed_answer_each_broadcast_once() {
    let world = World::up().await;
    let subject = "$NEX.SVC.system.control.PTAGS";
    let group = world.node_id().await;
    let mut twin = world.client.queue_subscribe(subject, group).await.unwrap();
    world.client.flush().await.unwrap();
    let client = world.client.clone();
    let answers = tokio::spawn(async move {
        while let Some(request) = twin.next().await {
            client.publish(request.reply.unwrap(), "twin".into()).await.unwrap();
        }
    });
    let mut who = BTreeSet::new();
    for _ in 0..12 {
        let replies = world.replies(subject, "").await;
        assert_eq!(replies.len(), 1, "{replies:#?}");
        who.insert(replies[0].payload == "twin");
        if who.len() == 2 {
            break;
        }
    }
    assert_eq!(who.len(), 2, "both have their share");
    answers.abort();
    world.finish().await;
}
