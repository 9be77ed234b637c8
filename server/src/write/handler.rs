//! Takes commands from people: checks who may what, fills in defaults, hands them to the writer.
//!
//! | who | may |
//! | --- | --- |
//! | customer | open accounts of their own without overdraft; deposit, withdraw, transfer from, freeze, close their own |
//! | admin, operator | everything that people can send, on every account |
//!
//! What a customer may not touch is not found, as if it did not exist; so are commands that only admins have. A field
//! that only admins may give is refused by name.

use std::sync::Arc;

use app::{
    api::AppError,
    domain::{
        AccountId, CommandId, Currency, Date, EventId, Rejection, TransferId, UserId,
        account::{AccountCommand, AccountEvent, Direction, Entry},
        beside, check_reason, derive_uuid,
        transfer::{TransferCommand, TransferEvent},
    },
    ports::{CommandPort, Role, Viewer},
    wire::{
        Actor, Command, Envelope, Event, Hash, OpenAccount, ProjectionEvent, Receipt, RequestTransfer, SkipEvent,
        StreamId, StreamKind, Version,
    },
};
use async_trait::async_trait;
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    error::{internal, to_app},
    writer::{Clock, Intent, Submission, Writer},
};

/// Ids that begin like this are admins' and the operator's alone: no customer can take one first.
const RESERVED: [u8; 6] = [0xda, 0x7b, 0x00, 0xc0, 0x00, 0x00];

/// `derived` as an id that customers cannot use.
pub fn reserved(derived: Uuid) -> Uuid {
    let mut origin = [0; 16];
    origin[..RESERVED.len()].copy_from_slice(&RESERVED);
    beside(Uuid::from_bytes(origin), derived)
}

fn is_reserved(id: Uuid) -> bool {
    id.as_bytes().starts_with(&RESERVED)
}

/// Longest name of a projection, bytes.
const PROJECTION_MAX: usize = 80;

/// Who sends a command, and on whose behalf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Only on accounts of their own.
    Customer(UserId),
    Admin(UserId),
    /// Whoever runs `daybook` on the machine itself; owns no accounts.
    Operator,
}

impl Sender {
    /// `None`: someone without a role may send nothing.
    fn of(viewer: &Viewer) -> Option<Self> {
        let role = viewer.roles.iter().copied().max_by_key(|role| match role {
            Role::Customer => 0,
            Role::Admin => 1,
        })?;
        Some(match role {
            Role::Customer => Self::Customer(viewer.user_id),
            Role::Admin => Self::Admin(viewer.user_id),
        })
    }

    fn actor(self) -> Actor {
        match self {
            Self::Customer(id) | Self::Admin(id) => Actor::User(id),
            Self::Operator => Actor::Operator,
        }
    }
}

/// The command side's front door.
pub struct Handler {
    writer: Writer,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl CommandPort for Handler {
    async fn send(
        &self,
        viewer: &Viewer,
        command_id: CommandId,
        command: Command,
        expected: Option<Version>,
    ) -> Result<Receipt, AppError> {
        let sender = Sender::of(viewer).ok_or(AppError::NotFound)?;
        self.handle(sender, command_id, command, expected).await
    }

    async fn answers(&self) -> bool {
        self.writer.store_answers().await
    }
}

impl Handler {
    pub fn new(writer: Writer, clock: Arc<dyn Clock>) -> Self {
        Self { writer, clock }
    }

    /// Checks, decides and stores `command`; durable when this returns.
    #[tracing::instrument(name = "command", skip_all, fields(%command_id, correlation_id = %command_id))]
    pub async fn handle(
        &self,
        sender: Sender,
        command_id: CommandId,
        command: Command,
        expected: Option<Version>,
    ) -> Result<Receipt, AppError> {
        let actor = sender.actor();
        if matches!(sender, Sender::Customer(_)) && is_reserved(command_id.0) {
            return Err(AppError::IdReused);
        }
        let digest = digest(actor, &command).map_err(|error| internal(&error))?;
        let (stream, intent) = self.intent(sender, command_id, command).await?;
        let submission = Submission {
            command_id,
            actor,
            correlation_id: command_id,
            causation_id: None,
            digest,
            stream,
            expected,
            intent,
            lease: None,
        };
        match self.writer.submit(submission).await.map_err(to_app) {
            Err(AppError::Rejected { rejection: Rejection::TransferAlreadyRequested })
                if !self.may_know(sender, stream).await? =>
            {
                Err(AppError::NotFound)
            }
            answer => answer,
        }
    }

    /// The first event that `command` led to, for those who may see everything.
    pub async fn first_event_of(&self, command: CommandId) -> Result<Option<(Envelope, Event)>, AppError> {
        let Some(first) = self.writer.find_command(command).await.map_err(to_app)?.into_iter().next() else {
            return Ok(None);
        };
        let event = self.writer.decode(&first).map_err(to_app)?;
        Ok(Some((first, event)))
    }

