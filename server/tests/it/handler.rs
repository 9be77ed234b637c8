//! Who may send what, and what the handler makes of it.

use app::{
    api::AppError,
    domain::{AccountId, CommandId, Currency, Date, EventId, Rejection, account::AccountEvent, beside, derive_uuid},
    ports::{CommandPort as _, Role, Viewer},
    wire::{
        ChangeOverdraftLimit, CloseAccount, Command, DepositMoney, Event, FreezeAccount, Metadata, OpenAccount,
        Position, ProjectionEvent, Receipt, RequestTransfer, ReverseEntry, SkipEvent, StreamId, StreamKind,
        UnfreezeAccount, Version, WithdrawMoney,
    },
};
use server::write::handler::{Handler, Sender};
use uuid::Uuid;

use super::write_side::{NOW, WriteSide, rand, read, user, viewer};

struct Front {
    side: WriteSide,
    handler: Handler,
}

impl Front {
    async fn new() -> Self {
        let side = WriteSide::new().await;
        let handler = Handler::new(side.writer.clone(), side.clock.clone());
        Self { side, handler }
    }

    async fn send(&self, viewer: &Viewer, command: impl Into<Command>) -> Result<Receipt, AppError> {
        self.send_as(viewer, command_id(), command).await
    }

    async fn send_as(&self, viewer: &Viewer, id: CommandId, command: impl Into<Command>) -> Result<Receipt, AppError> {
        self.handler.send(viewer, id, command.into(), None).await
    }

    async fn last_event(&self) -> Event {
        read(self.side.log().await.last().unwrap())
    }
}

fn command_id() -> CommandId {
    CommandId(Uuid::from_u128(rand()))
}

fn customer(number: u128) -> Viewer {
    viewer(number, &[Role::Customer])
}

fn admin() -> Viewer {
    viewer(99, &[Role::Customer, Role::Admin])
}

fn czk() -> Currency {
    "CZK".parse().unwrap()
}

fn open() -> OpenAccount {
    OpenAccount { account_id: None, owner: None, name: "Savings".into(), currency: czk(), overdraft_limit: None }
}

fn deposit(account_id: AccountId, amount: i64) -> DepositMoney {
    DepositMoney { account_id, amount, description: None, effective_on: None, currency: None }
}

fn transfer(from: AccountId, to: AccountId) -> RequestTransfer {
    RequestTransfer { transfer_id: None, from, to, amount: 5, description: None, currency: None }
}

/// Every command there is on this account, with its name.
fn everything_on(account_id: AccountId) -> Vec<Command> {
    let reason = "because".to_owned();
    let event_id = EventId(Uuid::nil());
    vec![
        deposit(account_id, 5).into(),
        WithdrawMoney { account_id, amount: 5, description: None, effective_on: None, currency: None }.into(),
        transfer(account_id, AccountId(Uuid::from_u128(1))).into(),
        FreezeAccount { account_id, reason: reason.clone() }.into(),
        UnfreezeAccount { account_id }.into(),
        ChangeOverdraftLimit { account_id, limit: 5, currency: None }.into(),
        ReverseEntry { account_id, event_id, reason }.into(),
        CloseAccount { account_id }.into(),
    ]
}

#[tokio::test]
async fn a_customer_opens_an_account_for_themselves_with_an_id_that_follows_from_the_command() {
    let front = Front::new().await;
    let id = command_id();
    let receipt = front.send_as(&customer(1), id, open()).await.unwrap();
    let account = AccountId(beside(id.0, derive_uuid("account", &[id.0.as_bytes()])));
    assert_eq!(receipt.stream, StreamId::from(account));
    assert_eq!((receipt.version, receipt.repeated), (Version(1), false));
    let opened =
        AccountEvent::AccountOpened { owner: user(1), name: "Savings".into(), currency: czk(), overdraft_limit: 0 };
    assert_eq!(front.last_event().await, Event::Account(opened));
    let stored: Metadata = serde_json::from_slice(&front.side.log().await[0].metadata).unwrap();
    assert_eq!((stored.command_id, stored.correlation_id, stored.causation_id), (id, id, None));

    let again = front.send_as(&customer(1), id, open()).await.unwrap();
    assert_eq!((again.stream, again.events.clone(), again.repeated), (receipt.stream, receipt.events, true));
}

