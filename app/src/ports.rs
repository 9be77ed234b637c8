//! What pages and server functions need from the server, as traits: it implements them and hands them over through
//! Leptos' context. The command side's and the query side's ports are apart, since either may be absent in a process.

use std::{net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    api::AppError,
    domain::{AccountId, CommandId, Date, EventId, SessionId, TransferId, UserId},
    wire::{
        AccountPage, AccountView, Command, DailyTotal, EventView, Overview, Page, Person, Position, ReadStatus,
        Receipt, Seen, StatementRow, StreamId, TransferView, TrialBalance, Version,
    },
};

/// What someone may do. An admin may all that a customer may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Customer,
    Admin,
}

/// Who is asking: a checked session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    pub user_id: UserId,
    pub session_id: SessionId,
    pub name: String,
    pub roles: Vec<Role>,
    /// When the token runs out, microseconds since 1970.
    pub expires_at: i64,
}

impl Viewer {
    pub fn is_admin(&self) -> bool {
        self.roles.contains(&Role::Admin)
    }
}

/// A signed session token and what it says.
#[derive(Debug, Clone)]
pub struct SignedIn {
    pub token: String,
    pub viewer: Viewer,
}

/// Someone who can sign in, as admins see them.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct User {
    pub id: UserId,
    pub email: String,
    pub name: String,
    pub roles: Vec<Role>,
}

/// The command side: takes commands.
#[async_trait]
pub trait CommandPort: Send + Sync {
    /// Checks what the viewer may, decides, stores durably. `expected`: refuse unless the stream is at this version.
    async fn send(
        &self,
        viewer: &Viewer,
        command_id: CommandId,
        command: Command,
        expected: Option<Version>,
    ) -> Result<Receipt, AppError>;

    /// Whether what commands are stored in answers. Cheap, however often it is asked.
    async fn answers(&self) -> bool;
}

/// The command side: knows who people are. Only this side can mint tokens.
#[async_trait]
pub trait SessionPort: Send + Sync {
    /// Any failure is the same [`AppError::WrongCredentials`]; too many tries are [`AppError::TooMany`].
    async fn sign_in(&self, email: &str, password: &str, client: IpAddr) -> Result<SignedIn, AppError>;
    /// Ends this session everywhere.
    async fn sign_out(&self, viewer: &Viewer) -> Result<Receipt, AppError>;
    /// A fresh token for a session in use.
    async fn renew(&self, viewer: &Viewer) -> Result<SignedIn, AppError>;
    /// Who has this e-mail address, among those who can sign in.
    async fn by_email(&self, _email: &str) -> Result<Option<UserId>, AppError> {
        Ok(None)
    }
    /// Ends all sessions of this person and starts a new one.
    async fn change_password(&self, viewer: &Viewer, old: &str, new: &str) -> Result<SignedIn, AppError>;
}

/// Checks tokens with public keys and what the log said of ended sessions. Both sides have one of their own.
#[async_trait]
pub trait TokenCheck: Send + Sync {
    fn check(&self, token: &str) -> Option<Viewer>;

    /// Returns as soon as this session is ended before its token runs out. For open streams.
    async fn until_ended(&self, _viewer: &Viewer) {
        std::future::pending::<()>().await;
    }
}

/// How fresh an answer has to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Freshness {
    /// Wait until the view has seen this position …
    pub position: Position,
    /// … but not longer than this; then answer with what there is, marked stale.
    pub wait: Duration,
}

#[derive(Debug, Clone, Default)]
pub struct AccountsFilter {
    pub owner: Option<UserId>,
    pub min_balance: Option<i64>,
    pub max_balance: Option<i64>,
    pub after: Option<String>,
    /// 1 to 500.
    pub limit: u32,
}

#[derive(Debug, Clone, Default)]
pub struct StatementFilter {
    /// Order by effective date, with the running balance recomputed over that order.
    pub by_date: bool,
    /// Only rows whose description or counterparty holds this text; ignores case.
    pub text: Option<String>,
    pub after: Option<String>,
    /// 1 to 500. Newest first.
    pub limit: u32,
    /// Oldest first instead of newest first.
    pub ascending: bool,
}

#[derive(Debug, Clone, Default)]
pub struct EventsFilter {
    pub event_type: Option<String>,
    pub stream: Option<StreamId>,
    /// With `stream`: only events up to this version of it.
    pub up_to: Option<Version>,
    /// Only the event with this id.
    pub event: Option<EventId>,
    /// Events of this command and of all that followed from it.
    pub correlation: Option<CommandId>,
    /// Only events whose words hold this text; ignores case.
    pub text: Option<String>,
    /// Ascending: only events after this position. Descending: only events before it.
    pub after: Option<Position>,
    /// 1 to 500.
    pub limit: u32,
    pub ascending: bool,
}

