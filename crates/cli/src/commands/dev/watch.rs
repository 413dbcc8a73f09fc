//! Telling that files were saved.
//!
//! Owns: what of the file system counts as a save, and when it is over. Never: reads what a file says.
//!
//! The kernel tells of changes in the folders of the files, since editors write another file and rename it.
//! Where it does not (network file systems, a folder that was made anew), a look twice a second finds them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use nex_types::Digest;
use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};

use crate::ui;

/// A save is over when nothing has happened for so long …
const QUIET: Duration = Duration::from_millis(20);
/// … or when it has gone on for so long.
const LONGEST: Duration = Duration::from_millis(200);
/// How often files are looked at, whatever the kernel tells.
const LOOK: Duration = Duration::from_millis(500);
/// Editors take a file away for a moment; after this many looks it is gone.
const LOOKS_UNTIL_GONE: u32 = 4;
/// Signs of life that wait to be seen; one is as good as many, so that more may be lost.
const QUEUE: usize = 16;

/// What became of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// They have other bytes; saved at this time.
    Saved(Instant),
    /// This one is not there any more.
    Gone(PathBuf),
}

/// When a save is over.
#[derive(Debug, Default)]
struct Debounce(Option<(Instant, Instant)>);

impl Debounce {
    fn touched(&mut self, now: Instant) {
        let first = self.0.map_or(now, |(first, _)| first);
        self.0 = Some((first, now));
    }

    fn due(&self) -> Option<Instant> {
        self.0.map(|(first, last)| (last + QUIET).min(first + LONGEST))
    }

    /// When it began; what comes now is another one.
    fn take(&mut self) -> Option<Instant> {
        self.0.take().map(|(first, _)| first)
    }
}

/// Files, and what they had when they were looked at last.
#[derive(Debug)]
pub(super) struct Watch {
    files: Vec<PathBuf>,
    seen: Option<Seen>,
    stamps: Vec<Option<Stamp>>,
    n_missing: u32,
    debounce: Debounce,
    touched: mpsc::Receiver<()>,
    look: Interval,
    folders: Folders,
}

type Seen = Vec<Option<Digest>>;

/// What tells at little cost that a file is another: time, size, and which file it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp(Option<SystemTime>, u64, u64);

impl Watch {
    /// From now on; what the files have now is no change.
    pub(super) fn new(files: Vec<PathBuf>) -> Self {
        let (sender, touched) = mpsc::channel(QUEUE);
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watch = Self {
            files: Vec::new(),
            seen: None,
            stamps: Vec::new(),
            n_missing: 0,
            debounce: Debounce::default(),
            touched,
            look,
            folders: Folders::new(sender),
        };
        watch.turn_to(files);
        watch
    }

    /// Watches these, when they are others than before.
    pub(super) fn turn_to(&mut self, files: Vec<PathBuf>) {
        if files == self.files || files.is_empty() {
            return;
        }
        self.folders.watch(&files);
        self.files = files;
        self.stamps = self.files.iter().map(|file| stamp(file)).collect();
        self.seen = Some(self.digests());
    }

    /// The next save counts, also of the same bytes.
    pub(super) fn forget(&mut self) {
        self.seen = None;
    }

    /// Waits for the next change; nothing is lost when the wait is given up.
    pub(super) async fn changed(&mut self) -> Change {
        loop {
            let due = self.debounce.due();
            let over = sleep_until(due.unwrap_or_else(|| Instant::now() + LOOK));
            tokio::select! {
                Some(()) = self.touched.recv() => self.debounce.touched(Instant::now()),
                () = over, if due.is_some() => {
                    let began = self.debounce.take().unwrap_or_else(Instant::now);
                    if let Some(saved) = self.read(began) {
                        return Change::Saved(saved);
                    }
                }
                _ = self.look.tick() => if let Some(gone) = self.glance() {
                    return Change::Gone(gone);
                }
            }
        }
    }

    /// When other bytes were saved; none while a file is away, or when all are as they were.
    fn read(&mut self, began: Instant) -> Option<Instant> {
        self.stamps = self.files.iter().map(|file| stamp(file)).collect();
        let digests = self.digests();
        if digests.contains(&None) || self.seen.as_ref() == Some(&digests) {
            return None;
        }
        self.seen = Some(digests);
        let times = self.stamps.iter().flatten().filter_map(|stamp| stamp.0);
        let age = times.max().and_then(|time| SystemTime::now().duration_since(time).ok());
        Some(saved_at(Instant::now(), began, age))
    }

