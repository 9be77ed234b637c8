//! Queries: what each answers, to whom, in pages that nothing shifts.

use std::{sync::Arc, time::Duration};

use app::{
    api::AppError,
    domain::{
        Date, SessionId,
        account::{AccountCommand, AccountEvent, DeclineReason},
    },
    ports::{AccountsFilter, EventsFilter, Freshness, QueryPort, Role, StatementFilter, Viewer},
    wire::{Actor, CurrencyTotal, Event, EventView, Page, Position, Seen, StatementRow, TransferState},
};
use server::read::queries::SqlQueries;

use crate::history::{History, Log, Node, Place, account, transfer_id, user, uuid};

const NOW: Freshness = Freshness { position: Position(0), wait: Duration::ZERO };

/// A query node that has read a history.
struct Desk {
    queries: SqlQueries,
    node: Node,
    log: Arc<Log>,
    _place: Place,
}

impl Desk {
    async fn over(history: &History) -> Self {
        let (place, log) = (Place::new(), Log::new(history.events.clone()));
        let node = place.start(&log).await;
        node.reaches(history.head()).await;
        Self { queries: SqlQueries::new(node.side.clone()), node, log, _place: place }
    }

    /// The history went on.
    async fn catches_up(&self, history: &History) {
        self.log.set(history.events.clone());
        self.node.reaches(history.head()).await;
    }

    async fn statement(&self, viewer: &Viewer, number: u64, filter: StatementFilter) -> Page<StatementRow> {
        self.queries.statement(viewer, account(number), filter, NOW).await.unwrap().value
    }

    async fn events(&self, viewer: &Viewer, filter: EventsFilter) -> Page<EventView> {
        self.queries.events(viewer, EventsFilter { limit: 500, ..filter }, NOW).await.unwrap().value
    }
}

fn viewer(number: u64, roles: &[Role]) -> Viewer {
    Viewer {
        user_id: user(number),
        session_id: SessionId(uuid(7, number)),
        name: format!("Person {number}"),
        roles: roles.to_vec(),
        expires_at: i64::MAX,
    }
}

fn customer(number: u64) -> Viewer {
    viewer(number, &[Role::Customer])
}

fn admin() -> Viewer {
    viewer(99, &[Role::Customer, Role::Admin])
}

/// Accounts 1 and 2 of person 1, account 3 of person 2, account 4 of person 2 in yen; 1 has 1,000.
fn history() -> History {
    let mut history = History::default();
    history.open(1, user(1), "CZK", 0);
    history.open(2, user(1), "CZK", 0);
    history.open(3, user(2), "CZK", 0);
    history.open(4, user(2), "JPY", 0);
    history.deposit(1, 1_000);
    history
}

/// All pages of a list, one after the other.
macro_rules! all_pages {
    ($after:ident => $page:expr) => {{
        let (mut items, mut $after) = (Vec::new(), None);
        loop {
            let page = $page;
            items.extend(page.items);
            $after = page.next;
            if $after.is_none() {
                break items;
            }
        }
    }};
}

#[tokio::test]
async fn a_customer_sees_their_own_accounts_and_an_admin_all() {
    let desk = Desk::over(&history()).await;
    let seen = async |viewer: &Viewer, filter: AccountsFilter| -> Vec<u64> {
        let page = desk.queries.accounts(viewer, filter, NOW).await.unwrap().value;
        page.items.iter().map(|view| (1..=4).find(|number| account(*number) == view.id).unwrap()).collect()
    };
    let all = AccountsFilter::default;
    assert_eq!(seen(&customer(1), all()).await, [1, 2]);
    assert_eq!(seen(&customer(2), all()).await, [3, 4]);
    assert_eq!(seen(&customer(3), all()).await, [0; 0]);
    assert_eq!(seen(&admin(), all()).await, [1, 2, 3, 4]);
    assert_eq!(seen(&admin(), AccountsFilter { owner: Some(user(2)), ..all() }).await, [3, 4]);
    assert_eq!(seen(&customer(1), AccountsFilter { owner: Some(user(2)), ..all() }).await, [0; 0]);
    assert_eq!(seen(&admin(), AccountsFilter { min_balance: Some(1), ..all() }).await, [1]);
    assert_eq!(seen(&admin(), AccountsFilter { max_balance: Some(0), ..all() }).await, [2, 3, 4]);
}

