//! How long a box takes to start: `jail-times PROGRAM [N]` with a static program, from the call until it
//! was executed, and until it has been taken away.
//!
//! Owns: the figures in docs/security.md. Never: judges them; that is for who reads them on a quiet machine.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for the terminal")]

use std::time::{Duration, Instant};

use nex_sandbox::jail::{self, Isolation, Limits, Plan, UID_BASE};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let program = arguments.get(1).expect("a static program");
    let n: usize = arguments.get(2).map_or(100, |it| it.parse().unwrap());
    for (name, isolation) in
        [("none", Isolation::None), ("default", Isolation::Default), ("strict", Isolation::Strict)]
    {
        let (mut starts, mut wholes, mut walls) = (Vec::new(), Vec::new(), 0);
        for round in 0..n + 20 {
            let plan = plan(program, isolation, round);
            let begin = Instant::now();
            let mut jail = jail::start(&plan).unwrap();
            let started = begin.elapsed();
            walls = jail.walls().len();
            jail.reap().unwrap();
            jail.close().unwrap();
            // The first ones warm the caches.
            if round >= 20 {
                starts.push(started);
                wholes.push(begin.elapsed());
            }
        }
        let (start, whole) = (quantiles(starts), quantiles(wholes));
        println!("{name:8} {walls:2} walls, start p50 {start:?} p99, whole {whole:?}");
    }
}

fn quantiles(mut times: Vec<Duration>) -> [Duration; 2] {
    times.sort();
    [times[times.len() / 2], times[times.len() * 99 / 100]]
}

fn plan(program: &str, isolation: Isolation, round: usize) -> Plan {
    Plan {
        program: program.into(),
        name: "timed".to_owned(),
        args: vec!["nothing".to_owned()],
        environment: [].into(),
        directory: "/".into(),
        isolation,
        allow_weak: false,
        // Not known to be root, not known to be anybody: ignored for an ordinary user.
        uid: Some(UID_BASE + 99),
        limits: Limits { memory: Some(256 << 20), cpu_millis: Some(1000), ..Limits::default() },
        group: format!("nex-times-{}-{round}", std::process::id()),
        ports: Some(vec![8080]),
        mounts: Vec::new(),
        credentials: None,
    }
}