    fn digests(&self) -> Seen {
        // Of what is no regular file nothing is read: a pipe would never end.
        let digest = |file: &PathBuf| {
            stamp(file)?;
            nex_artifact::hash_file(file).ok().map(|(digest, _)| digest)
        };
        self.files.iter().map(digest).collect()
    }

    /// What is done twice a second.
    fn glance(&mut self) -> Option<PathBuf> {
        self.folders.renew();
        let stamps: Vec<_> = self.files.iter().map(|file| stamp(file)).collect();
        let missing = stamps.iter().position(Option::is_none);
        if stamps != self.stamps {
            self.stamps = stamps;
            self.debounce.touched(Instant::now());
        }
        self.n_missing = missing.map_or(0, |_| self.n_missing.saturating_add(1));
        let is_gone = self.n_missing == LOOKS_UNTIL_GONE;
        missing.filter(|_| is_gone).and_then(|position| self.files.get(position)).cloned()
    }
}

/// The time that the file itself tells, unless it is older than the save can be: a file that was moved here
/// keeps its time.
fn saved_at(now: Instant, began: Instant, age: Option<Duration>) -> Instant {
    let told = age.and_then(|age| now.checked_sub(age));
    told.filter(|told| *told + LOOK >= began).map_or(began, |told| told.min(began))
}

fn stamp(file: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file)?;
    Some(Stamp(metadata.modified().ok(), metadata.len(), metadata.ino()))
}

/// Which folder it is. A number alone may be given to the next one.
type Which = (u64, Option<SystemTime>);

/// The folders whose changes the kernel tells.
#[derive(Debug)]
struct Folders {
    names: Arc<Mutex<Vec<OsString>>>,
    /// None where the kernel refuses; then looks must do.
    watcher: Option<RecommendedWatcher>,
    watched: Vec<(PathBuf, Option<Which>)>,
}

impl Folders {
    fn new(touched: mpsc::Sender<()>) -> Self {
        let names = Arc::<Mutex<Vec<OsString>>>::default();
        let wanted = Arc::clone(&names);
        let tell = move |event: notify::Result<Event>| {
            let Ok(event) = event else { return };
            let names = wanted.lock().map(|names| names.clone()).unwrap_or_default();
            if is_save(&event, &names) {
                let _full_is_enough = touched.try_send(());
            }
        };
        let watcher = notify::recommended_watcher(tell).inspect_err(|error| {
            ui::note(format_args!("note: the kernel does not tell of saves, so each is found within half a second: {error}"));
        });
        Self { names, watcher: watcher.ok(), watched: Vec::new() }
    }

    /// Those of the files, and of what they link to.
    fn watch(&mut self, files: &[PathBuf]) {
        let real = files.iter().filter_map(|file| std::fs::canonicalize(file).ok());
        let all: Vec<PathBuf> = files.iter().cloned().chain(real).collect();
        let mut folders: Vec<PathBuf> = all.iter().map(|file| folder_of(file)).collect();
        folders.sort();
        folders.dedup();
        if let Ok(mut names) = self.names.lock() {
            *names = all.iter().filter_map(|file| file.file_name()).map(OsString::from).collect();
        }
        let Some(watcher) = &mut self.watcher else { return };
        for (folder, _) in self.watched.drain(..) {
            let _was_gone = watcher.unwatch(&folder);
        }
        for folder in folders {
            let told = watcher.watch(&folder, RecursiveMode::NonRecursive);
            let which = told.ok().and_then(|()| which(&folder));
            self.watched.push((folder, which));
        }
    }

    /// A folder that was made anew is another one, of which the kernel tells nothing yet.
    fn renew(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        for (folder, which) in &mut self.watched {
            let now = self::which(folder);
            if now.is_none() || now == *which {
                continue;
            }
            let _was_gone = watcher.unwatch(folder);
            *which = watcher.watch(folder, RecursiveMode::NonRecursive).ok().and(now);
        }
    }
}

