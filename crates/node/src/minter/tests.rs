//! 1. Without an issuer, programs get the address and nothing else, our nexlets what the node has.
//! 2. An nkey is the same for all.
//! 3. A signing key: agents get the specification's section 7 and what it lacks, workloads their own.
//! 4. Our nexlets get an inbox of their own and a short life.
//! 5. Triggers outside of the policy are refused by their pattern.
//! 6. Triggers on streams get rights to their own durables, ticks and records, and to nothing else.

use data_encoding::BASE64URL_NOPAD;
use nex_bus::jwt::Key;
use serde_json::{Value, json};

use super::*;

fn request(kind: &str, namespace: &str, run_request: &Value) -> StartWorkloadRequest {
    StartWorkloadRequest {
        namespace: namespace.to_owned(),
        workload_type: kind.to_owned(),
        run_request: run_request.to_string(),
        ..StartWorkloadRequest::default()
    }
}

fn parts(policy: Option<Value>) -> Parts {
    let own = NatsConnectionData {
        nats_servers: vec!["nats://node:pw@h:4222".to_owned()],
        nats_user_seed: "SUCANARY".to_owned(),
        tls_ca: "/ca.pem".to_owned(),
        ..NatsConnectionData::default()
    };
    Parts {
        own: Settings::minted(own, "node"),
        policy: policy.map(|policy| Policy::parse(&policy.to_string()).unwrap()),
        buckets: vec!["NEXCLIFILES".to_owned()],
        node_id: "NODE".to_owned(),
        nexus: "nexus".to_owned(),
    }
}

fn signing(policy: Option<Value>) -> Minter {
    let (signer, account) = (Key::account(), Key::account());
    let issuer = Issuer::signing_key(&signer.seed().unwrap(), &account.public(), None).unwrap();
    Minter::new(issuer, parts(policy))
}

fn claims(minted: &NatsConnectionData) -> Value {
    let part = minted.nats_user_jwt.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
}

fn life(claims: &Value) -> u64 {
    claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap()
}

#[track_caller]
fn assert_allows(claims: &Value, direction: &str, expected: &[&str]) {
    let allowed = claims["nats"][direction]["allow"].as_array().unwrap();
    for subject in expected {
        assert!(allowed.contains(&json!(subject)), "no {subject} in {direction} of {claims:#}");
    }
}

#[test]
fn without_an_issuer_programs_get_the_address_and_nothing_else() {
    let minter = Minter::new(Issuer::FullAccess, parts(None));
    let native = request("native", "a", &json!({}));
    let minted = minter.for_workload("w", &native).unwrap();
    assert_eq!(minted, NatsConnectionData::open(vec!["nats://h:4222".to_owned()]));
    assert!(minter.warning(&native).unwrap().contains("no issuer is configured"));
    assert_eq!(minter.for_agent("a").unwrap().nats_user_seed, "SUCANARY");

    let function = request("javascript", "a", &json!({"uri": "data:,", "triggers": ["x"]}));
    assert_eq!(minter.for_workload("w", &function).unwrap().nats_user_seed, "SUCANARY");
    assert_eq!(minter.describe("w", &function), "everything but the deny list");
    assert!(minter.warning(&function).is_none() && minter.permit(&function).is_ok());

    let managed = Minter::new(Issuer::Managed, parts(None));
    assert_eq!(managed.for_workload("w", &function).unwrap().nats_user_seed, "");
    assert!(managed.warning(&native).is_none());
}

#[test]
fn an_nkey_is_the_same_for_all() {
    let user = Key::user();
    let issuer = Issuer::nkey(&user.public(), &user.seed().unwrap()).unwrap();
    let minter = Minter::new(issuer, parts(None));
    let minted = minter.for_agent("a").unwrap();
    assert_eq!(minted.nats_user_nkey, user.public());
    assert_eq!(minted.nats_user_seed, user.seed().unwrap());
    assert_eq!(minted.nats_servers, ["nats://h:4222"]);
    assert_eq!(minter.for_registration("b").unwrap(), minted);
    let native = request("native", "a", &json!({}));
    assert_eq!(minter.for_workload("w", &native).unwrap(), minted);
}

