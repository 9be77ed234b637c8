//! Server functions, and the error that they and the REST API share.

mod error;

pub use error::AppError;
