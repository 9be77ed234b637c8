//! Real services and real nodes for tests: started on free ports of this machine, ended with the tests.
#![allow(dead_code)]

pub mod kafka;
pub mod node;
pub mod postgres;
pub mod topic;