#[tokio::test]
async fn w4_an_event_is_skipped_once_by_an_admin_who_says_why() {
    let front = Front::new().await;
    let opened = front.send(&customer(1), open()).await.unwrap();
    let skip = |position: u64, reason: &str| SkipEvent {
        projection: "accounts".to_owned(),
        position: Position(position),
        reason: reason.to_owned(),
    };
    assert_eq!(front.send(&customer(1), skip(1, "ugly")).await, Err(AppError::NotFound));
    let no_reason = Rejection::TextEmpty { field: "reason".to_owned() };
    assert_eq!(front.send(&admin(), skip(1, " ")).await, Err(no_reason.into()));
    for position in [0, 2, u64::MAX] {
        let error = front.send(&admin(), skip(position, "ugly")).await.unwrap_err();
        assert!(matches!(&error, AppError::Invalid { field, .. } if field == "position"), "{error:?}");
    }
    for projection in ["", "accounts\0", "two\nlines"] {
        let named = SkipEvent { projection: projection.to_owned(), ..skip(1, "ugly") };
        let error = front.send(&admin(), named).await.unwrap_err();
        assert!(matches!(&error, AppError::Invalid { field, .. } if field == "projection"), "{error:?}");
    }
    let id = command_id();
    let receipt = front.send_as(&admin(), id, skip(1, "ugly")).await.unwrap();
    let event = ProjectionEvent::EventSkipped {
        projection: "accounts".to_owned(),
        position: Position(1),
        event_id: opened.events[0].event_id,
        reason: "ugly".to_owned(),
    };
    assert_eq!(front.last_event().await, Event::Projection(event));
    assert_eq!(front.side.log().await[1].stream.kind, StreamKind::Projection);
    let again = front.send_as(&admin(), id, skip(1, "ugly")).await.unwrap();
    assert_eq!((again.events, again.repeated), (receipt.events, true));
    assert_eq!(front.send_as(&admin(), id, skip(1, "dull")).await, Err(AppError::IdReused));
}

#[tokio::test]
async fn what_is_not_theirs_and_what_is_not_there_look_the_same_to_a_customer() {
    let front = Front::new().await;
    let theirs = front.side.open_account(user(2), "CZK", 100).await;
    let absent = AccountId(Uuid::from_u128(12345));
    for account in [theirs, absent] {
        for command in everything_on(account) {
            let name = command.name();
            assert_eq!(front.send(&customer(1), command).await, Err(AppError::NotFound), "{name} {account}");
        }
    }
    assert_eq!(front.side.log().await.len(), 2, "nothing was stored");
}

#[tokio::test]
async fn someone_without_a_role_may_send_nothing() {
    let front = Front::new().await;
    let mine = front.side.open_account(user(1), "CZK", 100).await;
    for command in everything_on(mine).into_iter().chain([open().into()]) {
        assert_eq!(front.send(&viewer(1, &[]), command).await, Err(AppError::NotFound));
    }
}

#[tokio::test]
async fn a_customer_does_with_their_own_what_customers_may() {
    let front = Front::new().await;
    let me = customer(1);
    let mine = front.side.open_account(user(1), "CZK", 100).await;
    let theirs = front.side.open_account(user(2), "CZK", 0).await;
    let withdraw =
        WithdrawMoney { account_id: mine, amount: 95, description: None, effective_on: None, currency: None };
    front.send(&me, deposit(mine, 5)).await.unwrap();
    front.send(&me, transfer(mine, theirs)).await.unwrap();
    front.send(&me, withdraw).await.unwrap();
    front.send(&me, FreezeAccount { account_id: mine, reason: "lost card".into() }).await.unwrap();
    for command in [
        Command::from(UnfreezeAccount { account_id: mine }),
        ChangeOverdraftLimit { account_id: mine, limit: 5, currency: None }.into(),
        ReverseEntry { account_id: mine, event_id: EventId(Uuid::nil()), reason: "oops".into() }.into(),
    ] {
        let name = command.name();
        assert_eq!(front.send(&me, command).await, Err(AppError::NotFound), "{name}");
    }
    let other = front.side.open_account(user(1), "CZK", 0).await;
    front.send(&me, CloseAccount { account_id: other }).await.unwrap();
}

