//! Entry points for fuzzers: whatever the bytes are, they return.
//!
//! Owns: one function per parser of this crate. Never: part of the interface.

use nex_api::workload::StartWorkloadRequest;

use crate::plan::Plan;

/// A program's `run_request`.
pub fn fuzz_run_request(data: &[u8]) {
    let run_request = String::from_utf8_lossy(data).into_owned();
    let request = StartWorkloadRequest { run_request, ..StartWorkloadRequest::default() };
    if let Ok(plan) = Plan::read(&request) {
        assert!(plan.argv.iter().all(|argument| !argument.contains('\0')));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            fuzz_run_request(&data);
        }

        #[test]
        fn so_have_requests_that_are_nearly_good(
            uri in "\\PC{0,10}", word in "[\0a-z]{0,6}", grace in "[-0-9.smh]{0,6}", port in any::<i64>(),
            signal in "(SIGTERM|SIGINT|SIGKILL|x)", cpu in any::<f64>(), size in "[0-9]{0,20}(MiB|GB|x)?",
            target in "(http://)?[\\[\\]a-z0-9.:/]{0,12}", path in "[/.a:]{0,8}",
            sandbox in "(default|strict|none)",
        ) {
            let request = serde_json::json!({
                "uri": uri, "argv": [word], "environment": {&word: word}, "expose_ports": [port],
                "stop": {"signal": signal, "grace": grace},
            });
            fuzz_run_request(request.to_string().as_bytes());
            for health in [
                serde_json::json!({"tcp": target}), serde_json::json!({"http": target}),
                serde_json::json!({"nats": target}), serde_json::json!({"tcp": port}),
            ] {
                let request = serde_json::json!({
                    "uri": "x", "sandbox": sandbox, "limits": {"cpu": cpu, "memory": size},
                    "restart": {"window": grace, "max": port}, "health": health,
                });
                fuzz_run_request(request.to_string().as_bytes());
            }
            for key in ["mounts", "expose_ports"] {
                let request = serde_json::json!({"uri": "x", key: [path, path]});
                fuzz_run_request(request.to_string().as_bytes());
            }
        }
    }
}
