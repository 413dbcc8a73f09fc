//! What the screen shows, as text: `tests/data/top/NAME.txt`, written anew with `NEX_UPDATE_GOLDEN=1`.
//!
//! 1. A list of nodes and workloads at 80×24 and 120×40; nothing at all; two hundred; long names.
//! 2. A lost NATS; one workload; its log; the help; a question; a filter.
//! 3. Terminals that are too small for a table.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use nex_api::Time;
use nex_api::metrics::{
    DURATION_BOUNDS, FunctionMetrics, Histogram, ProcessMetrics, WorkloadMetrics,
};
use nex_api::node::{NodePingResponse, NodeState};
use nex_api::workload::{WorkloadState, WorkloadSummary, fact};
use nex_client::{EventLine, LogRecord};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};
use serde_json::json;

use super::detail::{Happening, Line, Told};
use super::keys::{Effect, press};
use super::screen::{Theme, View};
use super::state::{Action, Moment, News, Seen, Setting, State};

/// A day after everything started.
fn at(seconds: u64) -> Moment {
    let start = Time::parse("2026-01-02T00:00:00Z").unwrap();
    let clock = Duration::from_secs(seconds);
    Moment { clock, time: start.after(clock) }
}

fn node(name: &str, state: NodeState) -> NodePingResponse {
    NodePingResponse {
        agent_count: 3,
        node_id: format!("N{name}"),
        start_time: Time::parse("2026-01-01T00:00:00Z").unwrap(),
        state,
        tags: [("nex.node".to_owned(), name.to_owned())].into(),
        version: "0.5.0".to_owned(),
        xkey: String::new(),
    }
}

fn workload(id: usize, name: &str, kind: &str, state: WorkloadState) -> Arc<WorkloadSummary> {
    let node = ["swift-otter", "calm-heron"][id % 2];
    let facts = [
        (fact::NODE_ID.to_owned(), format!("N{node}")),
        (fact::NODE_NAME.to_owned(), node.to_owned()),
        (fact::RESTARTS.to_owned(), (id % 3).to_string()),
    ];
    Arc::new(WorkloadSummary {
        id: format!("{id:04}9XKQ2fm0rYuHFVcv9j"),
        metadata: facts.into(),
        name: name.to_owned(),
        namespace: "default".to_owned(),
        runtime: "--".to_owned(),
        start_time: "2026-01-01T22:00:00Z".to_owned(),
        workload_lifecycle: "service".to_owned(),
        workload_state: state,
        workload_type: kind.to_owned(),
        ..WorkloadSummary::default()
    })
}

fn few() -> Seen {
    let nodes =
        vec![node("calm-heron", NodeState::Lameduck), node("swift-otter", NodeState::Running)];
    let workloads = vec![
        workload(1, "billing", "native", WorkloadState::Error),
        workload(2, "echo", "javascript", WorkloadState::Running),
        workload(3, "orders", "wasm", WorkloadState::Running),
        workload(4, "ticker", "native", WorkloadState::Running),
        workload(5, "far-away", "native", WorkloadState::Unknown),
    ];
    Seen { nodes, workloads, round_trip: Some(Duration::from_micros(430)) }
}

fn screen(size: (u16, u16)) -> State {
    let setting = Setting {
        namespace: "default".to_owned(),
        is_system: false,
        server: "nats://127.0.0.1:4222".to_owned(),
        interval: Duration::from_secs(2),
    };
    State::new(setting, size)
}

fn with(size: (u16, u16), seen: Seen) -> State {
    let mut state = screen(size);
    state.apply(News::Seen(Box::new(seen)), &at(10));
    state
}

fn counted(id: usize, seconds: u64, calls: u64) -> News {
    let workload = workload(id, "", "", WorkloadState::Running);
    let mut counts = vec![0; DURATION_BOUNDS.len() + 1];
    counts[4] = calls;
    let duration = Histogram { bounds: DURATION_BOUNDS.to_vec(), counts, sum: 0.0 };
    let errors = [("500".to_owned(), calls / 100)].into();
    let function = FunctionMetrics { calls, duration, errors, ..FunctionMetrics::default() };
    News::Counted(Box::new(WorkloadMetrics {
        function: Some(function),
        id: workload.id.clone(),
        time: at(seconds).time,
        ..WorkloadMetrics::default()
    }))
}

