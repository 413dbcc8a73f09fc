//! Single keys, and the line that is typed after `c`.
//!
//! Owns: what a key means, editing that line, and the terminal's mode. Never: does what a key asks for.

use std::io::{self, IsTerminal};
use std::time::Duration;

use crossterm::event::{
    DisableBracketedPaste, EnableBracketedPaste, Event, KeyCode, KeyEvent, KeyEventKind,
    KeyModifiers, poll, read,
};
use crossterm::{execute, terminal};
use tokio::sync::mpsc;

use crate::ui;

/// How often the reader looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(200);
/// Keys that were pressed and not looked at yet; then the terminal waits.
const QUEUE: usize = 64;
/// Longer payloads come from files.
const LONGEST_LINE: usize = 64 * 1024;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Nothing,
    /// The last call once more.
    Repeat,
    /// A line shall be typed.
    Ask,
    /// The typed line is another.
    Edited,
    /// The typed line is done.
    Send(String),
    /// No line is wanted any more.
    Dismiss,
    ToggleLogs,
    Help,
    Quit,
}

/// The line that is being typed, and the one before it.
#[derive(Debug, Default)]
pub(super) struct Keys {
    line: Option<String>,
    before: String,
}

impl Keys {
    /// What is typed so far; none when nothing is asked for.
    pub(super) fn line(&self) -> Option<&str> {
        self.line.as_deref()
    }

    /// What an event of the terminal asks for.
    pub(super) fn decide(&mut self, event: &Event) -> Action {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.press(*key),
            // What is pasted while nothing is asked for would be a row of commands.
            Event::Paste(text) => self.add(text),
            _ => Action::Nothing,
        }
    }

    fn press(&mut self, key: KeyEvent) -> Action {
        let has_control = key.modifiers.contains(KeyModifiers::CONTROL);
        if has_control && matches!(key.code, KeyCode::Char('c' | 'd')) {
            return match (key.code, self.line.take()) {
                (KeyCode::Char('c'), None) => Action::Quit,
                (_, None) => Action::Nothing,
                _ => Action::Dismiss,
            };
        }
        match self.line {
            Some(_) => self.edit(key.code, has_control),
            None => self.command(key.code),
        }
    }

    fn command(&mut self, code: KeyCode) -> Action {
        match code {
            KeyCode::Char('r') => Action::Repeat,
            KeyCode::Char('c') => {
                self.line = Some(String::new());
                Action::Ask
            }
            KeyCode::Char('l') => Action::ToggleLogs,
            KeyCode::Char('q') => Action::Quit,
            KeyCode::Char('?' | 'h') => Action::Help,
            _ => Action::Nothing,
        }
    }

    fn edit(&mut self, code: KeyCode, has_control: bool) -> Action {
        let Some(line) = &mut self.line else { return Action::Nothing };
        match code {
            KeyCode::Enter => {
                self.before.clone_from(line);
                return Action::Send(self.line.take().unwrap_or_default());
            }
            KeyCode::Esc => {
                self.line = None;
                return Action::Dismiss;
            }
            KeyCode::Backspace => drop(line.pop()),
            KeyCode::Char('u') if has_control => line.clear(),
            KeyCode::Up => line.clone_from(&self.before),
            KeyCode::Char(c) if !has_control => return self.add(c.encode_utf8(&mut [0; 4])),
            _ => return Action::Nothing,
        }
        Action::Edited
    }

    fn add(&mut self, text: &str) -> Action {
        match &mut self.line {
            Some(line) if line.len() + text.len() <= LONGEST_LINE => {
                line.push_str(text);
                Action::Edited
            }
            _ => Action::Nothing,
        }
    }
}

/// A terminal whose keys are read one by one, until this is dropped.
#[derive(Debug)]
pub(super) struct RawTerminal {
    events: mpsc::Receiver<Event>,
}

impl RawTerminal {
    /// None without a terminal on both sides: then nobody sees what keys do, or there are none.
    pub(super) fn take() -> Option<Self> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return None;
        }
        if let Err(error) = terminal::enable_raw_mode() {
            ui::note(format_args!("note: no keys, since the terminal refuses: {error}"));
            return None;
        }
        ui::set_raw(true);
        let _old_terminal = execute!(io::stdout(), EnableBracketedPaste);
        let (sender, events) = mpsc::channel(QUEUE);
        tokio::task::spawn_blocking(move || forward(&sender));
        Some(Self { events })
    }

    /// The next event; never again when the terminal is gone.
    pub(super) async fn next(&mut self) -> Event {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        self.events.close();
        let _old_terminal = execute!(io::stdout(), DisableBracketedPaste);
        let _gone = terminal::disable_raw_mode();
        ui::set_raw(false);
    }
}

/// Until nobody listens or the terminal is gone.
fn forward(sender: &mpsc::Sender<Event>) {
    while !sender.is_closed() {
        let Ok(has_event) = poll(LOOK) else { return };
        if !has_event {
            continue;
        }
        let Ok(event) = read() else { return };
        if sender.blocking_send(event).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode) -> Event {
        Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn control(c: char) -> Event {
        Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL))
    }

    fn typed(keys: &mut Keys, text: &str) -> Action {
        let mut last = Action::Nothing;
        text.chars().for_each(|c| last = keys.decide(&key(KeyCode::Char(c))));
        last
    }

    #[test]
    fn single_keys_are_commands() {
        let mut keys = Keys::default();
        for (c, action) in [
            ('r', Action::Repeat),
            ('l', Action::ToggleLogs),
            ('?', Action::Help),
            ('q', Action::Quit),
            ('x', Action::Nothing),
        ] {
            assert_eq!(typed(&mut keys, &c.to_string()), action, "{c}");
        }
        assert_eq!(keys.decide(&control('c')), Action::Quit);
        let pasted = keys.decide(&Event::Paste("qqq".to_owned()));
        assert_eq!(pasted, Action::Nothing, "what is pasted is no command");
    }

    #[test]
    fn a_payload_is_typed_edited_and_sent() {
        let mut keys = Keys::default();
        assert_eq!(typed(&mut keys, "c"), Action::Ask);
        assert_eq!(typed(&mut keys, "qlr!"), Action::Edited, "no commands now");
        keys.decide(&key(KeyCode::Backspace));
        keys.decide(&Event::Paste(" a\nb".to_owned()));
        assert_eq!(keys.line(), Some("qlr a\nb"));
        assert_eq!(keys.decide(&key(KeyCode::Enter)), Action::Send("qlr a\nb".to_owned()));
        assert_eq!(keys.line(), None);
        typed(&mut keys, "cx");
        keys.decide(&key(KeyCode::Up));
        assert_eq!(keys.line(), Some("qlr a\nb"), "the one before comes back");
        assert_eq!(keys.decide(&control('u')), Action::Edited);
        assert_eq!(keys.line(), Some(""));
    }

    #[test]
    fn escape_and_ctrl_c_give_the_line_up_and_nothing_else() {
        for end in [key(KeyCode::Esc), control('c'), control('d')] {
            let mut keys = Keys::default();
            typed(&mut keys, "cabc");
            assert_eq!(keys.decide(&end), Action::Dismiss);
            assert_eq!(typed(&mut keys, "q"), Action::Quit);
        }
    }

    #[test]
    fn a_line_has_a_bound() {
        let mut keys = Keys::default();
        typed(&mut keys, "c");
        keys.decide(&Event::Paste("x".repeat(LONGEST_LINE)));
        assert_eq!(typed(&mut keys, "y"), Action::Nothing);
        assert_eq!(keys.line().map(str::len), Some(LONGEST_LINE));
    }
}