    /// Whether the transfer in `stream` was asked for from an account of `sender`, or by anyone where an admin asks.
    async fn may_know(&self, sender: Sender, stream: StreamId) -> Result<bool, AppError> {
        let Sender::Customer(me) = sender else { return Ok(true) };
        let Some(first) = self.writer.first_event(stream).await.map_err(to_app)? else { return Ok(false) };
        match self.writer.decode(&first).map_err(to_app)? {
            Event::Transfer(TransferEvent::TransferRequested { from, .. }) => {
                Ok(self.account(from).await?.is_some_and(|(owner, _)| owner == me))
            }
            _ => Ok(false),
        }
    }

    /// The stream and the domain's command, once `sender` is known to be allowed it.
    async fn intent(
        &self,
        sender: Sender,
        command_id: CommandId,
        command: Command,
    ) -> Result<(StreamId, Intent), AppError> {
        let today = Date::of_micros(self.clock.now_micros());
        let (account_id, command) = match command {
            Command::OpenAccount(command) => self.open(sender, command_id, command).await?,
            Command::RequestTransfer(command) => return self.transfer(sender, command_id, command).await,
            Command::DepositMoney(command) => {
                self.may_use(sender, command.account_id).await?;
                self.is_kept_in(command.account_id, command.currency).await?;
                let (amount, description) = (command.amount, command.description);
                let effective_on = command.effective_on.unwrap_or(today);
                (command.account_id, AccountCommand::DepositMoney { amount, effective_on, today, description })
            }
            Command::WithdrawMoney(command) => {
                self.may_use(sender, command.account_id).await?;
                self.is_kept_in(command.account_id, command.currency).await?;
                let (amount, description) = (command.amount, command.description);
                let effective_on = command.effective_on.unwrap_or(today);
                (command.account_id, AccountCommand::WithdrawMoney { amount, effective_on, today, description })
            }
            Command::FreezeAccount(command) => {
                self.may_use(sender, command.account_id).await?;
                (command.account_id, AccountCommand::FreezeAccount { reason: command.reason })
            }
            Command::CloseAccount(command) => {
                self.may_use(sender, command.account_id).await?;
                (command.account_id, AccountCommand::CloseAccount)
            }
            Command::UnfreezeAccount(command) => {
                admins_only(sender)?;
                (command.account_id, AccountCommand::UnfreezeAccount)
            }
            Command::ChangeOverdraftLimit(command) => {
                admins_only(sender)?;
                self.is_kept_in(command.account_id, command.currency).await?;
                (command.account_id, AccountCommand::ChangeOverdraftLimit { limit: command.limit })
            }
            Command::ReverseEntry(command) => {
                admins_only(sender)?;
                let (event_id, reason) = (command.event_id, command.reason);
                let entry = self.entry(command.account_id, event_id).await?;
                (command.account_id, AccountCommand::ReverseEntry { event_id, entry, effective_on: today, reason })
            }
            Command::SkipEvent(command) => {
                admins_only(sender)?;
                return self.skip(command).await;
            }
        };
        Ok((account_id.into(), Intent::Account(command)))
    }

    async fn open(
        &self,
        sender: Sender,
        command_id: CommandId,
        command: OpenAccount,
    ) -> Result<(AccountId, AccountCommand), AppError> {
        let owner = match (sender, command.owner) {
            (Sender::Customer(me), Some(owner)) if owner != me => {
                return Err(AppError::invalid("owner", "only an admin can open an account for someone else"));
            }
            (Sender::Customer(me), _) | (Sender::Admin(me), None) => me,
            (Sender::Admin(_) | Sender::Operator, Some(owner)) => owner,
            (Sender::Operator, None) => return Err(AppError::invalid("owner", "whose account this is must be said")),
        };
        if let (Sender::Customer(me), Some(id)) = (sender, command.account_id) {
            // An id that is taken by someone else's account says no more than any other that is not theirs.
            if is_reserved(id.0) || self.account(id).await?.is_some_and(|(owner, _)| owner != me) {
                return Err(AppError::NotFound);
            }
        }
        let overdraft_limit = match (sender, command.overdraft_limit) {
            (Sender::Customer(_), Some(_)) => {
                return Err(AppError::invalid("overdraft_limit", "only an admin can give an account an overdraft"));
            }
            (_, limit) => limit.unwrap_or(0),
        };
        let made_up = || AccountId(beside(command_id.0, derive_uuid("account", &[command_id.0.as_bytes()])));
        let OpenAccount { account_id, name, currency, .. } = command;
        let account_id = account_id.unwrap_or_else(made_up);
        Ok((account_id, AccountCommand::OpenAccount { owner, name, currency, overdraft_limit }))
    }

