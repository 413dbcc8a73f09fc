//! A program in a pseudo-terminal: keys go in, and the screen is what a person would see.
//!
//! Owns: the pair of terminals, the parser of what is drawn, the child's end. Never: knows the program.
//! On drop the child and all its descendants are killed.

use std::fmt;
use std::io::{Read, Write};
use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use vt100::Parser;

use crate::{Failure, Family, poll};

/// How many lines above the screen are kept.
const SCROLLBACK: usize = 2_000;

/// A program and its terminal.
pub struct Terminal {
    what: String,
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    parser: Arc<Mutex<Parser>>,
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminal").field("what", &self.what).finish_non_exhaustive()
    }
}

impl Terminal {
    /// Starts `program` with its arguments and environment (and nothing of ours but `PATH`) in a terminal of
    /// `columns` by `rows`, as `xterm-256color`.
    ///
    /// # Errors
    /// When there is no pseudo-terminal, or the program cannot be started.
    pub fn spawn(
        program: &str,
        args: &[&str],
        environment: &[(&str, &str)],
        dir: &std::path::Path,
        (columns, rows): (u16, u16),
    ) -> Result<Self, Failure> {
        let what = format!("{program} {}", args.join(" "));
        let failed =
            |error: &dyn fmt::Display| Failure::new(format!("terminal of `{what}`: {error}"));
        let pair =
            native_pty_system().openpty(size(columns, rows)).map_err(|error| failed(&error))?;
        let mut command = CommandBuilder::new(program);
        command.args(args);
        command.env_clear();
        command.env("PATH", std::env::var("PATH").unwrap_or_default());
        command.env("TERM", "xterm-256color");
        environment.iter().for_each(|(name, value)| command.env(name, value));
        command.cwd(dir);
        let child = pair.slave.spawn_command(command).map_err(|error| failed(&error))?;
        drop(pair.slave);
        let reader = pair.master.try_clone_reader().map_err(|error| failed(&error))?;
        let keys = pair.master.take_writer().map_err(|error| failed(&error))?;
        let parser = Arc::new(Mutex::new(Parser::new(
            at_least_one(rows),
            at_least_one(columns),
            SCROLLBACK,
        )));
        draw(reader, Arc::clone(&parser));
        Ok(Self { what, child, master: pair.master, keys, parser })
    }

    /// Presses keys: text as it is, `\r` for Enter, `\x1b` for Escape, `\x03` for Ctrl-C.
    ///
    /// # Errors
    /// When the program has ended.
    pub fn press(&mut self, keys: &str) -> Result<(), Failure> {
        let pressed = self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush());
        pressed.map_err(|error| Failure::new(format!("keys to `{}`: {error}", self.what)))
    }

    /// What stands on the screen, as lines without trailing blanks.
    #[must_use]
    pub fn screen(&self) -> String {
        let parser = self.parser.lock().expect("no reader panics");
        let contents = parser.screen().contents();
        contents.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    }

    /// Looks at the screen with its colours.
    pub fn look<T>(&self, at: impl FnOnce(&vt100::Screen) -> T) -> T {
        at(self.parser.lock().expect("no reader panics").screen())
    }

    /// Waits until the screen shows what is wanted, and returns it.
    ///
    /// # Errors
    /// When it does not in time; tells the screen.
    pub async fn shows(
        &self,
        what: &str,
        within: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String, Failure> {
        poll(what, within, async || {
            let screen = self.screen();
            if wanted(&screen) { Ok(screen) } else { Err(screen) }
        })
        .await
    }

    /// Changes the size of the terminal.
    ///
    /// # Errors
    /// When the program has ended.
    pub fn resize(&mut self, columns: u16, rows: u16) -> Result<(), Failure> {
        let resized = self.master.resize(size(columns, rows));
        resized.map_err(|error| Failure::new(format!("size of `{}`: {error}", self.what)))?;
        self.parser
            .lock()
            .expect("no reader panics")
            .screen_mut()
            .set_size(at_least_one(rows), at_least_one(columns));
        Ok(())
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> Option<i32> {
        self.child.process_id().and_then(|id| i32::try_from(id).ok())
    }

    /// Sends a signal to the program.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> Result<(), Failure> {
        let id = self.id().ok_or_else(|| Failure::new(format!("`{}` has ended", self.what)))?;
        kill(Pid::from_raw(id), signal)
            .map_err(|error| Failure::new(format!("{signal} to `{}`: {error}", self.what)))
    }

    /// Waits for the program's end.
    ///
    /// # Errors
    /// When it does not end in time; tells the screen.
    pub async fn ended(&mut self, within: Duration) -> Result<ExitStatus, Failure> {
        let what = format!("the end of `{}`", self.what);
        let (child, parser) = (&mut self.child, &self.parser);
        poll(&what, within, async || match child.try_wait() {
            Ok(Some(status)) => Ok(status),
            _ => Err(parser.lock().expect("no reader panics").screen().contents()),
        })
        .await
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(id) = self.id().filter(|_| !matches!(self.child.try_wait(), Ok(Some(_)))) {
            Family::of(id).kill();
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

fn at_least_one(n: u16) -> NonZero<u16> {
    NonZero::new(n).unwrap_or(NonZero::<u16>::MIN)
}

/// Feeds what the program draws to the parser, until the program closes its end.
fn draw(mut reader: Box<dyn Read + Send>, parser: Arc<Mutex<Parser>>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(n @ 1..) = reader.read(&mut buffer) {
            let drawn = buffer.get(..n).unwrap_or_default();
            parser.lock().expect("no test panics while it looks").process(drawn);
        }
    });
}
