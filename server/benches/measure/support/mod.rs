//! What all measurements share: a folder on the disk, the fsync's time, medians.

pub mod http;
pub mod log;

use std::{
    fs::File,
    io::{Seek as _, SeekFrom, Write as _},
    time::{Duration, Instant},
};

pub fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("daybook-bench-").tempdir().unwrap()
}

pub fn median<T: Copy + PartialOrd>(values: &[T]) -> T {
    let mut values = values.to_vec();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap());
    values[values.len() / 2]
}

/// The value that 99 of 100 do not exceed.
pub fn p99<T: Copy + PartialOrd>(values: &[T]) -> T {
    let mut values = values.to_vec();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap());
    values[(values.len() * 99).div_ceil(100) - 1]
}

pub fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// Ours against theirs, round by round, and the ratio of the medians.
pub fn compare(what: &str, unit: &str, ours: &[f64], peer: &str, theirs: &[f64]) -> f64 {
    let (our, their) = (median(ours), median(theirs));
    let ratio = our / their;
    println!("{what}: {our:.0} {unit}, {peer}: {their:.0} {unit} → {:.0} %", ratio * 100.0);
    println!("    rounds: {}", rounds(ours, theirs));
    ratio
}

fn rounds(ours: &[f64], theirs: &[f64]) -> String {
    let pairs = ours.iter().zip(theirs);
    pairs.map(|(ours, theirs)| format!("{ours:.0}/{theirs:.0}")).collect::<Vec<_>>().join("  ")
}

/// The machine, and what it takes to make a small write durable on the disk that is measured on.
pub fn machine() {
    let folder = folder();
    let mut file = File::create(folder.path().join("fsync")).unwrap();
    file.write_all(&vec![0; 1 << 20]).unwrap();
    file.sync_all().unwrap();
    let times: Vec<Duration> = (0..200)
        .map(|at| {
            file.seek(SeekFrom::Start(at * 4096)).unwrap();
            file.write_all(&[1; 4096]).unwrap();
            let started = Instant::now();
            file.sync_data().unwrap();
            started.elapsed()
        })
        .collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{cores} cores; fsync of 4 KiB: median {:.2} ms, p99 {:.2} ms", ms(median(&times)), ms(p99(&times)));
}

pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
