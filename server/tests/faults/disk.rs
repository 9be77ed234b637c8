//! A disk that is full, and one that cannot be written to: refused clearly, nothing acknowledged is lost, and it goes on.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use super::{bank::Bank, choices::Choices, embedded::Embedded};
use crate::services::node::{LONG, daybook};

/// Enough for a log and its views, and soon filled up.
const SIZE: &str = "size=96m";

/// A file system of its own in memory, where this user may mount one.
struct Disk(PathBuf);

fn mount(arguments: &[&str], on: &Path) -> bool {
    Command::new("mount").args(arguments).arg(on).output().is_ok_and(|done| done.status.success())
}

impl Disk {
    fn new(on: &Path) -> Option<Self> {
        std::fs::create_dir(on).unwrap();
        mount(&["-t", "tmpfs", "-o", SIZE, "daybook-test"], on).then(|| Self(on.to_owned()))
    }

    /// Fills it up to the last byte.
    fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.0.join("filler")).unwrap();
        for piece in [1 << 16, 1 << 9, 1] {
            let bytes = vec![0; piece];
            while file.write_all(&bytes).is_ok() {}
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }

    fn remount(&self, how: &str) {
        assert!(mount(&["-o", &format!("remount,{how}")], &self.0), "remount {how}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(&self.0).status().ok();
    }
}

pub async fn full(choices: &mut Choices, rate: u64, times: u64) -> String {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::new(&folder.path().join("disk")) else { return full_by_limit(choices, rate, times).await };
    let data = disk.0.join("data");
    let mut ledger = Embedded::start(&data).await;
    let bank = Bank::open(ledger.doors(), rate, choices).await;
    let work = bank.work(choices);
    for _ in 0..times {
        bank.does(100).await;
        disk.fill();
        refused(&ledger, &bank, "full").await;
        disk.make_room();
        bank.does(100).await;
    }
    work.stop().await;
    ledger.at_rest(&bank).await;

    // Read-only from the start: said, and not served.
    ledger.node.terminate();
    disk.remount("ro");
    let refused = daybook().args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&data).output().unwrap();
    let words = String::from_utf8_lossy(&refused.stderr).to_lowercase();
    assert!(!refused.status.success() && words.contains("read-only"), "{words}");
    disk.remount("rw");
    ledger.node.start_again();
    ledger.node.ready(&ledger.http).await;
    ledger.at_rest(&bank).await;
    "commands answered 503 until there was room; a read-only disk is refused at start".to_owned()
}

/// Files that nobody can write to, not even who has them open.
struct Immutable(Vec<PathBuf>);

impl Immutable {
    fn set(&self, how: &str) -> bool {
        Command::new("chattr").arg(how).args(&self.0).output().is_ok_and(|done| done.status.success())
    }

    fn new(files: Vec<PathBuf>) -> Option<Self> {
        let files = Self(files);
        files.set("+i").then_some(files)
    }

    /// Whether this folder's file system, and this user, can have such files.
    fn can_be_in(folder: &Path) -> bool {
        let path = folder.join("tried");
        let mut file = File::create(&path).unwrap();
        let made = Self::new(vec![path]);
        made.is_some() && file.write_all(b"x").is_err()
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        self.set("-i");
    }
}

/// The log becomes read-only under a node that runs.
pub async fn read_only(choices: &mut Choices, rate: u64, times: u64) -> String {
    let folder = tempfile::tempdir().unwrap();
    if !Immutable::can_be_in(folder.path()) {
        return "NOT TRIED: no file can be made immutable here (chattr +i)".to_owned();
    }
    let data = folder.path().join("data");
    let mut ledger = Embedded::start(&data).await;
    let bank = Bank::open(ledger.doors(), rate, choices).await;
    let work = bank.work(choices);
    for _ in 0..times {
        bank.does(100).await;
        let files = Immutable::new(["write.sqlite", "write.sqlite-wal"].map(|name| data.join(name)).into());
        refused(&ledger, &bank, "readonly").await;
        drop(files);
        bank.does(100).await;
    }
    work.stop().await;
    ledger.at_rest(&bank).await;
    "commands answered 503 until it could be written to again".to_owned()
}

/// Commands are answered 503, and the log says why, as far as there is room for it: it lies on the same disk.
async fn refused(ledger: &Embedded, bank: &Arc<Bank>, why: &str) {
    let (since, before) = (Instant::now(), bank.counts.unavailable.load(Ordering::Relaxed));
    while bank.counts.unavailable.load(Ordering::Relaxed) < before + 20 {
        assert!(since.elapsed() < LONG, "nothing is refused: {why}");
        tokio::task::yield_now().await;
    }
    assert!(ledger.node.logged().contains(why), "the log does not say why");
}

/// Where nothing can be mounted: no file of the process may grow beyond what there is.
async fn full_by_limit(choices: &mut Choices, rate: u64, times: u64) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Embedded::start(&folder.path().join("data")).await;
    let bank = Bank::open(ledger.doors(), rate, choices).await;
    let limit = |bytes: &str| {
        let pid = ledger.node.pid().to_string();
        let set =
            Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={bytes}:unlimited")]).status().unwrap();
        assert!(set.success(), "prlimit");
    };
    let work = bank.work(choices);
    for _ in 0..times {
        bank.does(100).await;
        limit("4096");
        refused(&ledger, &bank, "not available").await;
        limit("unlimited");
        bank.does(100).await;
    }
    work.stop().await;
    ledger.at_rest(&bank).await;
    "commands answered 503 until files might grow again (nothing could be mounted)".to_owned()
}
