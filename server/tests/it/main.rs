//! Everything over HTTP and against real databases, in one binary: it links once.

mod pages;
