//! The terminal while a screen is drawn on it, and its keys.
//!
//! Owns: raw mode, the alternate screen, and that both are left on every way out, a panic among them.
//! Never: decides what is drawn.

use std::io::{self, Stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, Show};
use crossterm::event::Event;
use crossterm::execute;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::sync::mpsc;

use super::screen::View;

/// Keys that wait to be handled; the terminal keeps what is typed beyond.
const KEYS: usize = 64;

/// Whether the terminal is to be restored.
static IS_OPEN: AtomicBool = AtomicBool::new(false);
static HAS_PANICKED: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// A terminal in raw mode, on its alternate screen.
#[derive(Debug)]
pub(super) struct Canvas(Terminal<CrosstermBackend<Stdout>>);

impl Canvas {
    pub(super) fn open() -> io::Result<Self> {
        HOOK.call_once(restore_before_a_panic_is_told);
        enable_raw_mode()?;
        IS_OPEN.store(true, Ordering::SeqCst);
        let opened = execute!(io::stdout(), EnterAlternateScreen, Hide)
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        opened.map(Self).inspect_err(|_| restore())
    }

    pub(super) fn draw(&mut self, view: &View<'_>) -> io::Result<()> {
        self.0.draw(|frame| view.draw(frame.area(), frame.buffer_mut())).map(drop)
    }
}

impl Drop for Canvas {
    fn drop(&mut self) {
        restore();
    }
}

/// Columns and lines.
pub(super) fn size() -> io::Result<(u16, u16)> {
    crossterm::terminal::size()
}

/// A panic of a background task restores the terminal too; there is nothing to draw on then.
pub(super) fn has_panicked() -> bool {
    HAS_PANICKED.load(Ordering::SeqCst)
}

/// Once; whoever cannot write to the terminal any more has nothing to restore.
fn restore() {
    if IS_OPEN.swap(false, Ordering::SeqCst) {
        let _gone = execute!(io::stdout(), LeaveAlternateScreen, Show);
        let _gone = disable_raw_mode();
    }
}

fn restore_before_a_panic_is_told() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        restore();
        HAS_PANICKED.store(true, Ordering::SeqCst);
        tell(panic);
    }));
}

/// What is typed, and changes of the size. The thread waits in a read, which costs nothing; it ends with
/// the process, or when the terminal does.
pub(super) fn keys() -> io::Result<mpsc::Receiver<Event>> {
    let (sender, receiver) = mpsc::channel(KEYS);
    let read = move || {
        while let Ok(event) = crossterm::event::read() {
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("keys".to_owned()).spawn(read)?;
    Ok(receiver)
}