fn used(id: usize, seconds: u64, cpu_seconds: f64) -> News {
    let process = ProcessMetrics {
        cpu_seconds,
        memory_bytes: Some(42 << 20),
        restarts: 7,
        ..ProcessMetrics::default()
    };
    News::Counted(Box::new(WorkloadMetrics {
        process: Some(process),
        id: workload(id, "", "", WorkloadState::Running).id.clone(),
        time: at(seconds).time,
        ..WorkloadMetrics::default()
    }))
}

/// Nodes, workloads, and readings of three of them.
fn busy(size: (u16, u16)) -> State {
    let mut state = screen(size);
    for news in [
        counted(2, 3, 1_000),
        counted(3, 3, 50_000),
        used(4, 3, 10.0),
        counted(2, 8, 1_060),
        counted(3, 8, 112_000),
        used(4, 8, 11.4),
    ] {
        assert!(!state.apply(news, &at(8)), "readings are shown with the next look");
    }
    state.apply(News::Seen(Box::new(few())), &at(10));
    state
}

fn type_keys(state: &mut State, keys: &[KeyCode]) -> Vec<Effect> {
    let pressed = keys
        .iter()
        .filter_map(|code| press(state, KeyEvent::new(*code, KeyModifiers::NONE), &at(11)));
    pressed.collect()
}

fn told(state: &mut State, told: Told) {
    let id = state.detail.as_ref().unwrap().id().to_owned();
    state.apply(News::Told(id, told), &at(11));
}

fn log_line(level: &str, text: &str) -> Told {
    Told::Line(Line::of(&LogRecord {
        namespace: "default".to_owned(),
        workload_id: String::new(),
        name: None,
        node_id: None,
        stream: "stdout".to_owned(),
        level: level.to_owned(),
        time: at(7).time,
        bytes: text.as_bytes().to_vec(),
    }))
}

/// One that is looked at, with lines and events.
fn opened(size: (u16, u16)) -> State {
    let mut state = busy(size);
    let effects = type_keys(&mut state, &[KeyCode::Enter]);
    assert!(matches!(effects.as_slice(), [Effect::Follow(workload)] if workload.name == "orders"));
    for n in 1..=30 {
        told(&mut state, log_line("info", &format!("order {n} is on its way")));
    }
    told(&mut state, log_line("warn", "\u{1b}[2Jstock\tlow"));
    told(&mut state, log_line("error", &format!("no more {}", "paper ".repeat(30))));
    let id = state.detail.as_ref().unwrap().id().to_owned();
    let event = |kind: &str, more: serde_json::Value| EventLine {
        time: at(5).time,
        from: "default".to_owned(),
        kind: kind.to_owned(),
        payload: json!({"id": id, "metadata": more}),
    };
    for event in [
        event("WORKLOADRESTARTING", json!({"exit": "1", "restarts": "1"})),
        event("WORKLOADSTARTED", json!({"name": "orders"})),
    ] {
        told(&mut state, Told::Event(Happening::of(&event, &id).unwrap()));
    }
    state
}

fn drawn(state: &State, at: Moment, has_colours: bool) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(state.size.0, state.size.1)).unwrap();
    let view = View { state, at, theme: Theme::new(has_colours) };
    terminal.draw(|frame| view.draw(frame.area(), frame.buffer_mut())).unwrap();
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let row = |y: u16| {
        let cells = (0..buffer.area.width).map(|x| buffer[(x, y)].symbol().to_owned());
        cells.collect::<String>().trim_end().to_owned() + "\n"
    };
    (0..buffer.area.height).map(row).collect()
}