fn folder_of(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

fn which(folder: &Path) -> Option<Which> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(folder).map(|metadata| (metadata.ino(), metadata.created().ok())).ok()
}

/// Reading a file is told too, and our own must not count.
fn is_save(event: &Event, names: &[OsString]) -> bool {
    let is_change = match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    };
    let is_ours =
        |path: &PathBuf| path.file_name().is_some_and(|name| names.iter().any(|n| n == name));
    is_change && event.paths.iter().any(is_ours)
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, ModifyKind};

    use super::*;

    const BOUND: Duration = Duration::from_secs(20);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_save_is_over_when_nothing_happens_any_more_or_it_takes_too_long() {
        let (start, mut debounce) = (Instant::now(), Debounce::default());
        assert_eq!(debounce.due(), None);
        debounce.touched(start);
        debounce.touched(start + ms(5));
        assert_eq!(debounce.due(), Some(start + ms(25)));
        (0..30).for_each(|n| debounce.touched(start + ms(5 + n * 10)));
        assert_eq!(debounce.due(), Some(start + ms(200)), "it does not go on for ever");
        assert_eq!(debounce.take(), Some(start));
        assert_eq!(debounce.due(), None);
    }

    #[test]
    fn the_time_of_the_file_counts_unless_it_is_an_old_one() {
        let began = Instant::now() + ms(5000);
        let now = began + ms(20);
        assert_eq!(saved_at(now, began, Some(ms(23))), began - ms(3));
        assert_eq!(saved_at(now, began, Some(ms(4000))), began, "a file that was moved here");
        assert_eq!(saved_at(now, began, Some(ms(1))), began, "written again meanwhile");
        assert_eq!(saved_at(now, began, None), began);
    }

    #[test]
    fn only_what_changes_our_files_counts() {
        let names = [OsString::from("echo.js")];
        let event = |kind, path: &str| Event::new(kind).add_path(PathBuf::from(path));
        let read = EventKind::Access(AccessKind::Open(AccessMode::Any));
        let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
        assert!(!is_save(&event(read, "/a/echo.js"), &names));
        assert!(is_save(&event(written, "/a/echo.js"), &names));
        assert!(is_save(&event(EventKind::Modify(ModifyKind::Any), "echo.js"), &names));
        assert!(!is_save(&event(EventKind::Create(CreateKind::File), "/a/.echo.js.swp"), &names));
    }

    async fn change(watch: &mut Watch) -> Change {
        tokio::time::timeout(BOUND, watch.changed()).await.expect("a change is seen")
    }

    fn is_saved(change: &Change) -> bool {
        matches!(change, Change::Saved(_))
    }

    #[tokio::test]
    async fn each_way_of_saving_is_seen_once() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, file) = (folder.path().join("src"), folder.path().join("src/echo.js"));
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(&file, "one").unwrap();
        let mut watch = Watch::new(vec![file.clone()]);
        // The same bytes are no change; what follows is.
        std::fs::write(&file, "one").unwrap();
        std::fs::write(&file, "two").unwrap();
        assert!(is_saved(&change(&mut watch).await));
        std::fs::write(inner.join("new"), "three").unwrap();
        std::fs::rename(inner.join("new"), &file).unwrap();
        assert!(is_saved(&change(&mut watch).await));
        // A build that makes its folder anew.
        std::fs::remove_dir_all(&inner).unwrap();
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(&file, "four").unwrap();
        assert!(is_saved(&change(&mut watch).await));
        std::fs::remove_file(&file).unwrap();
        assert_eq!(change(&mut watch).await, Change::Gone(file.clone()));
        watch.forget();
        std::fs::write(&file, "four").unwrap();
        assert!(is_saved(&change(&mut watch).await));
    }

    #[tokio::test]
    async fn a_link_s_target_is_watched_too() {
        let folder = tempfile::tempdir().unwrap();
        let (out, link) = (folder.path().join("out"), folder.path().join("echo.wasm"));
        std::fs::create_dir(&out).unwrap();
        std::fs::write(out.join("built.wasm"), "one").unwrap();
        std::os::unix::fs::symlink(out.join("built.wasm"), &link).unwrap();
        let mut watch = Watch::new(vec![link]);
        std::fs::write(out.join("built.wasm"), "two").unwrap();
        assert!(is_saved(&change(&mut watch).await));
    }
}
