//! What those who run a ledger tell the commands that look after it.

use std::path::PathBuf;

use app::{domain::UserId, wire::Hash};
use clap::{Args, Subcommand, builder::BoolishValueParser};

use crate::db_url::DbUrl;

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Check against this anchor too: finds a removed tail or stream, and history rewritten with new hashes
    #[arg(long, env = "DAYBOOK_ANCHOR", value_name = "FILE")]
    pub anchor: Option<PathBuf>,
    /// Public key that signed the anchor, as anchors carry it; that of the data folder if absent, and where that is lost
    /// the one in the anchor
    #[arg(long, env = "DAYBOOK_ANCHOR_KEY", value_name = "KEY", requires = "anchor")]
    pub anchor_key: Option<Hash>,
    /// The key that signed the anchor; the data folder's if absent
    #[arg(long, env = "DAYBOOK_SESSION_KEY_FILE", value_name = "FILE")]
    pub session_key_file: Option<PathBuf>,
    /// The write database, sqlite:PATH or postgres://…; the data folder's if absent
    #[arg(long, env = "DAYBOOK_WRITE_DB", hide_env_values = true, value_name = "URL")]
    pub write_db: Option<DbUrl>,
}

#[derive(Debug, Args)]
pub struct AnchorArgs {
    /// The key that signs; the data folder's if absent
    #[arg(long, env = "DAYBOOK_SESSION_KEY_FILE", value_name = "FILE")]
    pub session_key_file: Option<PathBuf>,
    /// The write database, sqlite:PATH or postgres://…; the data folder's if absent
    #[arg(long, env = "DAYBOOK_WRITE_DB", hide_env_values = true, value_name = "URL")]
    pub write_db: Option<DbUrl>,
}

#[derive(Debug, Args)]
pub struct UserArgs {
    #[command(subcommand)]
    pub command: UserCommand,
    /// The write database, sqlite:PATH or postgres://…; the data folder's if absent
    #[arg(long, global = true, env = "DAYBOOK_WRITE_DB", hide_env_values = true, value_name = "URL")]
    pub write_db: Option<DbUrl>,
}

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add someone; prints a password unless one comes on stdin
    Add {
        /// Their e-mail; upper and lower case are the same
        #[arg(long, env = "DAYBOOK_USER_EMAIL")]
        email: String,
        /// Their name, as pages show it
        #[arg(long, env = "DAYBOOK_USER_NAME")]
        name: String,
        /// They may see everything, and operate
        #[arg(long, env = "DAYBOOK_USER_ADMIN", value_parser = BoolishValueParser::new())]
        admin: bool,
        /// The id that they had: of someone who was added after the backup that was restored. A new one if absent
        #[arg(long, env = "DAYBOOK_USER_ID", value_parser = UserId::parse)]
        id: Option<UserId>,
        /// Read the password from stdin, one line
        #[arg(long, env = "DAYBOOK_USER_PASSWORD_STDIN", value_parser = BoolishValueParser::new())]
        password_stdin: bool,
    },
    /// Everyone who was added
    List,
    /// Give someone a new password; ends all their sessions
    Password {
        /// Their e-mail; upper and lower case are the same
        #[arg(long, env = "DAYBOOK_USER_EMAIL")]
        email: String,
        /// Read the password from stdin, one line
        #[arg(long, env = "DAYBOOK_USER_PASSWORD_STDIN", value_parser = BoolishValueParser::new())]
        password_stdin: bool,
    },
    /// Delete someone's name, e-mail and password everywhere, for good; accounts and events know only an id and stay
    Forget {
        /// Their e-mail; upper and lower case are the same
        #[arg(long, env = "DAYBOOK_USER_EMAIL")]
        email: String,
    },
    /// Bar someone from signing in; ends all their sessions
    Disable {
        /// Their e-mail; upper and lower case are the same
        #[arg(long, env = "DAYBOOK_USER_EMAIL")]
        email: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Print a session token for someone, good for 15 minutes and for renewals
    Create {
        /// Their e-mail; upper and lower case are the same
        #[arg(long, env = "DAYBOOK_USER_EMAIL")]
        email: String,
        /// The key that signs sessions; the data folder's if absent
        #[arg(long, env = "DAYBOOK_SESSION_KEY_FILE", value_name = "FILE")]
        session_key_file: Option<PathBuf>,
        /// The write database, sqlite:PATH or postgres://…; the data folder's if absent
        #[arg(long, env = "DAYBOOK_WRITE_DB", hide_env_values = true, value_name = "URL")]
        write_db: Option<DbUrl>,
    },
    /// Print the public key that query nodes check sessions with; the key is made if there is none
    PublicKey {
        /// The key that signs sessions; the data folder's if absent
        #[arg(long, env = "DAYBOOK_SESSION_KEY_FILE", value_name = "FILE")]
        session_key_file: Option<PathBuf>,
    },
}