#[tokio::test]
async fn fields_that_only_admins_may_give_are_refused_by_name() {
    let front = Front::new().await;
    let field = |result: Result<Receipt, AppError>| match result {
        Err(AppError::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    let for_other = OpenAccount { owner: Some(user(2)), ..open() };
    assert_eq!(field(front.send(&customer(1), for_other.clone()).await), "owner");
    let with_overdraft = OpenAccount { overdraft_limit: Some(0), ..open() };
    assert_eq!(field(front.send(&customer(1), with_overdraft).await), "overdraft_limit");
    front.send(&customer(1), OpenAccount { owner: Some(user(1)), ..open() }).await.unwrap();
    front.send(&admin(), OpenAccount { overdraft_limit: Some(500), ..for_other }).await.unwrap();
    let opened =
        AccountEvent::AccountOpened { owner: user(2), name: "Savings".into(), currency: czk(), overdraft_limit: 500 };
    assert_eq!(front.last_event().await, Event::Account(opened));
}

#[tokio::test]
async fn an_amount_in_another_currency_than_the_accounts_is_refused() {
    let front = Front::new().await;
    let me = customer(1);
    let account_id = front.side.open_account(user(1), "CZK", 100).await;
    let to = front.side.open_account(user(1), "CZK", 0).await;
    let in_the = |currency: Option<Currency>| -> Vec<(Viewer, Command)> {
        let withdraw = WithdrawMoney { account_id, amount: 5, description: None, effective_on: None, currency };
        vec![
            (me.clone(), DepositMoney { currency, ..deposit(account_id, 5) }.into()),
            (me.clone(), withdraw.into()),
            (me.clone(), RequestTransfer { currency, ..transfer(account_id, to) }.into()),
            (admin(), ChangeOverdraftLimit { account_id, limit: 5, currency }.into()),
        ]
    };
    let yen: Currency = "JPY".parse().unwrap();
    for (who, command) in in_the(Some(yen)) {
        let name = command.name();
        let refused = Rejection::CurrencyMismatch { expected: czk(), given: yen };
        assert_eq!(front.send(&who, command).await, Err(refused.into()), "{name}");
    }
    for (who, command) in in_the(Some(czk())) {
        let name = command.name();
        front.send(&who, command).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[tokio::test]
async fn an_account_id_that_is_taken_by_someone_else_is_not_found() {
    let front = Front::new().await;
    let theirs = front.side.open_account(user(2), "CZK", 0).await;
    let mine = front.side.open_account(user(1), "CZK", 0).await;
    let open = |id| OpenAccount { account_id: Some(id), ..open() };
    assert_eq!(front.send(&customer(1), open(theirs)).await, Err(AppError::NotFound));
    assert_eq!(front.send(&customer(1), open(mine)).await, Err(Rejection::AccountAlreadyOpen.into()));
    assert!(front.send(&customer(1), open(AccountId(Uuid::from_u128(55)))).await.is_ok());
}

#[tokio::test]
async fn an_admin_may_everything_on_every_account() {
    let front = Front::new().await;
    let account_id = front.side.open_account(user(2), "CZK", 0).await;
    let to = front.side.open_account(user(3), "CZK", 0).await;
    let deposited = front.send(&admin(), deposit(account_id, 100)).await.unwrap();
    let withdraw = WithdrawMoney { account_id, amount: 1, description: None, effective_on: None, currency: None };
    let event_id = deposited.events[0].event_id;
    let reason = || "because".to_owned();
    for command in [
        withdraw.into(),
        transfer(account_id, to).into(),
        ChangeOverdraftLimit { account_id, limit: 5, currency: None }.into(),
        FreezeAccount { account_id, reason: reason() }.into(),
        UnfreezeAccount { account_id }.into(),
        Command::from(deposit(account_id, 1)),
        ReverseEntry { account_id, event_id, reason: reason() }.into(),
        CloseAccount { account_id }.into(),
    ] {
        let name = command.name();
        front.send(&admin(), command).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let absent = AccountId(Uuid::from_u128(12345));
    for command in everything_on(absent) {
        let name = command.name();
        assert_eq!(front.send(&admin(), command).await, Err(Rejection::AccountNotFound.into()), "{name}");
    }
}

#[tokio::test]
async fn the_operator_says_whose_account_it_is() {
    let front = Front::new().await;
    let send = |command: OpenAccount| front.handler.handle(Sender::Operator, command_id(), command.into(), None);
    assert!(matches!(send(open()).await, Err(AppError::Invalid { field, .. }) if field == "owner"));
    send(OpenAccount { owner: Some(user(5)), overdraft_limit: Some(7), ..open() }).await.unwrap();
}

#[tokio::test]
async fn the_process_managers_commands_do_not_exist_here() {
    for name in ["HoldFunds", "ExpectTransfer", "CaptureHold", "CreditTransfer", "ReleaseHold", "CompleteTransfer"] {
        assert!(Command::read(name, serde_json::json!({})).is_none(), "{name}");
    }
}

#[tokio::test]
async fn w4_a_retry_after_midnight_is_the_same_command() {
    let front = Front::new().await;
    let mine = front.side.open_account(user(1), "CZK", 0).await;
    let id = command_id();
    let first = front.send_as(&customer(1), id, deposit(mine, 5)).await.unwrap();
    let day = |event: Event| match event {
        Event::Account(AccountEvent::MoneyDeposited { effective_on, .. }) => effective_on,
        other => panic!("{other:?}"),
    };
    assert_eq!(day(front.last_event().await), Date::of_micros(NOW));
    front.side.clock.advance(20_000_000);
    let again = front.send_as(&customer(1), id, deposit(mine, 5)).await.unwrap();
    assert_eq!((again.events.clone(), again.repeated), (first.events, true));
    front.send(&customer(1), deposit(mine, 5)).await.unwrap();
    assert_eq!(day(front.last_event().await).days(), Date::of_micros(NOW).days() + 1);
}

#[tokio::test]
async fn w4_the_same_id_with_other_content_or_from_someone_else_is_a_conflict() {
    let front = Front::new().await;
    let mine = front.side.open_account(user(1), "CZK", 0).await;
    let theirs = front.side.open_account(user(2), "CZK", 0).await;
    let id = command_id();
    front.send_as(&customer(1), id, deposit(mine, 5)).await.unwrap();
    assert_eq!(front.send_as(&customer(1), id, deposit(mine, 6)).await, Err(AppError::IdReused));
    let explicit = DepositMoney { effective_on: Some(Date::of_micros(NOW)), ..deposit(mine, 5) };
    assert_eq!(front.send_as(&customer(1), id, explicit).await, Err(AppError::IdReused));
    let freeze = FreezeAccount { account_id: mine, reason: "x".into() };
    assert_eq!(front.send_as(&customer(1), id, freeze).await, Err(AppError::IdReused));
    assert_eq!(front.send_as(&customer(2), id, deposit(theirs, 5)).await, Err(AppError::IdReused));
    assert_eq!(front.send_as(&admin(), id, deposit(mine, 5)).await, Err(AppError::IdReused));
}

#[tokio::test]
async fn w2_an_expected_version_that_does_not_hold_is_refused_with_the_actual_one() {
    let front = Front::new().await;
    let mine = front.side.open_account(user(1), "CZK", 5).await;
    let me = customer(1);
    let command = || Command::from(deposit(mine, 5));
    let stale = front.handler.send(&me, command_id(), command(), Some(Version(1))).await;
    assert_eq!(stale, Err(AppError::VersionMismatch { expected: Version(1), actual: Version(2) }));
    front.handler.send(&me, command_id(), command(), Some(Version(2))).await.unwrap();
}

#[tokio::test]
async fn a_reversal_finds_its_entry_in_the_accounts_own_stream() {
    let front = Front::new().await;
    let account_id = front.side.open_account(user(2), "CZK", 100).await;
    let other = front.side.open_account(user(3), "CZK", 100).await;
    let log = front.side.log().await;
    let event_of = |account: AccountId, version| {
        let event = log.iter().find(|event| event.stream == account.into() && event.version == Version(version));
        event.unwrap().event_id
    };
    let reverse = |event_id| ReverseEntry { account_id, event_id, reason: "typing error".into() };
    let refusals = [
        (EventId(Uuid::nil()), Rejection::EntryNotFound),
        (event_of(other, 2), Rejection::EntryNotFound),
        (event_of(account_id, 1), Rejection::EntryNotReversible),
    ];
    for (event_id, rejection) in refusals {
        assert_eq!(front.send(&admin(), reverse(event_id)).await, Err(rejection.into()));
    }
    front.send(&admin(), reverse(event_of(account_id, 2))).await.unwrap();
    assert_eq!(front.side.account_state(account_id).await.balance, 0);
    let twice = front.send(&admin(), reverse(event_of(account_id, 2))).await;
    assert_eq!(twice, Err(Rejection::EntryAlreadyReversed.into()));
}

#[tokio::test]
async fn a_transfer_is_in_the_currency_of_its_source() {
    let front = Front::new().await;
    let mine = front.side.open_account(user(1), "EUR", 100).await;
    let id = command_id();
    let receipt = front.send_as(&customer(1), id, transfer(mine, AccountId(Uuid::from_u128(4)))).await.unwrap();
    assert_eq!(receipt.stream.id, beside(id.0, derive_uuid("transfer", &[id.0.as_bytes()])));
    let requested = serde_json::to_value(front.last_event().await).unwrap();
    assert_eq!(requested["transfer.transfer_requested"]["currency"], "EUR");
}

#[tokio::test]
async fn when_the_writer_takes_nothing_one_is_asked_to_come_back() {
    let front = Front::new().await;
    let mine = front.side.open_account(user(1), "CZK", 0).await;
    front.side.writer.clone().stop().await;
    assert_eq!(front.send(&customer(1), deposit(mine, 5)).await, Err(AppError::Unavailable { retry_after: 1 }));
}
