//! The unit for systemd, held against what node and sandbox need.
//!
//! Owns: which settings must stand in it and which must not, each with what breaks otherwise. Never: asks systemd,
//! which does not know what a node does below its own control group.

use anyhow::bail;

const SERVICE: &str = "Service";

/// Section, key, value, and what breaks without it.
const NEEDED: [(&str, &str, &str, &str); 9] = [
    (SERVICE, "KillMode", "process", "services would end with the node instead of being adopted"),
    (SERVICE, "Delegate", "yes", "the node could make no control groups: no limits for services"),
    (SERVICE, "OOMPolicy", "continue", "one service over its limit of memory would end the node"),
    (SERVICE, "TasksMax", "infinity", "all services together would share the processes of one"),
    (SERVICE, "ExecReload", "/bin/kill -HUP $MAINPID", "`systemctl reload` would not upgrade"),
    (SERVICE, "Restart", "on-failure", "a crash would stay, or the end after lame duck mode not"),
    (SERVICE, "RestartPreventExitStatus", "2", "a wrong setting would be tried for ever"),
    (SERVICE, "StateDirectory", "nex", "identity, records and artifacts would have no place"),
    ("Unit", "StartLimitIntervalSec", "0", "systemd would give up while NATS is away"),
];

/// What must be left out, or be off, and what it takes. The first three were seen with `nex doctor`.
const BREAKING: [(&str, &str); 14] = [
    ("ProtectKernelLogs", "covers a part of /proc, so that boxes lose their user namespace"),
    ("ProtectKernelTunables", "covers a part of /proc, so that boxes lose their user namespace"),
    ("ProtectControlGroups", "no limits of memory, processors and processes"),
    ("ProcSubset", "a /proc that is not whole lets no box mount its own"),
    ("ProtectProc", "a /proc that is not whole lets no box mount its own"),
    ("ProtectHostname", "a box cannot name itself, and is refused"),
    ("RestrictNamespaces", "no box can be built"),
    ("SystemCallFilter", "boxes inherit it, and need calls that few lists allow"),
    ("RestrictAddressFamilies", "services inherit it, whatever they speak"),
    ("MemoryDenyWriteExecute", "compiled functions cannot be loaded"),
    ("PrivateUsers", "the uids of boxes are unknown there"),
    ("PrivateNetwork", "NATS is out of reach"),
    ("PrivateTmp", "emptied when the node stops, while services go on"),
    ("DynamicUser", "another uid at each start, and files that go with it"),
];

/// Functions drain for 40 seconds; then their nexlets are killed, which takes moments.
const LEAST_STOP_SECONDS: u64 = 45;

/// One line of the file.
#[derive(Debug, PartialEq, Eq)]
struct Setting<'a> {
    section: &'a str,
    key: &'a str,
    value: &'a str,
}

/// Tells all that is wrong at once.
pub(super) fn check(text: &str) -> anyhow::Result<()> {
    let settings = parse(text)?;
    let value = |section: &str, key: &str| {
        // As systemd has it: the last one counts.
        let mut found = settings.iter().rev();
        found.find(|it| it.section == section && it.key == key).map(|it| it.value)
    };
    let mut faults = Vec::new();
    for (section, key, needed, why) in NEEDED {
        if value(section, key) != Some(needed) {
            faults.push(format!("[{section}] needs {key}={needed}: without it, {why}"));
        }
    }
    for (key, why) in BREAKING {
        if let Some(set) = value(SERVICE, key)
            && !["", "0", "no", "false", "off"].contains(&set)
        {
            faults.push(format!("{key}={set} must go: {why}"));
        }
    }
    let stop = value(SERVICE, "TimeoutStopSec").and_then(|seconds| seconds.parse::<u64>().ok());
    if stop.is_none_or(|seconds| seconds < LEAST_STOP_SECONDS) {
        faults.push(format!("TimeoutStopSec needs {LEAST_STOP_SECONDS} seconds: functions drain"));
    }
    if !value(SERVICE, "ExecStart").is_some_and(|command| command.contains("nex node up")) {
        faults.push(
            "ExecStart must run `nex node up`, which leaves services when it ends".to_owned(),
        );
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(())
}

fn parse(text: &str) -> anyhow::Result<Vec<Setting<'_>>> {
    let mut settings = Vec::new();
    let mut section = "";
    for (idx, line) in text.lines().enumerate() {
        let (line, number) = (line.trim(), idx + 1);
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
            continue;
        }
        if line.ends_with('\\') {
            bail!("line {number} goes on in the next one, which this check does not read");
        }
        let Some((key, value)) = line.split_once('=') else {
            bail!("line {number} is neither a section nor a setting: {line:?}");
        };
        settings.push(Setting { section, key: key.trim(), value: value.trim() });
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn ours() -> String {
        std::fs::read_to_string(nex_testkit::root().join("docs/nex.service")).unwrap()
    }

    #[test]
    fn the_unit_has_what_node_and_sandbox_need() {
        check(&ours()).unwrap();
    }

    #[test]
    fn each_setting_that_is_needed_is_missed() {
        for (_, key, value, _) in NEEDED {
            let without = ours().replace(&format!("{key}={value}\n"), "");
            assert_ne!(without, ours(), "{key} does not stand there as it should");
            let told = check(&without).unwrap_err().to_string();
            assert!(told.contains(key), "{told}");
        }
        let hasty = ours().replace("TimeoutStopSec=60", "TimeoutStopSec=10");
        assert!(check(&hasty).unwrap_err().to_string().contains("TimeoutStopSec"));
        let other = ours().replace("nex node up", "nex up");
        assert!(check(&other).unwrap_err().to_string().contains("ExecStart"));
    }

    #[test]
    fn each_setting_that_breaks_the_sandbox_is_refused_unless_it_is_off() {
        for (key, why) in BREAKING {
            let with =
                |value| ours().replace("[Service]\n", &format!("[Service]\n{key}={value}\n"));
            let told = check(&with("yes")).unwrap_err().to_string();
            assert!(told.contains(key) && told.contains(why), "{told}");
            check(&with("no")).unwrap();
        }
    }

    #[test]
    fn lines_that_are_no_settings_are_told_by_their_number() {
        let told = check("[Service]\nRestart\n").unwrap_err().to_string();
        assert!(told.contains("line 2"), "{told}");
        let told = check("[Service]\nExecStart=/bin/nex \\\n  up\n").unwrap_err().to_string();
        assert!(told.contains("line 2"), "{told}");
    }

    /// Where systemd's own checker is, it finds no unknown key and no bad value.
    #[test]
    fn systemd_understands_every_line() {
        let folder = tempfile::tempdir().unwrap();
        // It wants a program that is there.
        let unit = ours().replace("/usr/local/bin/nex ", "/bin/true ");
        let path = folder.path().join("nex.service");
        std::fs::write(&path, unit).unwrap();
        let Ok(output) = Command::new("systemd-analyze").arg("verify").arg(&path).output() else {
            println!("skipped: there is no systemd-analyze on this machine");
            return;
        };
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let about_ours = told.lines().filter(|line| line.contains("nex.service"));
        assert_eq!(about_ours.collect::<Vec<_>>(), Vec::<&str>::new());
    }
}
