//! The box of a workload in words.
//!
//! Owns: how the walls in force are listed. Never: decides which there are.

use nex_sandbox::jail::{Isolation, Wall};

/// For instance `default: user_namespace, mount_namespace, seccomp`.
pub(crate) fn text(isolation: Isolation, walls: &[Wall]) -> String {
    let name = match isolation {
        Isolation::None => "none",
        Isolation::Default => "default",
        Isolation::Strict => "strict",
    };
    let word = |wall: &Wall| serde_json::to_value(wall).ok()?.as_str().map(str::to_owned);
    let walls: Vec<String> = walls.iter().filter_map(word).collect();
    if walls.is_empty() { name.to_owned() } else { format!("{name}: {}", walls.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walls_are_listed_by_their_names() {
        assert_eq!(text(Isolation::None, &[]), "none");
        let walls = [Wall::PidNamespace, Wall::Seccomp];
        assert_eq!(text(Isolation::Default, &walls), "default: pid_namespace, seccomp");
    }
}
