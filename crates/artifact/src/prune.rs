//! Uploads that nobody needs any more go.
//!
//! Owns: which stay. Never: touches an object that an upload did not make, or fails a deploy.

use std::collections::HashSet;

use nex_bus::Client;
use nex_bus::objects::{self, Listed};
use nex_types::{Digest, Namespace};

use crate::reference::bucket_of;
use crate::upload::legal_name;

/// Of each name, with the one that was just uploaded.
pub const KEPT_PER_NAME: usize = 5;

/// Removes uploads of a file's `name` from the bucket of `namespace`: all but the last
/// [`KEPT_PER_NAME`], what `in_use` names, and what `<name>_latest` leads to. Returns the names of the
/// objects that went; what cannot be removed is logged and stays.
///
/// `in_use` is asked only when there is something to remove. When it cannot tell, everything stays.
pub async fn prune(
    client: &Client,
    namespace: &Namespace,
    name: &str,
    in_use: impl AsyncFnOnce() -> Option<HashSet<Digest>>,
) -> Vec<String> {
    let (bucket, name) = (bucket_of(namespace), legal_name(name));
    if to_remove(&all(client, &bucket).await, &name, &HashSet::new()).is_empty() {
        return Vec::new();
    }
    let Some(in_use) = in_use().await else { return Vec::new() };
    let mut removed = Vec::new();
    // Looked at again: somebody may have uploaded meanwhile what was uploaded before.
    for object in to_remove(&all(client, &bucket).await, &name, &in_use) {
        match objects::delete(client, &bucket, &object).await {
            Ok(()) => removed.push(object),
            Err(error) => tracing::debug!(%bucket, object, %error, "cannot remove an upload"),
        }
    }
    removed
}

async fn all(client: &Client, bucket: &str) -> Vec<Listed> {
    objects::list(client, bucket).await.unwrap_or_else(|error| {
        tracing::debug!(%bucket, %error, "cannot look for uploads that are not needed");
        Vec::new()
    })
}

fn to_remove(listed: &[Listed], name: &str, in_use: &HashSet<Digest>) -> Vec<String> {
    let links: HashSet<&str> =
        listed.iter().filter_map(|listed| listed.links_to.as_deref()).collect();
    let mut uploads: Vec<(&Listed, Digest)> = listed
        .iter()
        .filter(|listed| listed.links_to.is_none())
        .filter_map(|listed| Some((listed, digest_of(&listed.name, name)?)))
        .collect();
    uploads.sort_by_key(|(listed, _)| std::cmp::Reverse(listed.modified));
    let old = uploads.into_iter().skip(KEPT_PER_NAME);
    old.filter(|(listed, digest)| !in_use.contains(digest) && !links.contains(&*listed.name))
        .map(|(listed, _)| listed.name.clone())
        .collect()
}

/// Of an object that an upload of `name` made; its name says it.
fn digest_of(object: &str, name: &str) -> Option<Digest> {
    let hex = object.strip_prefix(name)?.strip_prefix('_')?;
    format!("sha256:{hex}").parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn upload(name: &str, digest: Digest, modified: i128) -> Listed {
        Listed { name: format!("{name}_{}", digest.hex()), modified, links_to: None }
    }

    #[test]
    fn other_names_links_and_what_people_put_there_stay() {
        let digest = |n: u8| Digest::of(&[n]);
        let mut listed: Vec<_> = (0..8).map(|n| upload("a", digest(n), n.into())).collect();
        listed.extend((0..8).map(|n| upload("a_b", digest(n), n.into())));
        listed.extend((0..8).map(|n| Listed {
            name: format!("a_v{n}"),
            modified: 0,
            links_to: None,
        }));
        let latest = Some(listed[1].name.clone());
        listed.push(Listed { name: "a_latest".to_owned(), modified: 9, links_to: latest });
        let removed = to_remove(&listed, "a", &HashSet::from([digest(2)]));
        assert_eq!(removed, [listed[0].name.clone()]);
    }

    proptest! {
        #[test]
        fn the_newest_and_those_in_use_stay(
            ages in proptest::collection::vec(0i128..100, 0..20),
            used in proptest::collection::vec(0u8..20, 0..5),
        ) {
            let digest = |n: usize| Digest::of(&n.to_le_bytes());
            let listed: Vec<_> =
                ages.iter().enumerate().map(|(n, age)| upload("a", digest(n), *age)).collect();
            let in_use: HashSet<_> = used.iter().map(|n| digest(usize::from(*n))).collect();
            let removed = to_remove(&listed, "a", &in_use);
            let (gone, rest): (Vec<_>, Vec<_>) =
                listed.iter().partition(|listed| removed.contains(&listed.name));
            prop_assert!(rest.len() >= listed.len().min(KEPT_PER_NAME));
            prop_assert!(rest.len() <= KEPT_PER_NAME + in_use.len());
            for listed in &gone {
                prop_assert!(!in_use.contains(&digest_of(&listed.name, "a").unwrap()));
                let n_newer = rest.iter().filter(|r| r.modified >= listed.modified).count();
                prop_assert!(n_newer >= KEPT_PER_NAME);
            }
        }
    }
}
