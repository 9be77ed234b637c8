//! A process at work, in its role: the command side, the query side, or both. They meet on the bus and nowhere else.
//!
//! Guarantees an end in order: first what takes commands, then what reads, then the databases.

use std::sync::Arc;

use app::ports::Ports;
use tokio_util::sync::CancellationToken;

#[cfg(all(feature = "command", feature = "query"))]
pub use super::both_sides::BusChoice;
#[cfg(feature = "command")]
pub use super::command_side::{CommandSide, WriteParts, people_pool};
#[cfg(feature = "query")]
pub use super::query_side::QuerySide;
pub use super::waiting::Waiting;
use crate::{bus::kafka::KafkaSettings, token::TokenVerifier, web::Live};

/// What a process does, and with what.
pub enum Role {
    #[cfg(all(feature = "command", feature = "query"))]
    All { write: WriteParts, read: crate::db_url::DbUrl, bus: BusChoice },
    #[cfg(feature = "command")]
    Command { write: WriteParts, bus: KafkaSettings },
    #[cfg(feature = "query")]
    Query { read: crate::db_url::DbUrl, bus: KafkaSettings, keys: Vec<ed25519_dalek::VerifyingKey> },
}

/// A process at work.
pub struct Node {
    pub ports: Ports,
    pub tokens: Arc<TokenVerifier>,
    /// Live streams; `None` in a process without a query side.
    pub live: Option<Live>,
    #[cfg(feature = "command")]
    pub command: Option<CommandSide>,
    #[cfg(feature = "query")]
    pub query: Option<QuerySide>,
    /// Of a bus that is not this process' own.
    listening: CancellationToken,
}

impl Node {
    /// Starts what belongs to this role; `waiting` is told what it waits for.
    pub async fn run(role: Role, waiting: &Waiting) -> anyhow::Result<Self> {
        match role {
            #[cfg(all(feature = "command", feature = "query"))]
            Role::All { write, read, bus } => Self::run_both(write, read, bus, waiting).await,
            #[cfg(feature = "command")]
            Role::Command { write, bus } => {
                let keys = write.keys.clone();
                let mut command = CommandSide::open(write, Some(&bus), waiting).await?;
                command.publish(bus);
                let tokens = TokenVerifier::new(keys.public().iter(), command.revocations.clone());
                Ok(Self::of(tokens, CancellationToken::new()).with_command(command))
            }
            #[cfg(feature = "query")]
            Role::Query { read, bus, keys } => {
                let (listening, revocations) = (CancellationToken::new(), Arc::default());
                let tokens = TokenVerifier::new(keys.iter().copied(), Arc::clone(&revocations));
                let bus = super::query_side::listen(bus, keys, listening.clone())?;
                let query = QuerySide::start(&read, None, bus, revocations, waiting).await?;
                Ok(Self::of(tokens, listening).with_query(query))
            }
        }
    }

    /// Without a side yet.
    pub(super) fn of(tokens: TokenVerifier, listening: CancellationToken) -> Self {
        Self {
            ports: Ports { commands: None, sessions: None, queries: None },
            tokens: Arc::new(tokens),
            live: None,
            #[cfg(feature = "command")]
            command: None,
            #[cfg(feature = "query")]
            query: None,
            listening,
        }
    }

    #[cfg(feature = "command")]
    pub(super) fn with_command(mut self, side: CommandSide) -> Self {
        self.ports.commands = Some(side.handler.clone());
        self.ports.sessions = Some(side.sessions.clone());
        self.command = Some(side);
        self
    }

    #[cfg(feature = "query")]
    pub(super) fn with_query(mut self, side: QuerySide) -> Self {
        self.ports.queries = Some(side.queries.clone());
        self.live = Some(side.live.clone());
        self.query = Some(side);
        self
    }

    /// Ends everything; what was accepted is stored, and the databases are closed.
    #[cfg_attr(not(feature = "command"), allow(unused_mut, reason = "only the command side ends in two steps"))]
    pub async fn stop(mut self) -> anyhow::Result<()> {
        #[cfg(feature = "command")]
        if let Some(command) = &mut self.command {
            command.stop_commands().await?;
        }
        #[cfg(feature = "query")]
        if let Some(query) = self.query {
            query.stop().await;
        }
        self.listening.cancel();
        #[cfg(feature = "command")]
        if let Some(command) = self.command {
            command.close().await?;
        }
        Ok(())
    }
}