/// The query side: answers from the read database alone. What the viewer may not see is [`AppError::NotFound`].
#[async_trait]
pub trait QueryPort: Send + Sync {
    async fn overview(&self, viewer: &Viewer, fresh: Freshness) -> Result<Seen<Overview>, AppError>;
    async fn account_page(
        &self,
        viewer: &Viewer,
        id: AccountId,
        statement: StatementFilter,
        today: Date,
        fresh: Freshness,
    ) -> Result<Seen<AccountPage>, AppError>;
    /// A customer's own; an admin's: all.
    async fn accounts(
        &self,
        viewer: &Viewer,
        filter: AccountsFilter,
        fresh: Freshness,
    ) -> Result<Seen<Page<AccountView>>, AppError>;
    async fn account(&self, viewer: &Viewer, id: AccountId, fresh: Freshness) -> Result<Seen<AccountView>, AppError>;
    async fn statement(
        &self,
        viewer: &Viewer,
        id: AccountId,
        filter: StatementFilter,
        fresh: Freshness,
    ) -> Result<Seen<Page<StatementRow>>, AppError>;
    async fn daily_totals(
        &self,
        viewer: &Viewer,
        id: AccountId,
        fresh: Freshness,
    ) -> Result<Seen<Page<DailyTotal>>, AppError>;
    /// Newest first; of one account, or of all that the viewer is party to.
    async fn transfers(
        &self,
        viewer: &Viewer,
        account: Option<AccountId>,
        after: Option<String>,
        limit: u32,
        fresh: Freshness,
    ) -> Result<Seen<Page<TransferView>>, AppError>;
    async fn transfer(&self, viewer: &Viewer, id: TransferId, fresh: Freshness)
    -> Result<Seen<TransferView>, AppError>;
    async fn trial_balance(&self, viewer: &Viewer, fresh: Freshness) -> Result<Seen<TrialBalance>, AppError>;
    /// What the viewer may see of the log.
    async fn events(
        &self,
        viewer: &Viewer,
        filter: EventsFilter,
        fresh: Freshness,
    ) -> Result<Seen<Page<EventView>>, AppError>;
    /// Those of `ids` who are known; nobody to whoever is no admin.
    async fn people(&self, viewer: &Viewer, ids: &[UserId]) -> Result<Vec<Person>, AppError>;
    /// Whoever has this e-mail; [`AppError::NotFound`] for whoever is no admin.
    async fn user(&self, viewer: &Viewer, email: &str) -> Result<Option<User>, AppError>;
    async fn status(&self) -> Result<ReadStatus, AppError>;
    /// Has a parked projection try its event again; [`AppError::NotFound`] for whoever is no admin.
    async fn retry(&self, viewer: &Viewer, projection: &str) -> Result<(), AppError>;
}

/// What the pages and server functions of a process can reach. Provided as Leptos context.
#[derive(Clone)]
pub struct Ports {
    pub commands: Option<Arc<dyn CommandPort>>,
    pub sessions: Option<Arc<dyn SessionPort>>,
    pub queries: Option<Arc<dyn QueryPort>>,
}

/// Light or dark, where the reader chose one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    Light,
    Dark,
}

/// What is known of the request at hand. Provided as Leptos context beside [`Ports`].
#[derive(Clone)]
pub struct Request {
    pub viewer: Option<Viewer>,
    pub client: IpAddr,
    pub locale: crate::locale::Locale,
    /// The highest position this browser has seen (cookie `daybook_seen`): nothing older is shown without saying so.
    pub seen: Position,
    /// Cookie `daybook_theme`; `None`: as the system prefers.
    pub theme: Option<Theme>,
    /// Served over plain HTTP off loopback: pages show a banner.
    pub insecure: bool,
    /// Microseconds since 1970.
    pub now: i64,
    /// CSP nonce of this response.
    pub nonce: String,
    /// How to write the cookies of this server.
    pub cookies: crate::cookies::CookiePolicy,
}

/// Addresses of the files that every page links to, with the hash of their content in them. Provided as Leptos context.
#[derive(Debug, Clone, Default)]
pub struct Assets {
    pub css: String,
    /// The module that brings the islands to life.
    pub loader: String,
    /// What the loader loads, on all pages but the next.
    pub ledger: Module,
    /// On the timeline, its streams and the trial balance.
    pub timeline: Module,
    pub favicon: String,
}

/// A module of the browser, and its code.
#[derive(Debug, Clone, Default)]
pub struct Module {
    pub js: String,
    pub wasm: String,
}
