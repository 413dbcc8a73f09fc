//! What a key does.
//!
//! Owns: which key means what where. Never: does what takes time; that is told as an effect.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use nex_api::workload::WorkloadSummary;

use super::detail::Detail;
use super::screen;
use super::state::{Action, Moment, Overlay, Page, Question, State};

/// What is to be done outside of the state.
#[derive(Debug, Clone)]
pub(super) enum Effect {
    Quit,
    /// Read the lines and events of one workload, and of no other.
    Follow(Arc<WorkloadSummary>),
    Unfollow,
    Act(Action, Arc<WorkloadSummary>),
}

/// Takes a key.
pub(super) fn press(state: &mut State, key: KeyEvent, at: &Moment) -> Option<Effect> {
    if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
        return Some(Effect::Quit);
    }
    if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) {
        return None;
    }
    match state.overlay.take() {
        Some(Overlay::Help) => None,
        Some(Overlay::Filter) => type_filter(state, key.code, at),
        Some(Overlay::Question(question)) => answer(state, question, key.code, at),
        None => match state.page {
            Page::List => in_list(state, key.code, at),
            Page::Detail => in_detail(state, key.code, at),
            Page::Logs => in_logs(state, key.code, at),
        },
    }
}

fn in_list(state: &mut State, key: KeyCode, at: &Moment) -> Option<Effect> {
    let page = screen::page_length(state);
    match key {
        KeyCode::Esc if state.filter.is_empty() => state.remark = None,
        KeyCode::Esc => {
            state.filter.clear();
            state.rearrange(at);
        }
        KeyCode::Up | KeyCode::Char('k') => state.select(state.position().saturating_sub(1)),
        KeyCode::Down | KeyCode::Char('j') => state.select(state.position() + 1),
        KeyCode::PageUp => state.select(state.position().saturating_sub(page)),
        KeyCode::PageDown => state.select(state.position() + page),
        KeyCode::Home | KeyCode::Char('g') => state.select(0),
        KeyCode::End | KeyCode::Char('G') => state.select(usize::MAX),
        KeyCode::Enter => return open(state, Page::Detail),
        KeyCode::Char('l') => return open(state, Page::Logs),
        KeyCode::Char('/') => state.overlay = Some(Overlay::Filter),
        KeyCode::Char('s') => {
            state.order.cycle();
            state.rearrange(at);
        }
        KeyCode::Char('r') => {
            state.order.reverse();
            state.rearrange(at);
        }
        other => return everywhere(state, other),
    }
    None
}

fn in_detail(state: &mut State, key: KeyCode, at: &Moment) -> Option<Effect> {
    match key {
        KeyCode::Esc | KeyCode::Backspace => return Some(close(state, at)),
        KeyCode::Char('l') | KeyCode::Enter => {
            (state.logs_from, state.page) = (Page::Detail, Page::Logs);
        }
        other => return everywhere(state, other),
    }
    None
}

fn in_logs(state: &mut State, key: KeyCode, at: &Moment) -> Option<Effect> {
    let page = screen::page_length(state);
    let detail = state.detail.as_mut()?;
    match key {
        KeyCode::Up | KeyCode::Char('k') => detail.scroll_up(1),
        KeyCode::Down | KeyCode::Char('j') => detail.scroll_down(1),
        KeyCode::PageUp => detail.scroll_up(page),
        KeyCode::PageDown => detail.scroll_down(page),
        KeyCode::Home | KeyCode::Char('g') => detail.scroll_up(usize::MAX / 2),
        KeyCode::End | KeyCode::Char('G') => detail.scroll = 0,
        KeyCode::Esc | KeyCode::Backspace | KeyCode::Char('l') => {
            detail.scroll = 0;
            if state.logs_from == Page::List {
                return Some(close(state, at));
            }
            state.page = state.logs_from;
        }
        other => return everywhere(state, other),
    }
    None
}

/// Keys that mean the same on every page.
fn everywhere(state: &mut State, key: KeyCode) -> Option<Effect> {
    match key {
        KeyCode::Char('q') => return Some(Effect::Quit),
        KeyCode::Char('?') => state.overlay = Some(Overlay::Help),
        KeyCode::Char('x') => ask(state, Action::Stop),
        KeyCode::Char('c') => ask(state, Action::Clone),
        _ => {}
    }
    None
}

fn open(state: &mut State, page: Page) -> Option<Effect> {
    let workload = Arc::clone(&state.selected_row()?.workload);
    state.detail = Some(Detail::of(Arc::clone(&workload)));
    (state.page, state.logs_from) = (page, Page::List);
    Some(Effect::Follow(workload))
}

fn close(state: &mut State, at: &Moment) -> Effect {
    (state.page, state.detail) = (Page::List, None);
    state.rearrange(at);
    Effect::Unfollow
}

/// Asks about the workload that is looked at, else the one that is selected.
fn ask(state: &mut State, action: Action) {
    let looked_at = state.detail.as_ref().map(|detail| Arc::clone(&detail.workload));
    let selected = || state.selected_row().map(|row| Arc::clone(&row.workload));
    let Some(workload) = looked_at.or_else(selected) else { return };
    let nodes = state.seen.as_ref().map_or(&[][..], |seen| &seen.nodes);
    let node = super::state::node_of(&workload, nodes);
    state.overlay = Some(Overlay::Question(Question { action, workload, node }));
}

/// Only `y` is a yes.
fn answer(state: &mut State, question: Question, key: KeyCode, at: &Moment) -> Option<Effect> {
    let Question { action, workload, .. } = question;
    if !matches!(key, KeyCode::Char('y' | 'Y')) {
        return None;
    }
    let doing = match action {
        Action::Stop => "stopping",
        Action::Clone => "starting a copy of",
    };
    state.say(format!("{doing} {} …", workload.name), false, at);
    Some(Effect::Act(action, workload))
}

fn type_filter(state: &mut State, key: KeyCode, at: &Moment) -> Option<Effect> {
    match key {
        KeyCode::Enter | KeyCode::Up | KeyCode::Down => return None,
        KeyCode::Esc => state.filter.clear(),
        KeyCode::Backspace => drop(state.filter.pop()),
        KeyCode::Char(c) => state.type_filter(c),
        _ => {}
    }
    if key != KeyCode::Esc {
        state.overlay = Some(Overlay::Filter);
    }
    state.rearrange(at);
    None
}
