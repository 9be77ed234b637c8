//! Live streams: what a reader is told, when, and what becomes of readers that are slow, behind, gone or too many.

mod http;
mod reader;
mod resume;
mod streams;