#[tokio::test]
async fn what_one_may_not_see_is_not_found() {
    let mut history = history();
    history.request(1, 1, 2, 10);
    history.settle();
    let desk = Desk::over(&history).await;
    let (q, stranger, today) = (&desk.queries, customer(2), history.today());
    assert_eq!(q.account(&stranger, account(1), NOW).await, Err(AppError::NotFound));
    assert_eq!(q.account(&stranger, account(77), NOW).await, Err(AppError::NotFound));
    let statement = q.statement(&stranger, account(1), StatementFilter::default(), NOW).await;
    assert_eq!(statement, Err(AppError::NotFound));
    let page = q.account_page(&stranger, account(1), StatementFilter::default(), today, NOW).await;
    assert_eq!(page, Err(AppError::NotFound));
    assert_eq!(q.daily_totals(&stranger, account(1), NOW).await, Err(AppError::NotFound));
    assert_eq!(q.transfers(&stranger, Some(account(1)), None, 0, NOW).await, Err(AppError::NotFound));
    assert_eq!(q.transfer(&stranger, transfer_id(1), NOW).await, Err(AppError::NotFound));
    assert_eq!(q.trial_balance(&stranger, NOW).await, Err(AppError::NotFound));
    for stream in [account(1).into(), transfer_id(1).into()] {
        let filter = EventsFilter { stream: Some(stream), ..EventsFilter::default() };
        assert_eq!(desk.events(&stranger, filter.clone()).await.items, []);
        assert_ne!(desk.events(&customer(1), filter).await.items, []);
    }
}

#[tokio::test]
async fn inputs_that_make_no_sense_are_refused_by_name() {
    let desk = Desk::over(&history()).await;
    let refused = |answer: Result<Seen<Page<StatementRow>>, AppError>, name: &str| {
        assert!(matches!(&answer, Err(AppError::Invalid { field, .. }) if field == name), "{answer:?}");
    };
    let ask = async |filter| desk.queries.statement(&admin(), account(1), filter, NOW).await;
    refused(ask(StatementFilter { limit: 501, ..StatementFilter::default() }).await, "limit");
    let after = |text: &str| Some(text.to_owned());
    refused(ask(StatementFilter { after: after("x"), ..StatementFilter::default() }).await, "after");
    refused(ask(StatementFilter { after: after("7"), by_date: true, ..StatementFilter::default() }).await, "after");
}

#[tokio::test]
async fn pages_of_a_statement_do_not_shift_while_entries_come_in() {
    let mut history = history();
    for amount in 1..=8 {
        history.deposit(1, amount);
    }
    let desk = Desk::over(&history).await;
    let page = |after| StatementFilter { limit: 3, after, ..StatementFilter::default() };
    let amounts = |page: &Page<StatementRow>| page.items.iter().map(|row| row.amount).collect::<Vec<_>>();
    let first = desk.statement(&customer(1), 1, page(None)).await;
    assert_eq!(amounts(&first), [8, 7, 6]);
    history.deposit(1, 9);
    desk.catches_up(&history).await;
    let second = desk.statement(&customer(1), 1, page(first.next)).await;
    assert_eq!(amounts(&second), [5, 4, 3]);
    let last = desk.statement(&customer(1), 1, page(second.next)).await;
    assert_eq!((amounts(&last), last.next), (vec![2, 1, 1_000], None));
    let oldest = desk.statement(&customer(1), 1, StatementFilter { ascending: true, ..page(None) }).await;
    assert_eq!(amounts(&oldest), [1_000, 1, 2]);
}

#[tokio::test]
async fn a_statement_is_searched_without_regard_to_case() {
    let mut history = history();
    history.request(1, 1, 3, 10);
    history.settle();
    let desk = Desk::over(&history).await;
    let found = async |text: &str| {
        let filter = StatementFilter { text: Some(text.to_owned()), ..StatementFilter::default() };
        desk.statement(&customer(1), 1, filter).await.items.len()
    };
    assert_eq!(found("sALAry ").await, 1);
    assert_eq!(found("rent").await, 1);
    assert_eq!(found(&account(3).to_string()).await, 1);
    assert_eq!(found("  ").await, 2);
    assert_eq!(found("%").await, 0);
}

