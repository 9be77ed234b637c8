//! Server functions, and the error that they and the REST API share.
//!
//! They are compiled into the server alone: the browser posts its forms to them as any form is posted, which is a third
//! of the code of calling them from Rust.

mod error;
#[cfg(feature = "ssr")]
mod functions;
#[cfg(feature = "ssr")]
mod sender;

pub use error::AppError;
#[cfg(feature = "ssr")]
pub use functions::*;
