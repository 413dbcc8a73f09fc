//! Turns a list of allowed system calls into a program for the kernel's filter.
//!
//! Owns: the program's shape: a balanced tree over ranges of numbers, since a chain of a thousand
//! comparisons takes most of a millisecond to install. Never: knows which calls are allowed (`syscalls`).

use std::collections::BTreeMap;

use nix::libc::{self, sock_filter};

/// What is compared with an argument; its low 32 bits are, which is what the kernel reads of all
/// arguments that the rules here look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    /// It is this.
    Is(u8, u32),
    /// It is not this.
    IsNot(u8, u32),
    /// None of these bits is set.
    Lacks(u8, u32),
    /// Without these bits it is this.
    IsWithout(u8, u32, u32),
}

/// Lines of tests: the call is allowed when all tests of one line hold.
pub(super) type Rule = Vec<Vec<Test>>;

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    Allowed,
    AllowedIf(Rule),
    /// It fails with this number, and the program goes on: runtimes probe.
    Refused(i32),
}

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const JUMP_IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const JUMP_IF_AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const JUMP_IF_ANY_BIT: u32 = libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K;
const JUMP: u32 = libc::BPF_JMP | libc::BPF_JA;
const MASK: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

// Offsets in what the kernel shows of a call: number, architecture, instruction pointer, arguments.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = 0xC000_00B7;

/// The filter. Numbers that `fates` does not name are refused with EPERM; those from `unknown` on with
/// ENOSYS, so that a C library of tomorrow falls back to what it knows of today.
pub(super) fn program(fates: &BTreeMap<u32, Fate>, unknown: u32) -> Vec<sock_filter> {
    let mut program = vec![
        instruction(LOAD, ARCHITECTURE, 0, 0),
        instruction(JUMP_IF_EQUAL, NATIVE, 1, 0),
        // Another architecture's calls have other numbers: nothing here would be true of them.
        instruction(RETURN, libc::SECCOMP_RET_KILL_PROCESS, 0, 0),
        instruction(LOAD, NUMBER, 0, 0),
    ];
    program.extend(tree(&ranges(fates, unknown)));
    program
}

/// Where each run of numbers with one fate begins.
fn ranges(fates: &BTreeMap<u32, Fate>, unknown: u32) -> Vec<(u32, Fate)> {
    let mut ranges: Vec<(u32, Fate)> = Vec::new();
    let all = (0..unknown)
        .map(|number| (number, fates.get(&number).cloned().unwrap_or(Fate::Refused(libc::EPERM))))
        .chain([(unknown, Fate::Refused(libc::ENOSYS))]);
    for (number, fate) in all {
        if ranges.last().is_none_or(|(_, last)| *last != fate) {
            ranges.push((number, fate));
        }
    }
    ranges
}

fn tree(ranges: &[(u32, Fate)]) -> Vec<sock_filter> {
    let (left, right) = ranges.split_at(ranges.len() / 2);
    let [(border, _), ..] = right else { return vec![refused(libc::EPERM)] };
    if left.is_empty() {
        return leaf(&right[0].1);
    }
    let (left, right) = (tree(left), tree(right));
    let mut both = match u8::try_from(left.len()) {
        Ok(length) => vec![instruction(JUMP_IF_AT_LEAST, *border, length, 0)],
        Err(_) => vec![
            instruction(JUMP_IF_AT_LEAST, *border, 0, 1),
            instruction(JUMP, left.len().try_into().unwrap_or(u32::MAX), 0, 0),
        ],
    };
    both.extend(left);
    both.extend(right);
    both
}

fn leaf(fate: &Fate) -> Vec<sock_filter> {
    match fate {
        Fate::Allowed => vec![instruction(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0)],
        Fate::Refused(errno) => vec![refused(*errno)],
        Fate::AllowedIf(rule) => {
            let mut checks: Vec<sock_filter> = rule.iter().flat_map(|it| line(it)).collect();
            checks.push(refused(libc::EPERM));
            checks
        }
    }
}