#[tokio::test]
async fn by_date_the_running_balance_is_recomputed_over_that_order() {
    let history = History::random(11, 900);
    let desk = Desk::over(&history).await;
    for number in 0..6 {
        for ascending in [true, false] {
            let filter = |limit, after| StatementFilter { by_date: true, ascending, limit, after, text: None };
            let whole = desk.queries.statement(&admin(), account(number), filter(500, None), NOW).await;
            let Ok(Seen { value: whole, .. }) = whole else { continue };
            assert_eq!(whole.next, None);
            let pages = all_pages!(after => desk.statement(&admin(), number, filter(7, after.take())).await);
            assert_eq!(pages, whole.items);

            let mut rows = whole.items;
            if !ascending {
                rows.reverse();
            }
            assert!(rows.is_sorted_by_key(|row| (row.effective_on, row.version)));
            let mut balance = 0;
            for row in &rows {
                balance += row.amount;
                assert_eq!(row.balance, balance, "{row:?}");
            }
            assert_eq!(balance, history.accounts[&account(number)].balance);
        }
    }
}

#[tokio::test]
async fn by_date_a_balance_beyond_64_bits_stays_at_their_end() {
    let mut history = history();
    let today = history.today();
    let day = |back| Date::from_days(today.days() - back);
    let mut entry = |amount: i64, back| {
        let effective_on = day(back);
        let command = if amount > 0 {
            AccountCommand::DepositMoney { amount, effective_on, today, description: None }
        } else {
            AccountCommand::WithdrawMoney { amount: -amount, effective_on, today, description: None }
        };
        assert!(history.account(account(2), command, None));
    };
    entry(i64::MAX, 9);
    entry(-i64::MAX, 1);
    entry(i64::MAX, 5);
    entry(-7, 7);
    let desk = Desk::over(&history).await;
    let filter = StatementFilter { by_date: true, ascending: true, ..StatementFilter::default() };
    let balances: Vec<_> = desk.statement(&customer(1), 2, filter).await.items.iter().map(|row| row.balance).collect();
    assert_eq!(balances, [i64::MAX, i64::MAX - 7, i64::MAX, i64::MAX - 7]);
}

