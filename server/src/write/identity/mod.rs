//! People, their passwords and their sessions: everything about who someone is stays in this room. Events know ids.

mod ends;
mod input;
mod limits;
mod password;
mod people;
mod sessions;

pub use limits::SignInLimits;
pub use password::{HashedPassword, PASSWORD_LENGTH, PasswordError, Passwords};
pub(in crate::write) use people::StoredPerson;
pub use people::{NewPerson, People, PeopleDb, PeopleError, PersonRow};
pub use sessions::{SESSION_AGE, SessionParts, Sessions, mint};