/// Allows when all tests hold, and goes on behind itself when one does not.
fn line(tests: &[Test]) -> Vec<sock_filter> {
    let mut backwards = vec![instruction(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0)];
    for test in tests.iter().rev() {
        let out = u8::try_from(backwards.len()).unwrap_or(u8::MAX);
        match *test {
            Test::Is(argument, value) => {
                backwards.push(instruction(JUMP_IF_EQUAL, value, 0, out));
                backwards.push(load(argument));
            }
            Test::IsNot(argument, value) => {
                backwards.push(instruction(JUMP_IF_EQUAL, value, out, 0));
                backwards.push(load(argument));
            }
            Test::Lacks(argument, bits) => {
                backwards.push(instruction(JUMP_IF_ANY_BIT, bits, out, 0));
                backwards.push(load(argument));
            }
            Test::IsWithout(argument, bits, value) => {
                backwards.push(instruction(JUMP_IF_EQUAL, value, 0, out));
                backwards.push(instruction(MASK, !bits, 0, 0));
                backwards.push(load(argument));
            }
        }
    }
    backwards.reverse();
    backwards
}

fn load(argument: u8) -> sock_filter {
    // The low half comes first on the machines that Nex runs on.
    instruction(LOAD, ARGUMENTS + 8 * u32::from(argument), 0, 0)
}

fn refused(errno: i32) -> sock_filter {
    instruction(RETURN, libc::SECCOMP_RET_ERRNO | errno.unsigned_abs(), 0, 0)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: u16::try_from(code).unwrap_or(u16::MAX), jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program as the kernel would.
    fn run(program: &[sock_filter], architecture: u32, number: u32, arguments: [u32; 6]) -> u32 {
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let it = program[at];
            at += 1;
            let mut jump = |holds: bool| at += usize::from(if holds { it.jt } else { it.jf });
            match u32::from(it.code) {
                LOAD if it.k == NUMBER => accumulator = number,
                LOAD if it.k == ARCHITECTURE => accumulator = architecture,
                LOAD => accumulator = arguments[(it.k - ARGUMENTS) as usize / 8],
                JUMP_IF_EQUAL => jump(accumulator == it.k),
                JUMP_IF_AT_LEAST => jump(accumulator >= it.k),
                JUMP_IF_ANY_BIT => jump(accumulator & it.k != 0),
                JUMP => at += it.k as usize,
                MASK => accumulator &= it.k,
                RETURN => return it.k,
                code => panic!("not an instruction of ours: {code}"),
            }
        }
    }

    fn errno(number: i32) -> u32 {
        libc::SECCOMP_RET_ERRNO | number.unsigned_abs()
    }

    #[test]
    fn each_number_meets_its_own_fate() {
        let mut fates: BTreeMap<u32, Fate> =
            (0..400).filter(|it| it % 3 != 1).map(|it| (it, Fate::Allowed)).collect();
        fates.insert(7, Fate::Refused(libc::ENOSYS));
        let program = program(&fates, 400);
        for number in 0..1000 {
            let expected = match number {
                7 => errno(libc::ENOSYS),
                400.. => errno(libc::ENOSYS),
                it if it % 3 == 1 => errno(libc::EPERM),
                _ => libc::SECCOMP_RET_ALLOW,
            };
            assert_eq!(run(&program, NATIVE, number, [0; 6]), expected, "{number}");
        }
        assert_eq!(run(&program, 1, 0, [0; 6]), libc::SECCOMP_RET_KILL_PROCESS);
    }

    #[test]
    fn a_call_with_a_rule_is_judged_by_its_arguments() {
        let rule = vec![
            vec![Test::Is(0, 1), Test::IsWithout(1, 0x80000, 2)],
            vec![Test::Lacks(2, 0xF0), Test::Is(0, 9), Test::IsNot(1, 4)],
        ];
        let fates = BTreeMap::from([(5, Fate::AllowedIf(rule))]);
        let program = program(&fates, 10);
        for (arguments, allowed) in [
            ([1, 2, 0, 0, 0, 0], true),
            ([1, 0x80002, 0, 0, 0, 0], true),
            ([1, 3, 0, 0, 0, 0], false),
            ([9, 0, 0x0F, 0, 0, 0], true),
            ([9, 0, 0x10, 0, 0, 0], false),
            ([9, 4, 0x0F, 0, 0, 0], false),
            ([0, 2, 0, 0, 0, 0], false),
        ] {
            let answer = run(&program, NATIVE, 5, arguments);
            assert_eq!(answer == libc::SECCOMP_RET_ALLOW, allowed, "{arguments:?}");
        }
    }
}
