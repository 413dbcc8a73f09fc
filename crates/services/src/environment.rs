//! The whole environment of a program (spec: services, section 2).
//!
//! Owns: which variables there are and who wins. Never: reads this process's own environment.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nex_api::NatsConnectionData;
use nex_nexlet::Start;

use crate::credentials;

/// Names the workload to the program, and its processes to Nex, which ends all that carry it.
pub(crate) const WORKLOAD_ID: &str = "NEX_WORKLOAD_ID";

/// What a program with a network of its own sees of NATS.
const RELAYED: &str = "nats://127.0.0.1:4222";

/// Where the program runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The workload's folder on the host.
    pub(crate) folder: &'a Path,
    pub(crate) is_boxed: bool,
    /// Whether its shim relays its NATS.
    pub(crate) has_relay: bool,
}

/// A variable that a request may not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("environment: \"{0}\" is no name of a variable")]
    Name(String),
    #[error("environment: the value of {0} has a NUL byte")]
    Value(String),
    #[error("environment: {WORKLOAD_ID} is set by Nex")]
    Reserved,
}

/// What Nex adds, and over it what the request gives.
pub(crate) fn build(
    start: &Start,
    requested: BTreeMap<String, String>,
    node_id: &str,
    place: Place<'_>,
) -> Result<BTreeMap<String, String>, Error> {
    for (name, value) in &requested {
        check(name, value)?;
    }
    let mut environment = BTreeMap::new();
    let mut add = |name: &str, value: String| environment.insert(name.to_owned(), value);
    add(WORKLOAD_ID, start.id.to_string());
    add("NEX_WORKLOAD_NAME", start.name.to_string());
    add("NEX_NAMESPACE", start.namespace.to_string());
    add("NEX_NODE_ID", node_id.to_owned());
    add("PATH", "/usr/bin:/bin".to_owned());
    // `/home` is for programs in a box of their own; without one, it would be everybody's.
    let home = if place.is_boxed { Path::new("/home") } else { place.folder };
    add("HOME", home.display().to_string());
    environment.extend(nats(&start.connection, place));
    environment.extend(requested);
    Ok(environment)
}

/// How the program reaches NATS, under the names of the Go nexlet and of NATS clients.
fn nats(connection: &NatsConnectionData, place: Place<'_>) -> BTreeMap<String, String> {
    let servers = match place.has_relay {
        true => RELAYED.to_owned(),
        false => connection.nats_servers.join(","),
    };
    let mut variables = BTreeMap::new();
    if !servers.is_empty() {
        variables.insert("NATS_URL".to_owned(), servers.clone());
    }
    // What is renewed stands in the file alone: a program's environment cannot be changed.
    if let Some(path) = credentials::path(place.folder, place.is_boxed, connection) {
        variables.insert("NATS_CREDS".to_owned(), path.display().to_string());
    }
    let jwt = STANDARD.encode(&connection.nats_user_jwt);
    variables.insert("NEX_WORKLOAD_NATS_SERVERS".to_owned(), servers);
    variables.insert("NEX_WORKLOAD_NATS_NKEY".to_owned(), connection.nats_user_seed.clone());
    variables.insert("NEX_WORKLOAD_NATS_B64_JWT".to_owned(), jwt);
    variables
}

fn check(name: &str, value: &str) -> Result<(), Error> {
    if name == WORKLOAD_ID {
        return Err(Error::Reserved);
    }
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(Error::Name(name.chars().take(80).filter(|c| !c.is_control()).collect()));
    }
    // The value may be a secret: it is not shown.
    if value.contains('\0') {
        return Err(Error::Value(name.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn credentials_stand_under_the_names_that_programs_know() {
        let connection = NatsConnectionData {
            nats_servers: vec!["nats://a:1".to_owned(), "nats://b:2".to_owned()],
            nats_user_seed: "SUX".to_owned(),
            nats_user_jwt: "e.y.J".to_owned(),
            ..NatsConnectionData::default()
        };
        let place = Place { folder: Path::new("/run/w"), is_boxed: false, has_relay: false };
        let expected = map(&[
            ("NATS_CREDS", "/run/w/nex.credentials/nats.creds"),
            ("NATS_URL", "nats://a:1,nats://b:2"),
            ("NEX_WORKLOAD_NATS_B64_JWT", "ZS55Lko="),
            ("NEX_WORKLOAD_NATS_NKEY", "SUX"),
            ("NEX_WORKLOAD_NATS_SERVERS", "nats://a:1,nats://b:2"),
        ]);
        assert_eq!(nats(&connection, place), expected);
        let boxed = nats(&connection, Place { is_boxed: true, has_relay: true, ..place });
        assert_eq!(boxed["NATS_CREDS"], "/run/nex/nats.creds");
        assert_eq!(boxed["NATS_URL"], "nats://127.0.0.1:4222");
        let none = nats(&NatsConnectionData::default(), place);
        assert!(!none.contains_key("NATS_URL") && !none.contains_key("NATS_CREDS"));
    }

    #[test]
    fn names_that_no_process_can_have_are_refused_and_values_are_not_shown() {
        assert_eq!(check("A", "x=y"), Ok(()));
        assert_eq!(check("", ""), Err(Error::Name(String::new())));
        assert_eq!(check("A=B", ""), Err(Error::Name("A=B".to_owned())));
        assert_eq!(check(WORKLOAD_ID, "x"), Err(Error::Reserved));
        let words = check("KEY", "secret\0").unwrap_err().to_string();
        assert!(words.contains("KEY") && !words.contains("secret"), "{words}");
    }
}
