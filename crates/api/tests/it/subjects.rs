//! Subjects as the specification's section 3 spells them.

use nex_api::log::Stream;
use nex_api::subject::*;

#[test]
fn every_row_of_the_subject_tables() {
    let rows = [
        (control("a", "PTAGS"), "$NEX.SVC.a.control.PTAGS"),
        (control("a", "PING"), "$NEX.SVC.a.control.PING"),
        (control_of("system", "PING", "N"), "$NEX.SVC.system.control.PING.N"),
        (control_of("system", "INFO", "N"), "$NEX.SVC.system.control.INFO.N"),
        (control_of("system", "LAMEDUCK", "N"), "$NEX.SVC.system.control.LAMEDUCK.N"),
        (control_of("system", "AGENTID", "N"), "$NEX.SVC.system.control.AGENTID.N"),
        (control("a", "AUCTION"), "$NEX.SVC.a.control.AUCTION"),
        (control_of("a", "ADEPLOY", "b"), "$NEX.SVC.a.control.ADEPLOY.b"),
        (control_of("a", "UNDEPLOY", "w"), "$NEX.SVC.a.control.UNDEPLOY.w"),
        (control_of("a", "CLONE", "w"), "$NEX.SVC.a.control.CLONE.w"),
        (control("a", "WPING"), "$NEX.SVC.a.control.WPING"),
        (register_remote("nexus"), "$NEX.SVC.nexus.agent.RREGISTER"),
        (register("N", "a"), "$NEX.SVC.N.agent.REGISTER.a"),
        (agent_heartbeat("N", "a"), "$NEX.SVC.N.agent.HEARTBEAT.a"),
        (start_workload("N", "a", "w"), "$NEX.SVC.N.agent.a.STARTWORKLOAD.w"),
        (agents("N", "STOPWORKLOAD.w"), "$NEX.SVC.N.agent.STOPWORKLOAD.w"),
        (agents("N", "GETWORKLOAD.w"), "$NEX.SVC.N.agent.GETWORKLOAD.w"),
        (agents("N", "QUERYWORKLOADS"), "$NEX.SVC.N.agent.QUERYWORKLOADS"),
        (agents("N", "SETLAMEDUCK"), "$NEX.SVC.N.agent.SETLAMEDUCK"),
        (agents("N", "PING"), "$NEX.SVC.N.agent.PING"),
        (agent_ping("N", "a"), "$NEX.SVC.N.agent.a.PING"),
        (ping_workload("nexus", "w"), "$NEX.SVC.nexus.agent.PINGWORKLOAD.w"),
        (node_heartbeat("N"), "$NEX.SVC.system.control.HEARTBEAT.N"),
        (log("a", "w", Stream::Stdout), "$NEX.FEED.a.logs.w.stdout"),
        (log("a", "w", Stream::Stderr), "$NEX.FEED.a.logs.w.stderr"),
        (metrics("a", "w"), "$NEX.FEED.a.metrics.w"),
        (event("a", "INGRESS"), "$NEX.FEED.a.events.INGRESS"),
        (agent_events("a"), "$NEX.FEED.a.events"),
    ];
    for (built, specified) in rows {
        assert_eq!(built, specified);
    }
}
