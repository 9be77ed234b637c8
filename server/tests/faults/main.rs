//! Faults, tried for real: the real binary, real files, real signals.
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod daybook;
mod kill;
mod workload;
