//! J34 with a real program: a sandboxed service on the default set-up tries the control plane.
//!
//! ADEPLOY and REGISTER under a live agent id find no responders, and `_INBOX.>` shows it no traffic of
//! node, nexlets or command line.

use nex_testkit::{Nex, eventually};

use crate::programs;
use crate::world::{SOON, seat, text};

#[tokio::test]
async fn j34_a_boxed_service_cannot_deploy_and_hears_nobody() {
    let _seat = seat().await;
    let nex = Nex::up_managed().await;
    let nodes = nex.ok(&["nodes", "--json"]).await.json();
    let node = text(&nodes, "/0/node_id");
    let info = nex.ok(&["info", &node, "--json"]).await.json();
    let agent = text(&info, "/node_agent_summaries/0/agent_id");
    let mut logs = nex.spawn(&["logs", "-f"]);
    eventually("the command follows", SOON, async || {
        let said = logs.stderr();
        if said.contains("following") { Ok(()) } else { Err(said) }
    })
    .await;
    let adeploy = "$NEX.SVC.default.control.ADEPLOY.WvLS2fm0rYuHFVcv9jR5lm";
    let register = format!("$NEX.SVC.{node}.agent.REGISTER.{agent}");
    let program = programs::build(&nex);
    nex.ok(&["run", program, "--", "speak", adeploy, &register]).await;
    let mut answers = 0;
    while answers < 2 {
        let line = logs.line(SOON, |_| true).await.unwrap();
        if line.contains("503") {
            answers += 1;
        }
        assert!(!line.contains("_INBOX"), "{line}");
    }
    // Traffic of node, nexlets and command line, while it listens.
    nex.ok(&["ls", "--live"]).await;
    nex.ok(&["run", program, "--name", "second", "--", "wait"]).await;
    loop {
        let line = logs.line(SOON, |_| true).await.unwrap();
        assert!(!line.contains("_INBOX"), "{line}");
        if line.contains("second") && line.contains("up") {
            break;
        }
    }
    nex.ok(&["stop", "prog", "second"]).await;
    drop(logs);
    nex.finish().await;
}