#[tokio::test]
async fn the_account_page_shows_what_is_pending_on_either_side() {
    let mut history = history();
    let today = history.today();
    history.request(1, 1, 3, 400);
    let desk = Desk::over(&history).await;
    let pending = async |history: &History, person, number| {
        desk.catches_up(history).await;
        let (who, filter) = (customer(person), StatementFilter::default());
        let page = desk.queries.account_page(&who, account(number), filter, today, NOW).await.unwrap();
        assert_eq!(page.position, history.head());
        page.value.pending.iter().map(|transfer| transfer.state).collect::<Vec<_>>()
    };
    // Held, promised, captured, credited, completed.
    let mut seen = vec![];
    while !history.steps.is_empty() {
        history.step(0);
        seen.push((pending(&history, 1, 1).await, pending(&history, 2, 3).await));
    }
    let expected = [
        (vec![TransferState::Held], vec![]),
        (vec![TransferState::Promised], vec![TransferState::Promised]),
        (vec![], vec![TransferState::InTransit]),
        (vec![], vec![]),
        (vec![], vec![]),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn the_account_page_is_one_moment_and_its_chart_ends_at_the_balance() {
    let history = History::random(12, 700);
    let desk = Desk::over(&history).await;
    for (id, state) in history.accounts.iter().filter(|(_, state)| state.owner.is_some()) {
        let filter = StatementFilter { limit: 500, ..StatementFilter::default() };
        let page = desk.queries.account_page(&admin(), *id, filter, history.today(), NOW).await.unwrap();
        assert_eq!((page.position, page.stale), (history.head(), false));
        let page = page.value;
        assert_eq!(page.account.balance, state.balance);
        assert_eq!(page.account.available, state.available());
        assert_eq!(page.days.days.last().unwrap().balance, state.balance);
        assert!(page.days.days.is_sorted_by_key(|day| day.date));
        assert_eq!(page.statement.items.first().map_or(0, |row| row.balance), state.balance);
    }
}

#[tokio::test]
async fn an_overview_shows_the_newest_entries_of_the_accounts_it_shows() {
    let mut history = History::random(13, 600);
    history.settle();
    let desk = Desk::over(&history).await;
    for who in [customer(0), customer(1), admin()] {
        let overview = desk.queries.overview(&who, NOW).await.unwrap().value;
        let mut rows = vec![];
        for shown in &overview.accounts {
            assert!(who.is_admin() || shown.owner == who.user_id);
            let filter = StatementFilter { limit: 500, ..StatementFilter::default() };
            let page = desk.queries.statement(&who, shown.id, filter, NOW).await.unwrap();
            rows.extend(page.value.items);
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.entry_position));
        rows.truncate(10);
        assert_eq!(overview.latest, rows);
        assert!(!rows.is_empty());
    }
}

#[tokio::test]
async fn the_other_side_sees_a_transfer_from_its_promise_on() {
    let mut history = history();
    history.request(1, 1, 3, 400);
    history.step(0);
    let desk = Desk::over(&history).await;
    let seen = async |person| {
        let viewer = customer(person);
        let one = desk.queries.transfer(&viewer, transfer_id(1), NOW).await.is_ok();
        let listed = desk.queries.transfers(&viewer, None, None, 0, NOW).await.unwrap().value.items.len();
        let own = account(if person == 1 { 1 } else { 3 });
        let of_account = desk.queries.transfers(&viewer, Some(own), None, 0, NOW).await.unwrap().value.items.len();
        (one, listed, of_account)
    };
    assert_eq!(seen(1).await, (true, 1, 1));
    assert_eq!(seen(2).await, (false, 0, 0));
    history.step(0);
    desk.catches_up(&history).await;
    assert_eq!(seen(2).await, (true, 1, 1));
    assert_eq!(seen(1).await, (true, 1, 1));
    assert_eq!(desk.queries.transfers(&admin(), None, None, 0, NOW).await.unwrap().value.items.len(), 1);
}

#[tokio::test]
async fn a_transfer_to_an_account_that_does_not_exist_is_declined_and_shown() {
    let mut history = history();
    history.request(1, 1, 77, 400);
    history.settle();
    let desk = Desk::over(&history).await;
    let transfer = desk.queries.transfer(&customer(1), transfer_id(1), NOW).await.unwrap().value;
    assert_eq!((transfer.state, transfer.reason), (TransferState::Declined, Some(DeclineReason::AccountNotFound)));
    // The account can be opened later, and has a history from before its birth.
    assert!(history.open(77, user(2), "CZK", 0));
    desk.catches_up(&history).await;
    let opened = desk.queries.account(&customer(2), account(77), NOW).await.unwrap().value;
    assert_eq!((opened.balance, opened.version.0), (0, 2));
}

#[tokio::test]
async fn pages_of_transfers_hold_each_once_also_between_ones_own_accounts() {
    let mut history = history();
    for number in 1..=9 {
        history.request(number, 1, if number % 2 == 0 { 2 } else { 3 }, 10);
    }
    history.settle();
    let desk = Desk::over(&history).await;
    let newest_first: Vec<_> = (1..=9).rev().map(transfer_id).collect();
    for who in [customer(1), admin()] {
        for of in [None, Some(account(1))] {
            let listed = all_pages!(after =>
                desk.queries.transfers(&who, of, after.take(), 2, NOW).await.unwrap().value);
            assert_eq!(listed.iter().map(|transfer| transfer.id).collect::<Vec<_>>(), newest_first);
        }
    }
}

#[tokio::test]
async fn the_trial_balance_adds_up_at_one_position() {
    let mut history = History::random(14, 500);
    let desk = Desk::over(&history).await;
    while !history.steps.is_empty() {
        desk.catches_up(&history).await;
        let Seen { position, value, .. } = desk.queries.trial_balance(&admin(), NOW).await.unwrap();
        assert_eq!(position, history.head());
        for line in value.lines {
            assert_eq!(line.balances + line.in_transit, line.deposits - line.withdrawals);
            assert!(line.in_transit >= 0);
        }
        history.step(0);
    }
}

#[tokio::test]
async fn events_are_found_by_type_stream_text_and_correlation_in_both_directions() {
    let history = History::random(15, 400);
    let desk = Desk::over(&history).await;
    let positions = |page: Page<EventView>| page.items.iter().map(|event| event.position.0).collect::<Vec<_>>();
    let expect = |keep: &dyn Fn(&app::wire::Envelope) -> bool| {
        history.events.iter().rev().filter(|event| keep(event)).map(|event| event.position.0).collect::<Vec<_>>()
    };
    let none = EventsFilter::default;
    assert_eq!(positions(desk.events(&admin(), none()).await), expect(&|_| true));
    let by_type = EventsFilter { event_type: Some("account.money_deposited".to_owned()), ..none() };
    assert_eq!(positions(desk.events(&admin(), by_type).await), expect(&|e| e.event_type == "account.money_deposited"));
    let stream = account(1).into();
    let by_stream = EventsFilter { stream: Some(stream), ..none() };
    assert_eq!(positions(desk.events(&admin(), by_stream).await), expect(&|event| event.stream == stream));
    let by_text = EventsFilter { text: Some(" Stolen CARD".to_owned()), ..none() };
    let frozen = expect(&|event| event.event_type == "account.account_frozen");
    assert_eq!(positions(desk.events(&admin(), by_text).await), frozen);
    let odd = EventsFilter { text: Some("card\0".to_owned()), event_type: Some("\0".to_owned()), ..none() };
    assert!(positions(desk.events(&admin(), odd).await).is_empty());
    let metadata: app::wire::Metadata = serde_json::from_slice(&history.events[7].metadata).unwrap();
    let by_correlation = EventsFilter { correlation: Some(metadata.correlation_id), ..none() };
    assert_eq!(positions(desk.events(&admin(), by_correlation).await), [8]);

    let pages = async |ascending| {
        let (mut all, mut after) = (vec![], None);
        loop {
            let filter = EventsFilter { ascending, after, limit: 60, ..EventsFilter::default() };
            let page = desk.queries.events(&admin(), filter, NOW).await.unwrap().value;
            after = page.items.last().map(|event| event.position);
            all.extend(page.items.iter().map(|event| event.position.0));
            if page.next.is_none() {
                return all;
            }
        }
    };
    let all: Vec<u64> = (1..=history.head().0).collect();
    assert_eq!(pages(true).await, all);
    assert_eq!(pages(false).await, all.into_iter().rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_customers_timeline_is_what_they_may_read_and_no_more() {
    let mut history = history();
    history.request(1, 1, 3, 400);
    history.settle();
    let me = user(2);
    let mine = Event::Account(AccountEvent::OverdraftLimitChanged { limit: 1 });
    history.append(account(3).into(), &mine, Actor::User(me), None);
    let desk = Desk::over(&history).await;
    let events = desk.events(&customer(2), EventsFilter::default()).await.items;
    let visible = [account(3).into(), account(4).into(), transfer_id(1).into()];
    let expected: Vec<_> = history.events.iter().rev().filter(|event| visible.contains(&event.stream)).collect();
    assert_eq!(events.len(), expected.len());
    for (shown, stored) in events.iter().zip(expected) {
        assert_eq!(
            (shown.position, shown.hash, shown.payload.as_bytes()),
            (stored.position, stored.hash, &*stored.payload)
        );
        // The operator stays unknown; what one did oneself carries one's name.
        if shown.event_type == "account.overdraft_limit_changed" {
            assert_eq!((shown.actor, shown.actor_name.as_deref()), (Some(Actor::User(me)), Some("Person 2")));
            assert_eq!(shown.metadata.as_bytes(), stored.metadata);
        } else {
            assert_eq!((shown.actor, shown.actor_name.as_deref(), shown.metadata.as_str()), (None, None, ""));
        }
        // The promise followed from the hold, which is in a stranger's account.
        if shown.event_type == "account.transfer_expected" {
            assert_eq!(shown.causation_id, None);
        }
        if shown.event_type == "transfer.transfer_completed" {
            assert!(shown.causation_id.is_some());
        }
    }
    let whole = desk.events(&admin(), EventsFilter::default()).await.items;
    assert!(whole.iter().all(|event| event.actor.is_some() && !event.metadata.is_empty()));
    assert_eq!(whole.len() as u64, history.head().0);
}

#[tokio::test]
async fn r5_an_answer_waits_for_a_position_and_else_says_that_it_is_stale() {
    let mut history = history();
    let desk = Desk::over(&history).await;
    let before = history.head();
    let future = Freshness { position: before.next(), wait: Duration::from_millis(5) };
    let old = desk.queries.account(&customer(1), account(1), future).await.unwrap();
    assert_eq!((old.position, old.stale, old.value.balance), (before, true, 1_000));

    history.deposit(1, 1);
    let wait = Freshness { position: history.head(), wait: crate::history::LONG };
    let who = customer(1);
    let waiting = desk.queries.account(&who, account(1), wait);
    let (new, ()) = tokio::join!(waiting, async { desk.log.set(history.events.clone()) });
    let new = new.unwrap();
    assert_eq!((new.position, new.stale, new.value.balance), (history.head(), false, 1_001));
}

#[tokio::test]
async fn an_overview_adds_up_all_accounts_and_not_only_those_it_lists() {
    let mut history = History::default();
    for number in 1..=130 {
        history.open(number, user(1), "CZK", 0);
        history.deposit(number, 1_000);
    }
    for (number, currency) in [(131, "JPY"), (132, "EUR"), (133, "EUR")] {
        history.open(number, user(1), currency, 0);
    }
    history.deposit(132, i64::MAX);
    history.deposit(133, i64::MAX);
    history.account(account(131), AccountCommand::CloseAccount, None);
    history.open(200, user(2), "CZK", 0);
    history.deposit(200, 5);
    let desk = Desk::over(&history).await;
    let totals = async |viewer: &Viewer| {
        let overview = desk.queries.overview(viewer, NOW).await.unwrap().value;
        assert!(overview.accounts.len() <= 100);
        let line = |line: &CurrencyTotal| (line.currency.code(), line.accounts, line.balance);
        (overview.totals.position, overview.totals.lines.iter().map(line).collect::<Vec<_>>())
    };
    let before_the_last_two = Position(history.head().0 - 2);
    let eur = ("EUR", 2, i64::MAX);
    assert_eq!(totals(&customer(1)).await, (before_the_last_two, vec![("CZK", 130, 130_000), eur]));
    assert_eq!(totals(&customer(2)).await, (history.head(), vec![("CZK", 1, 5)]));
    assert_eq!(totals(&customer(3)).await, (Position(0), vec![]));
    assert_eq!(totals(&admin()).await, (history.head(), vec![("CZK", 131, 130_005), eur]));
}

#[tokio::test]
async fn an_empty_ledger_has_empty_answers() {
    let desk = Desk::over(&History::default()).await;
    let overview = desk.queries.overview(&admin(), NOW).await.unwrap();
    assert_eq!((overview.position, overview.stale, overview.value.accounts.len()), (Position(0), false, 0));
    assert_eq!(desk.queries.trial_balance(&admin(), NOW).await.unwrap().value.lines, []);
    assert_eq!(desk.events(&admin(), EventsFilter::default()).await.items, []);
    assert_eq!(desk.queries.account(&customer(1), account(1), NOW).await, Err(AppError::NotFound));
    assert_eq!(desk.queries.status().await.unwrap().projections.len(), 6);
}

#[tokio::test]
async fn the_trial_balance_is_exact_beyond_64_bits() {
    let mut history = History::default();
    for number in 1..4 {
        history.open(number, user(number), "CZK", 0);
        history.deposit(number, i64::MAX);
    }
    let desk = Desk::over(&history).await;
    let book = desk.queries.trial_balance(&admin(), NOW).await.unwrap().value;
    let all = i128::from(i64::MAX) * 3;
    assert_eq!((book.lines[0].balances, book.lines[0].deposits, book.lines[0].withdrawals), (all, all, 0));
    let json = serde_json::to_string(&book).unwrap();
    assert!(json.contains(&format!("\"balances\":{all},")), "{json}");
}
