//! What the log says about sessions: that they ended. Who people are is not in the log.

use serde::{Deserialize, Serialize};

use super::{SessionId, UserId};

/// Why all sessions of a person ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    PasswordChanged,
    RolesChanged,
    UserDisabled,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionEvent {
    /// Stream `session-<session id>`: the person signed out.
    #[serde(rename = "session.session_ended")]
    SessionEnded { user_id: UserId, session_id: SessionId },
    /// Stream `user-<user id>`: every token of this person issued until now is void.
    #[serde(rename = "session.user_sessions_ended")]
    UserSessionsEnded { user_id: UserId, reason: EndReason },
}
