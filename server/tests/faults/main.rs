//! Faults, tried for real: the real binary, real files, real signals.

mod daybook;
mod kill;
mod workload;