#[track_caller]
fn check_at(name: &str, state: &State, at: Moment) {
    let shown = text(&drawn(state, at, true));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/top/{name}.txt"));
    if std::env::var_os("NEX_UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &shown).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(shown == written, "{name} has changed; if it should: NEX_UPDATE_GOLDEN=1\n{shown}");
}

#[track_caller]
fn check(name: &str, state: &State) {
    check_at(name, state, at(11));
}

#[test]
fn a_few_workloads_on_two_nodes() {
    check("few-80x24", &busy((80, 24)));
    check("few-120x40", &busy((120, 40)));
}

#[test]
fn all_namespaces() {
    let mut state = busy((80, 24));
    state.setting.is_system = true;
    check("all-namespaces-80x24", &state);
}

#[test]
fn before_the_first_look_and_an_empty_cluster() {
    check("first-80x24", &screen((80, 24)));
    check("empty-80x24", &with((80, 24), Seen::default()));
    let nodes = vec![node("swift-otter", NodeState::Running)];
    check("idle-80x24", &with((80, 24), Seen { nodes, ..Seen::default() }));
}

#[test]
fn two_hundred_workloads_on_thirty_nodes() {
    let states = [WorkloadState::Running, WorkloadState::Running, WorkloadState::Starting];
    let workload = |n: usize| workload(n, &format!("worker-{n:03}"), "native", states[n % 3]);
    let workloads = (0..200).map(workload).collect();
    let nodes = (0..30).map(|n| node(&format!("node-{n:02}"), NodeState::Running)).collect();
    let seen = Seen { nodes, workloads, round_trip: None };
    for (columns, rows) in [(80, 24), (120, 40)] {
        let mut state = with((columns, rows), seen.clone());
        type_keys(&mut state, &[KeyCode::PageDown, KeyCode::PageDown, KeyCode::Down]);
        check(&format!("many-{columns}x{rows}"), &state);
        type_keys(&mut state, &[KeyCode::End]);
        assert!(text(&drawn(&state, at(11), true)).contains("worker-199"));
        type_keys(&mut state, &[KeyCode::PageUp, KeyCode::Home]);
        assert!(text(&drawn(&state, at(11), true)).contains("worker-000"));
    }
}

#[test]
fn long_names_of_strangers() {
    let mut seen = few();
    let mut long = WorkloadSummary::clone(&seen.workloads[1]);
    long.name = format!("\u{1b}[31m{}", "a-very-long-name-".repeat(5));
    long.workload_type = "漢字漢字漢字漢字漢字".to_owned();
    long.metadata.insert(fact::NODE_NAME.to_owned(), "node-of-many-words-and-more".to_owned());
    seen.workloads.push(Arc::new(long));
    seen.nodes.push(node(&"n".repeat(90), NodeState::Unknown));
    for size in [(80, 24), (120, 40)] {
        check(&format!("long-names-{}x{}", size.0, size.1), &with(size, seen.clone()));
    }
}

#[test]
fn a_lost_nats_is_told_and_what_was_seen_stays() {
    let mut state = busy((80, 24));
    state.apply(News::Lost("the connection is lost".to_owned()), &at(12));
    state.apply(News::Lost("the connection is lost".to_owned()), &at(14));
    check_at("lost-80x24", &state, at(15));
    // Sorting goes on, with the figures of the last look.
    type_keys(&mut state, &[KeyCode::Char('r')]);
    assert!(state.rows.iter().any(|row| row.figures.calls == Some(12_400.0)), "{:?}", state.rows);
    state.apply(News::Seen(Box::new(few())), &at(16));
    assert!(state.lost.is_none());
    let shown = text(&drawn(&state, at(16), true));
    assert!(!shown.contains("lost"), "{shown}");
    // What was counted meanwhile was not heard: no rate is made of it.
    assert!(state.rows.iter().all(|row| row.figures.calls.is_none()), "{shown}");
}

#[test]
fn one_workload_and_its_log() {
    check("detail-80x24", &opened((80, 24)));
    check("detail-120x40", &opened((120, 40)));
    let mut state = opened((80, 24));
    type_keys(&mut state, &[KeyCode::Char('l')]);
    check("logs-80x24", &state);
    type_keys(&mut state, &[KeyCode::PageUp, KeyCode::Up]);
    check("logs-above-80x24", &state);
    let effects = type_keys(&mut state, &[KeyCode::Esc, KeyCode::Esc]);
    assert!(matches!(effects.as_slice(), [Effect::Unfollow]), "{effects:?}");
    assert!(state.detail.is_none());
}

#[test]
fn a_workload_that_ended_while_it_is_looked_at_is_gone() {
    let mut state = opened((80, 24));
    state.apply(News::Seen(Box::new(Seen { workloads: vec![], ..few() })), &at(12));
    check("gone-80x24", &state);
}

#[test]
fn the_help_and_a_question() {
    let mut state = busy((80, 24));
    type_keys(&mut state, &[KeyCode::Char('?')]);
    check("help-80x24", &state);
    type_keys(&mut state, &[KeyCode::Char('x'), KeyCode::Char('x')]);
    check("question-80x24", &state);
    assert!(type_keys(&mut state, &[KeyCode::Enter]).is_empty(), "only y is a yes");
    let effects = type_keys(&mut state, &[KeyCode::Char('x'), KeyCode::Char('y')]);
    let [Effect::Act(Action::Stop, stopped)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(stopped.name, "orders");
    let effects = type_keys(&mut state, &[KeyCode::Char('c'), KeyCode::Char('y')]);
    assert!(matches!(effects.as_slice(), [Effect::Act(Action::Clone, _)]), "{effects:?}");
    state.apply(News::Done(Err("no nodes available for placement".to_owned())), &at(12));
    check("failed-80x24", &state);
}

#[test]
fn a_filter_while_it_is_typed_and_after() {
    let mut state = busy((80, 24));
    let typed: Vec<KeyCode> = "/NATq".chars().map(KeyCode::Char).collect();
    type_keys(&mut state, &typed);
    assert!(state.rows.is_empty());
    type_keys(&mut state, &[KeyCode::Backspace]);
    check("filter-80x24", &state);
    type_keys(&mut state, &[KeyCode::Enter, KeyCode::End]);
    assert_eq!(state.rows.len(), 3);
    let selected = state.selected.clone();
    type_keys(&mut state, &[KeyCode::Esc]);
    assert_eq!((state.rows.len(), &state.selected), (5, &selected), "the selection stays");
}

#[test]
fn a_selected_workload_stays_so_wherever_it_goes() {
    let mut state = busy((80, 24));
    type_keys(&mut state, &[KeyCode::Down]);
    let selected = state.selected.clone();
    type_keys(&mut state, &[KeyCode::Char('s'), KeyCode::Char('s'), KeyCode::Char('r')]);
    assert_eq!(state.selected, selected);
    let mut seen = few();
    seen.workloads.retain(|w| Some(&w.id) != selected.as_ref());
    state.apply(News::Seen(Box::new(seen)), &at(12));
    assert!(state.selected.is_some() && state.selected != selected, "the next one is");
}

#[test]
fn small_terminals_are_told_something() {
    check("small-20x5", &busy((20, 5)));
    check("small-60x10", &busy((60, 10)));
    for size in [(1, 1), (0, 0), (40, 8), (200, 8), (40, 100)] {
        for page in
            [vec![], vec![KeyCode::Enter], vec![KeyCode::Char('l')], vec![KeyCode::Char('?')]]
        {
            let mut state = busy(size);
            type_keys(&mut state, &page);
            let _any = drawn(&state, at(11), true);
        }
    }
}

#[test]
fn ctrl_c_quits_from_everywhere_and_q_where_no_text_is_typed() {
    let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    for keys in [
        vec![],
        vec![KeyCode::Char('/')],
        vec![KeyCode::Char('?')],
        vec![KeyCode::Char('x')],
        vec![KeyCode::Enter],
    ] {
        let mut state = busy((80, 24));
        type_keys(&mut state, &keys);
        assert!(matches!(press(&mut state, ctrl_c, &at(11)), Some(Effect::Quit)), "{keys:?}");
    }
    let mut state = busy((80, 24));
    assert!(type_keys(&mut state, &[KeyCode::Char('/'), KeyCode::Char('q')]).is_empty());
    assert!(matches!(
        type_keys(&mut state, &[KeyCode::Enter, KeyCode::Char('q')])[..],
        [Effect::Quit]
    ));
}

#[test]
fn colours_are_never_the_only_sign_and_can_be_left_out() {
    let state = busy((80, 24));
    let (coloured, plain) = (drawn(&state, at(11), true), drawn(&state, at(11), false));
    assert_eq!(text(&coloured), text(&plain));
    let has_colour = |buffer: &Buffer| {
        buffer.content().iter().any(|cell| (cell.fg, cell.bg) != (Color::Reset, Color::Reset))
    };
    assert!(has_colour(&coloured) && !has_colour(&plain));
    let reversed = plain.content().iter().filter(|cell| cell.modifier.contains(Modifier::REVERSED));
    assert_eq!(reversed.count(), 80, "the selected row is one bar");
}