#[test]
fn foreign_agents_get_section_7_and_what_it_lacks() {
    let minter = signing(None);
    let registration = claims(&minter.for_registration("AGENT").unwrap());
    assert_allows(&registration, "pub", &["$NEX.SVC.NODE.agent.REGISTER.AGENT"]);
    assert_allows(&registration, "sub", &["_INBOX.>"]);

    let minted = minter.for_agent("AGENT").unwrap();
    assert_eq!((minted.nats_servers[0].as_str(), minted.tls_ca.as_str()), ("nats://h:4222", ""));
    let agent = claims(&minted);
    let section_7 = [
        "$NEX.SVC.NODE.agent.HEARTBEAT.AGENT",
        "$NEX.FEED.AGENT.events.*",
        "$NEX.FEED.AGENT.logs.*.stdout",
        "$NEX.FEED.AGENT.logs.*.stderr",
        "_INBOX.>",
    ];
    assert_allows(&agent, "pub", &section_7);
    let added = ["$NEX.FEED.*.logs.*.stdout", "$NEX.FEED.*.metrics.*", "$NEX.FEED.*.events.*"];
    assert_allows(&agent, "pub", &added);
    let section_7 = [
        "$NEX.SVC.NODE.agent.AGENT.STARTWORKLOAD.*",
        "$NEX.SVC.NODE.agent.AGENT.PING",
        "$NEX.SVC.NODE.agent.STOPWORKLOAD.*",
        "$NEX.SVC.NODE.agent.GETWORKLOAD.*",
        "$NEX.SVC.NODE.agent.QUERYWORKLOADS",
        "$NEX.SVC.NODE.agent.PING",
        "$NEX.SVC.NODE.agent.SETLAMEDUCK",
        "$NEX.SVC.nexus.agent.PINGWORKLOAD.*",
        "$SRV.>",
        "_INBOX.>",
    ];
    assert_allows(&agent, "sub", &section_7);
    let added = ["$NEX.FEED.AGENT.events", "$NEX.SVC.system.control.HEARTBEAT.NODE"];
    assert_allows(&agent, "sub", &added);
    assert_eq!(agent["nats"]["resp"], json!({"max": 1, "ttl": 0}));
    assert_eq!(life(&agent), 365 * 24 * 3600);
    assert_eq!(agent["name"], "AGENT");
}