    async fn transfer(
        &self,
        sender: Sender,
        command_id: CommandId,
        command: RequestTransfer,
    ) -> Result<(StreamId, Intent), AppError> {
        let RequestTransfer { transfer_id, from, to, amount, description, currency: given } = command;
        let currency = match (self.account(from).await?, sender) {
            (Some((owner, _)), Sender::Customer(me)) if owner != me => return Err(AppError::NotFound),
            (Some((_, currency)), _) => currency,
            (None, Sender::Customer(_)) => return Err(AppError::NotFound),
            (None, Sender::Admin(_) | Sender::Operator) => return Err(Rejection::AccountNotFound.into()),
        };
        same_currency(currency, given)?;
        let made_up = || TransferId(beside(command_id.0, derive_uuid("transfer", &[command_id.0.as_bytes()])));
        let transfer_id = transfer_id.unwrap_or_else(made_up);
        let command = TransferCommand::RequestTransfer { from, to, amount, currency, description };
        Ok((transfer_id.into(), Intent::Transfer(command)))
    }

    /// Which projections there are only query nodes know: one of another name skips nothing.
    async fn skip(&self, command: SkipEvent) -> Result<(StreamId, Intent), AppError> {
        let SkipEvent { projection, position, reason } = command;
        check_reason(&reason)?;
        let sound = !projection.is_empty() && projection.len() <= PROJECTION_MAX;
        if !sound || projection.chars().any(char::is_control) {
            let wanted = format!("a name has 1 to {PROJECTION_MAX} characters, none of them a control character");
            return Err(AppError::invalid("projection", wanted));
        }
        let event = self.writer.event_at(position).await.map_err(to_app)?;
        let event_id = event.ok_or_else(|| AppError::invalid("position", "there is no such event"))?.event_id;
        let stream = StreamId::new(StreamKind::Projection, derive_uuid("projection", &[projection.as_bytes()]));
        let skipped = ProjectionEvent::EventSkipped { projection, position, event_id, reason };
        Ok((stream, Intent::Record(Event::Projection(skipped))))
    }

    async fn may_use(&self, sender: Sender, account: AccountId) -> Result<(), AppError> {
        match sender {
            Sender::Admin(_) | Sender::Operator => Ok(()),
            Sender::Customer(me) => match self.account(account).await? {
                Some((owner, _)) if owner == me => Ok(()),
                Some(_) | None => Err(AppError::NotFound),
            },
        }
    }

    /// The currency of an account never changes, so this is no less true when the command's turn comes.
    async fn is_kept_in(&self, account: AccountId, given: Option<Currency>) -> Result<(), AppError> {
        match given {
            None => Ok(()),
            Some(_) => self.account(account).await?.map_or(Ok(()), |(_, currency)| same_currency(currency, given)),
        }
    }

    async fn account(&self, id: AccountId) -> Result<Option<(UserId, Currency)>, AppError> {
        let facts = self.writer.account_facts(id).await.map_err(to_app)?;
        Ok(facts.map(|facts| (facts.owner, facts.currency)))
    }

    /// What the stream of `account` says of `event`: see [`AccountCommand::ReverseEntry`].
    async fn entry(&self, account: AccountId, event: EventId) -> Result<Option<Option<Entry>>, AppError> {
        let stored = self.writer.find_event(event).await.map_err(to_app)?;
        let Some(stored) = stored.filter(|stored| stored.stream == account.into()) else { return Ok(None) };
        let (direction, amount) = match self.writer.decode(&stored).map_err(to_app)? {
            Event::Account(AccountEvent::MoneyDeposited { amount, .. }) => (Direction::In, amount),
            Event::Account(AccountEvent::MoneyWithdrawn { amount, .. }) => (Direction::Out, amount),
            Event::Account(_) | Event::Transfer(_) | Event::Session(_) | Event::Projection(_) => return Ok(Some(None)),
        };
        Ok(Some(Some(Entry { direction, amount })))
    }
}

/// An amount in minor units of another currency is another amount.
fn same_currency(expected: Currency, given: Option<Currency>) -> Result<(), AppError> {
    match given {
        Some(given) if given != expected => Err(Rejection::CurrencyMismatch { expected, given }.into()),
        Some(_) | None => Ok(()),
    }
}

fn admins_only(sender: Sender) -> Result<(), AppError> {
    match sender {
        Sender::Customer(_) => Err(AppError::NotFound),
        Sender::Admin(_) | Sender::Operator => Ok(()),
    }
}

/// What tells "the same command again" (W4): actor and command as sent, before defaults are filled in. Fields are
/// written in the order of their type, those not given left out, so equal commands have equal bytes.
pub fn digest(actor: Actor, command: &impl Serialize) -> Result<Hash, serde_json::Error> {
    let mut hash = Sha256::new();
    for part in [b"daybook/command/1".to_vec(), actor.to_string().into_bytes(), serde_json::to_vec(command)?] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Ok(Hash(hash.finalize().into()))
}
