//! What host services need of a function's credentials (spec: functions, section 5).
//!
//! Owns: the rights on the workload's own and listed buckets, and where messaging may publish. Never: checks
//! the request; the nexlet refuses what is denied.
//!
//! The nexlet holds these credentials, and a guest cannot use them but by the operations that it is offered.

use super::{function, is_own_bucket};
use nex_api::start::{BucketService, HostServices, MessagingService};
use nex_api::workload::StartWorkloadRequest;
use nex_types::{
    Namespace, SubjectPattern, WorkloadName, denied_bucket, is_bucket_name, own_kv_bucket,
    own_object_bucket,
};

/// Subjects that a function's connection may publish to for its host services, besides `granted`, the
/// namespace's own.
pub(super) fn publish(
    request: &StartWorkloadRequest,
    services: Option<&HostServices>,
    granted: &[SubjectPattern],
) -> Vec<String> {
    let default = HostServices::default();
    let services = services.unwrap_or(&default);
    let mut subjects = messaging(services.messaging.as_ref(), granted);
    let (Ok(namespace), Ok(name)) =
        (Namespace::parse(&request.namespace), WorkloadName::parse(&request.name))
    else {
        return subjects;
    };
    if let Some(listed) = listed(services.kv.as_ref()) {
        subjects.extend(kv_bucket(&own_kv_bucket(&namespace, &name), Own::Yes));
        let others = listed.iter().filter(|bucket| may_be_granted(bucket, &namespace));
        subjects.extend(others.flat_map(|bucket| kv_bucket(bucket, Own::No)));
    }
    if let Some(listed) = self::listed(services.objects.as_ref()) {
        subjects.extend(object_bucket(&own_object_bucket(&namespace, &name), Own::Yes));
        let others = listed.iter().filter(|bucket| may_be_granted(bucket, &namespace));
        subjects.extend(others.flat_map(|bucket| object_bucket(bucket, Own::No)));
    }
    subjects
}

/// What stands in the buckets that a request lists beside its own, as subjects: a policy that does not
/// grant them would be got round otherwise.
pub(super) fn listed_buckets(request: &StartWorkloadRequest) -> Vec<SubjectPattern> {
    let services = function(request).and_then(|function| function.host_services);
    let Some(services) = services else { return Vec::new() };
    let subjects = |service: Option<&BucketService>, kind: &str| -> Vec<SubjectPattern> {
        let listed = listed(service).unwrap_or_default();
        let others = listed.iter().filter(|bucket| !is_own_bucket(bucket, request));
        others
            .filter_map(|bucket| SubjectPattern::parse(&format!("${kind}.{bucket}.>")).ok())
            .collect()
    };
    [subjects(services.kv.as_ref(), "KV"), subjects(services.objects.as_ref(), "O")].concat()
}

/// Whose bucket it is: only its own a workload may make.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Own {
    Yes,
    No,
}

/// The allow list as far as the namespace's grants reach; without one all that is granted.
fn messaging(service: Option<&MessagingService>, granted: &[SubjectPattern]) -> Vec<String> {
    match service {
        Some(MessagingService::Switch(false)) => Vec::new(),
        None | Some(MessagingService::Switch(true)) => {
            granted.iter().map(ToString::to_string).collect()
        }
        Some(MessagingService::Settings(settings)) => {
            let wanted = settings.allow.iter().filter_map(|text| SubjectPattern::parse(text).ok());
            wanted
                .filter(|wanted| granted.iter().any(|granted| granted.covers(wanted)))
                .map(|wanted| wanted.to_string())
                .collect()
        }
    }
}

/// The listed buckets, where the service is on.
fn listed(service: Option<&BucketService>) -> Option<&[String]> {
    match service {
        Some(BucketService::Switch(false)) => None,
        None | Some(BucketService::Switch(true)) => Some(&[]),
        Some(BucketService::Settings(settings)) => Some(&settings.buckets),
    }
}

/// The nexlet refuses the others; whoever starts another nexlet gets no rights by this either.
fn may_be_granted(bucket: &str, namespace: &Namespace) -> bool {
    is_bucket_name(bucket) && denied_bucket(bucket, namespace).is_none()
}

fn kv_bucket(bucket: &str, own: Own) -> Vec<String> {
    let mut subjects = stream(&format!("KV_{bucket}"), own);
    subjects.push(format!("$KV.{bucket}.>"));
    subjects
}

fn object_bucket(bucket: &str, own: Own) -> Vec<String> {
    let mut subjects = stream(&format!("OBJ_{bucket}"), own);
    subjects.push(format!("$JS.API.STREAM.PURGE.OBJ_{bucket}"));
    subjects.push(format!("$O.{bucket}.>"));
    subjects
}

fn stream(stream: &str, own: Own) -> Vec<String> {
    let mut subjects = vec![
        format!("$JS.API.STREAM.INFO.{stream}"),
        format!("$JS.API.STREAM.MSG.GET.{stream}"),
        format!("$JS.API.DIRECT.GET.{stream}"),
        format!("$JS.API.DIRECT.GET.{stream}.>"),
        format!("$JS.API.CONSUMER.CREATE.{stream}.>"),
        format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.>"),
        format!("$JS.API.CONSUMER.DELETE.{stream}.>"),
    ];
    if own == Own::Yes {
        subjects.push(format!("$JS.API.STREAM.CREATE.{stream}"));
    }
    subjects
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted_for(services: &str) -> Vec<String> {
        let request = StartWorkloadRequest {
            namespace: "a".to_owned(),
            name: "counter".to_owned(),
            ..StartWorkloadRequest::default()
        };
        let services: HostServices = serde_json::from_str(services).unwrap();
        let granted = [SubjectPattern::parse("orders.>").unwrap()];
        publish(&request, Some(&services), &granted)
    }

    #[test]
    fn a_function_reaches_its_own_buckets_and_the_listed_ones() {
        let subjects = granted_for(r#"{"kv":{"buckets":["shared","hs_b_x_kv","nex-node"]}}"#);
        let has = |subject: &str| subjects.iter().any(|granted| granted == subject);
        assert!(has("$KV.hs_a_counter_kv.>") && has("$JS.API.STREAM.CREATE.KV_hs_a_counter_kv"));
        assert!(has("$KV.shared.>") && !has("$JS.API.STREAM.CREATE.KV_shared"));
        assert!(has("$O.hs_a_counter_obj.>"));
        assert!(!subjects.iter().any(|s| s.contains("hs_b_x") || s.contains("nex-node")));
        let off = granted_for(r#"{"kv":false,"objects":false}"#);
        assert_eq!(off, ["orders.>"]);
    }

    #[test]
    fn the_allow_list_cannot_widen_what_the_namespace_has() {
        let off = |messaging: &str| {
            granted_for(&format!(r#"{{"kv":false,"objects":false,"messaging":{messaging}}}"#))
        };
        assert_eq!(off(r#"{"allow":["orders.new","bills.>",">"]}"#), ["orders.new"]);
        assert!(off("false").is_empty());
    }
}