#[test]
fn our_nexlets_get_an_inbox_of_their_own_and_a_day() {
    let minter = signing(None);
    let minted = minter.for_own_agent("AGENT").unwrap();
    let agent = claims(&minted);
    for direction in ["pub", "sub"] {
        assert_allows(&agent, direction, &["_INBOX.NEX.AGENT.>"]);
        assert!(!agent["nats"][direction].to_string().contains(r#""_INBOX.>""#));
    }
    assert!(!agent["nats"]["pub"].to_string().contains("CONSUMER"));
    assert_eq!((life(&agent), minted.tls_ca.as_str()), (24 * 3600, "/ca.pem"));
    let registration = claims(&minter.for_own_registration("AGENT").unwrap());
    assert_allows(&registration, "sub", &["_INBOX.NEX.AGENT.>"]);
}

#[test]
fn workloads_get_their_namespace_s_subjects() {
    let policy = json!({"a": {"publish": ["a.out.>"], "subscribe": ["a.>"]}});
    let minter = signing(Some(policy));
    let native = claims(&minter.for_workload("w", &request("native", "a", &json!({}))).unwrap());
    let expected = json!({"allow": ["_INBOX.>", "a.out.>"], "deny": ["_INBOX.NEX.>"]});
    assert_eq!(native["nats"]["pub"], expected);
    let expected =
        json!({"allow": ["$NEX.FEED.a.logs.>", "_INBOX.>", "a.>"], "deny": ["_INBOX.NEX.>"]});
    assert_eq!(native["nats"]["sub"], expected);

    let run_request = json!({"uri": "x", "triggers": ["a.in"], "limits": {"timeout": "10s"}});
    let request = request("javascript", "a", &run_request);
    let minted = minter.for_workload("w", &request).unwrap();
    let function = claims(&minted);
    let expected = json!(["$NEX.FEED.a.logs.>", "_INBOX.w.>", "a.in"]);
    assert_eq!(function["nats"]["sub"]["allow"], expected);
    assert_eq!(function["nats"]["resp"], json!({"max": 1, "ttl": 40_000_000_000_u64}));
    assert_eq!(life(&function), 24 * 3600);
    let described = minter.describe("w", &request);
    assert!(described.contains("a.in") && !described.contains(&minted.nats_user_seed));
}

#[test]
fn triggers_outside_of_the_policy_are_refused_by_their_pattern() {
    let function = |subject: &str| {
        request(
            "wasm",
            "a",
            &json!({"uri": "x", "triggers": ["a.in", {"type": "subject", "subject": subject}]}),
        )
    };
    let minter = signing(Some(json!({"a": {"subscribe": ["a.>"]}})));
    assert!(minter.permit(&function("a.*.x")).is_ok());
    let refused = minter.permit(&function("b.>")).unwrap_err().to_string();
    assert_eq!(refused, "namespace a may not subscribe to b.>");
    assert!(signing(None).permit(&function("a.x")).is_err(), "nothing unless listed");
    assert!(minter.permit(&request("native", "b", &json!({}))).is_ok());
}

#[test]
fn debug_hides_every_secret() {
    let minter = signing(None);
    let minted = minter.for_agent("AGENT").unwrap();
    let shown = format!("{minter:?} {minted:?}");
    for secret in ["SUCANARY", "node:pw", &minted.nats_user_seed, &minted.nats_user_jwt] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn triggers_get_rights_to_their_own_durables_and_nothing_else() {
    let minter = signing(Some(json!({"a": {"subscribe": ["orders.>"], "publish": ["dead.x"]}})));
    let run_request = json!({"uri": "x", "triggers": [
        {"type": "stream", "stream": "S", "filter": "orders.*", "dead_letter": "dead.x"},
        {"type": "schedule", "cron": "@every 1s"},
    ]});
    let started =
        StartWorkloadRequest { name: "app".to_owned(), ..request("javascript", "a", &run_request) };
    assert_eq!(minter.permit(&started), Ok(()));
    let claims = claims(&minter.for_workload("W", &started).unwrap());
    let expected = [
        "$JS.API.CONSUMER.CREATE.S.nex_a_app.orders.*",
        "$JS.API.CONSUMER.INFO.S.nex_a_app",
        "$JS.API.CONSUMER.MSG.NEXT.S.nex_a_app",
        "$JS.ACK.S.nex_a_app.>",
        "$JS.API.STREAM.CREATE.NEX_TICKS_a",
        "$JS.API.STREAM.CREATE.KV_nex-runs-a",
    ];
    assert_allows(&claims, "pub", &expected);
    let allowed = claims["nats"]["pub"]["allow"].as_array().unwrap();
    for subject in allowed.iter().map(|subject| subject.as_str().unwrap()) {
        let is_whole = |word: &str| subject.split('.').any(|token| token == word);
        let is_own = subject.contains("_a") || subject.contains("-a") || subject.contains(".a.");
        assert!(!is_whole("$JS") || is_own, "{subject}");
    }
    for (trigger, says) in [
        (json!({"type": "stream", "stream": "S"}), "may not subscribe to >"),
        (json!({"type": "kv", "bucket": "B"}), "may not subscribe to $KV.B.>"),
        (json!({"type": "object", "bucket": "B"}), "may not subscribe to $O.B.M.>"),
        (
            json!({"type": "stream", "stream": "S", "filter": "orders.x", "dead_letter": "y"}),
            "may not publish to y",
        ),
    ] {
        let refused = request("javascript", "a", &json!({"uri": "x", "triggers": [trigger]}));
        let error = minter.permit(&refused).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    let own = json!({"uri": "x", "triggers": [{"type": "kv", "bucket": "hs_a_app_kv"}]});
    assert_eq!(minter.permit(&request("javascript", "a", &own)), Ok(()));
}
