//! Every page, rendered as the server renders it, over a query side with fixed answers.

mod fake;

use std::{net::IpAddr, sync::Arc};

use app::{
    cookies::CookiePolicy,
    locale::Locale,
    ports::{Assets, Freshness, Module, Ports, Request as Known, Role, Theme},
    shell,
    wire::Position,
};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use http_body_util::BodyExt as _;
use leptos::{prelude::provide_context, server_fn::error::ServerFnUrlError};
use leptos_axum::LeptosRoutes as _;
use tower::ServiceExt as _;

use fake::{Fake, Ledger, POSITION, TODAY, event_id, everyday, transfer_id, viewer};

/// Someone with a browser.
#[derive(Clone)]
struct Visitor {
    roles: Option<Vec<Role>>,
    ledger: Ledger,
    theme: Option<Theme>,
    insecure: bool,
    seen: Position,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

fn customer() -> Visitor {
    Visitor { roles: Some(vec![Role::Customer]), ledger: Ledger::Full, theme: None, insecure: false, seen: POSITION }
}

fn admin() -> Visitor {
    Visitor { roles: Some(vec![Role::Customer, Role::Admin]), ..customer() }
}

impl Visitor {
    fn at(self, ledger: Ledger) -> Self {
        Self { ledger, ..self }
    }

    async fn get(&self, path: &str) -> Answer {
        let visitor = self.clone();
        let context = move || {
            provide_context(Ports { commands: None, sessions: None, queries: Some(Arc::new(Fake(visitor.ledger))) });
            provide_context(Known {
                viewer: visitor.roles.clone().map(viewer),
                client: IpAddr::from([127, 0, 0, 1]),
                locale: Locale::default(),
                seen: visitor.seen,
                theme: visitor.theme,
                insecure: visitor.insecure,
                now: TODAY,
                nonce: "n0nce".to_owned(),
                cookies: CookiePolicy { secure: true },
            });
            provide_context(Assets {
                css: "/assets/main.css".to_owned(),
                loader: "/assets/islands.js".to_owned(),
                ledger: module("daybook"),
                timeline: module("timeline"),
                favicon: "/assets/favicon.svg".to_owned(),
            });
        };
        let respond = move |request| shell::respond(context.clone(), request);
        let router = Router::<leptos::config::LeptosOptions>::new()
            .leptos_routes_with_handler(shell::routes(), respond.clone())
            .fallback(respond)
            .with_state(leptos::config::LeptosOptions::builder().output_name("daybook").build());
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let (head, body) = router.oneshot(request).await.expect("an answer").into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        Answer { status: head.status, headers: head.headers, text: String::from_utf8(bytes.to_vec()).expect("UTF-8") }
    }
}

fn module(name: &str) -> Module {
    Module { js: format!("/assets/{name}.js"), wasm: format!("/assets/{name}.wasm") }
}

impl Answer {
    #[track_caller]
    fn says(&self, words: &str) -> &Self {
        assert!(self.text.contains(words), "{words:?} is not in\n{}", self.text);
        self
    }

    #[track_caller]
    fn does_not_say(&self, words: &str) -> &Self {
        assert!(!self.text.contains(words), "{words:?} is in\n{}", self.text);
        self
    }

    #[track_caller]
    fn is(&self, status: StatusCode) -> &Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    #[track_caller]
    fn sends_to(&self, place: &str) {
        self.is(StatusCode::SEE_OTHER);
        assert_eq!(self.headers["location"], place);
    }
}

fn all_pages() -> Vec<String> {
    let account = format!("/accounts/{}", everyday());
    let slips = ["deposit", "withdraw", "transfer", "freeze", "close", "unfreeze", "limit"];
    let mut pages: Vec<String> = [
        "/",
        "/accounts",
        "/accounts/open",
        "/transfers",
        "/timeline",
        "/timeline?kind=account.money_deposited&q=rent",
        "/profile",
        "/trial-balance",
    ]
    .map(str::to_owned)
    .into();
    pages.extend(slips.map(|slip| format!("{account}/{slip}")));
    pages.extend([
        account.clone(),
        format!("{account}?by=date&q=rent"),
        format!("{account}/reverse?event={}", event_id(39)),
        format!("/transfers/{}", transfer_id()),
        format!("/timeline/account-{}?at=38", everyday()),
    ]);
    pages
}

#[tokio::test]
async fn every_page_is_a_whole_document_that_a_strict_policy_lets_through() {
    for path in all_pages() {
        let page = admin().get(&path).await;
        page.is(StatusCode::OK).says("<html lang=\"en\"").says("</html>").says("id=\"main\"").says("· Daybook</title>");
        assert!(page.text.starts_with("<!DOCTYPE html>"), "{path}: {}", &page.text[..200.min(page.text.len())]);
        page.does_not_say(" style=").does_not_say("<style").does_not_say(" onclick=").does_not_say("javascript:");
        let scripts: Vec<_> = page.text.matches("<script").collect();
        assert_eq!(scripts.len(), 1, "{path}: only the loader");
        let looks = path.starts_with("/timeline") || path == "/trial-balance";
        let module = if looks { "timeline" } else { "daybook" };
        page.says("src=\"/assets/islands.js\"").says("nonce=\"n0nce\"");
        page.says(&format!("data-js=\"/assets/{module}.js\"")).says(&format!("data-wasm=\"/assets/{module}.wasm\""));
        assert_eq!(page.text.matches("<h1").count(), 1, "{path}: one heading\n{}", page.text);
    }
}

#[tokio::test]
async fn ids_are_there_once_and_labels_point_at_something() {
    for path in all_pages() {
        let page = admin().get(&path).await.text;
        let ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let mut once = ids.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), ids.len(), "{path}: {ids:?}");
        for wanted in page.split(" for=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(once.contains(&wanted), "{path}: a label for {wanted}");
        }
    }
}

#[tokio::test]
async fn strangers_are_sent_to_sign_in_and_back() {
    let stranger = Visitor { roles: None, ..customer() };
    stranger.get("/").await.sends_to("/sign-in");
    let path = format!("/accounts/{}?by=date&q=a%26b", everyday());
    let there = stranger.get(&path).await;
    there.does_not_say("Everyday");
    there.sends_to(&format!("/sign-in?next=/accounts/{}%3Fby%3Ddate%26q%3Da%2526b", everyday()));
    stranger.get("/no-such-page").await.sends_to("/sign-in?next=/no-such-page");
    let page = stranger.get("/sign-in?next=/transfers").await;
    page.is(StatusCode::OK).says("action=\"/api/fn/sign_in\"").says("name=\"next\" value=\"/transfers\"");
    stranger.get("/sign-in?next=//evil.example").await.says("name=\"next\" value=\"/\"");
    customer().get("/sign-in?next=/transfers").await.sends_to("/transfers");
}

#[tokio::test]
async fn a_form_sent_after_the_session_ended_comes_back_as_it_was_filled_in() {
    let stranger = Visitor { roles: None, ..customer() };
    let url = ServerFnUrlError::new("/api/fn/deposit_money", app::api::AppError::NotSignedIn);
    let url = url.to_url("http://x/").expect("an address");
    let slip = format!("/accounts/{}/deposit?description=salary", everyday());
    let back = stranger.get(&format!("{slip}&{}", url.query().expect("a query"))).await;
    let next = format!("/accounts/{}/deposit%3Fdescription%3Dsalary", everyday());
    back.sends_to(&format!("/sign-in?next={next}&ended=1"));
    stranger.get(&format!("/sign-in?next={next}&ended=1")).await.says("Your session had ended");
    stranger.get("/sign-in?next=/").await.does_not_say("Your session had ended");
    customer().get(&slip).await.says("value=\"salary\"");
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_yours_look_the_same() {
    let unknown = uuid::Uuid::nil();
    let account = everyday();
    for path in [
        "/no-such-page".to_owned(),
        "/accounts/not-an-id".to_owned(),
        format!("/accounts/{unknown}"),
        format!("/accounts/{account}/dance"),
        format!("/accounts/{account}/limit"),
        format!("/accounts/{account}/unfreeze"),
        format!("/accounts/{account}/reverse?event={}", event_id(39)),
        format!("/transfers/{unknown}"),
        format!("/timeline/account-{unknown}"),
        format!("/timeline/event/{unknown}"),
        "/trial-balance".to_owned(),
    ] {
        customer().get(&path).await.is(StatusCode::NOT_FOUND).says("There is nothing at this address");
    }
    customer().get("/").await.does_not_say("Trial balance");
    admin().get("/").await.says("Trial balance");
}

#[tokio::test]
async fn faults_have_their_status_and_say_what_is_safe() {
    let broken = customer().at(Ledger::Broken).get("/").await;
    broken.is(StatusCode::INTERNAL_SERVER_ERROR).says("err-1").says("nothing you sent has been lost");
    let busy = customer().at(Ledger::Busy).get("/transfers").await;
    busy.is(StatusCode::SERVICE_UNAVAILABLE).says("Try again");
    assert_eq!(busy.headers["retry-after"], "7");
    customer().get("/timeline?stream=nonsense").await.is(StatusCode::BAD_REQUEST).says("this is no stream");
}

#[tokio::test]
async fn the_overview_lists_accounts_and_shows_what_all_come_to() {
    let page = customer().get("/").await;
    page.says("<title>Accounts · CZK 48,120.00 · Daybook</title>").says("CZK in 140 accounts").says("EUR in 1 account");
    page.says("Holiday &lt;b&gt;").says("Latest movements").says("as of position 1,046").says("aria-current=\"page\"");
}

#[tokio::test]
async fn all_accounts_are_listed_in_pages_and_admins_look_for_someones() {
    customer().get("/accounts").await.says("Holiday &lt;b&gt;").does_not_say("name=\"owner\"");
    let of = async |email: &str| admin().get(&format!("/accounts?owner={email}")).await;
    of("marie@example.org").await.says("Holiday &lt;b&gt;").says("value=\"marie@example.org\"");
    of("nobody@example.org").await.says("Nobody with the address nobody@example.org").does_not_say("Holiday");
    admin().get("/").await.says("href=\"/accounts\"");
}

#[tokio::test]
async fn where_events_are_stored_is_a_technical_detail_to_customers() {
    let feed = customer().get("/timeline").await;
    feed.says(">About</th>").does_not_say(">Position</th>").does_not_say(">Stream</th>");
    feed.says("Technical details").says("as of position");
    let feed = admin().get("/timeline").await;
    feed.says(">Position</th>").says(">Stream</th>").does_not_say(">About</th>").does_not_say("Technical details");
}

#[tokio::test]
async fn there_is_no_way_past_the_ends_of_a_stream() {
    let address = format!("/timeline/account-{}", everyday());
    let first = customer().get(&format!("{address}?at=1")).await;
    first.says("href=\"?at=2\"").does_not_say("href=\"?at=0\"").says("aria-disabled=\"true\"");
}

#[tokio::test]
async fn empty_views_say_what_will_be_there_and_the_way_to_it() {
    let nobody = customer().at(Ledger::Empty);
    nobody.get("/").await.is(StatusCode::OK).says("Nothing here yet").says("Open an account");
    nobody.get("/transfers").await.says("Nothing here yet").does_not_say("<table");
    nobody.get("/timeline").await.says("Nothing here yet");
    admin().at(Ledger::Empty).get("/trial-balance").await.says("Nothing here yet");
    customer().get("/timeline?kind=account.account_closed").await.says("Nothing like that");
    let path = format!("/accounts/{}?q=zebra", everyday());
    customer().get(&path).await.says("No entry says “zebra”");
    let account = format!("/accounts/{}", everyday());
    let page = nobody.get(&account).await;
    page.says("No entries yet").says("Pay money in").says(&format!("href=\"{account}/deposit\""));
    nobody.get(&format!("{account}/deposit")).await.says("No entries yet").does_not_say("Pay money in");
    customer().get(&account).await.does_not_say("No entries yet");
}

#[tokio::test]
async fn r5_a_page_that_is_behind_says_so() {
    let page = customer().at(Ledger::Behind).get("/").await;
    page.is(StatusCode::OK).says("Stored, not visible here yet. The view is 3 events behind.");
    customer().get("/").await.does_not_say("not visible here yet");
}

#[tokio::test]
async fn an_account_shows_balance_chart_and_statement() {
    let page = customer().get(&format!("/accounts/{}", everyday())).await;
    page.says("<title>Everyday account · CZK 13,480.00 · Daybook</title>").says("12,480.00").says("1,000.00");
    page.says("Balance at the end of each day").says("+9,300.00").says("salary").says("November 2026");
    page.says("Statement of Everyday account, printed 22 Nov 2026").says("as of entry 40.");
    page.says("Older entries").says("statement.csv").says("/freeze").does_not_say("/limit\"");
    let older = customer().get(&format!("/accounts/{}?after=36&by=date", everyday())).await;
    older.says("?by=date\">Newest</a>").does_not_say("Older entries").says("name=\"by\" value=\"date\"");
}

#[tokio::test]
async fn slips_work_as_plain_forms_and_show_refusals_beside_their_field() {
    let slip = format!("/accounts/{}/withdraw", everyday());
    let page = customer().get(&slip).await;
    page.says("action=\"/api/fn/withdraw_money\"").says("name=\"command_id\" value=\"0").says("max=\"2026-11-22\"");
    page.does_not_say("data-refused");

    let refusal = app::api::AppError::Rejected {
        rejection: app::domain::Rejection::InsufficientFunds { requested: 2_000_000, available: 1_248_000 },
    };
    let url = ServerFnUrlError::new("/api/fn/withdraw_money", refusal);
    let url = url.to_url("http://x/").expect("an address");
    let page = customer().get(&format!("{slip}?{}&amount=20000", url.query().expect("a query"))).await;
    page.says("data-refused").says("Not enough: 20,000.00 asked, 12,480.00 available.").says("value=\"20000\"");
    // It is about that form only.
    let other = format!("/accounts/{}/deposit?{}", everyday(), url.query().expect("a query"));
    customer().get(&other).await.does_not_say("Not enough");
}

#[tokio::test]
async fn a_transfer_offers_own_accounts_of_the_same_currency_and_any_other_by_id() {
    let page = customer().get(&format!("/accounts/{}/transfer", everyday())).await;
    page.says("Savings · CZK 34,640.00")
        .does_not_say("Holiday &lt;b&gt; ·")
        .says("Another account, by its id")
        .says("name=\"to_id\"");
}

#[tokio::test]
async fn an_event_leads_to_its_moment() {
    let moment = format!("/timeline/account-{}?at=38", everyday());
    customer().get(&format!("/timeline/event/{}", event_id(38))).await.sends_to(&moment);
    let page = customer().get(&moment).await;
    page.says("Entry 38 of 40")
        .says("Deposited 9,300.00 CZK")
        .does_not_say("</script>\"")
        .does_not_say("Reverse entry");
    admin().get(&moment).await.says("Reverse entry 38").says("/reverse?event=");
}

#[tokio::test]
async fn without_javascript_a_moment_says_what_changed_and_the_state_then_however_many_events_led_to_it() {
    let page = customer().get(&format!("/timeline/account-{}?at=38", everyday())).await;
    // Opened, and 37 times 9,300.00: read in pages of 16 here.
    page.says("<td class=\"was\">334,800.00</td>").says("344,100.00").says("+9,300.00");
    page.says("Together with")
        .says("/timeline?correlation=")
        .says("Because of")
        .says(&format!("/timeline/event/{}", event_id(37)));
    page.does_not_say("#39").says("#1<");
    let first = customer().get(&format!("/timeline/account-{}?at=1", everyday())).await;
    first.says("Not there yet").says("Entry 1 of 40").does_not_say("#2<");
}

#[tokio::test]
async fn an_admin_is_told_whose_an_account_is_and_a_customer_needs_not_be() {
    let page = format!("/accounts/{}", everyday());
    for path in ["/", &page] {
        admin().get(path).await.says("title=\"marie@example.org\">Marie Nováková");
        customer().get(path).await.does_not_say("marie@example.org");
    }
}

#[tokio::test]
async fn after_a_plain_form_the_page_says_what_happened_and_links_do_not_carry_it_on() {
    let done = format!("__done={}", event_id(40));
    let page = customer().get(&format!("/accounts/{}?{done}", everyday())).await;
    page.says("Deposited 9,300.00 CZK.").says("salary &lt;/script&gt;");
    assert_eq!(page.text.matches("__done").count(), 0, "{}", page.text);
    let unknown = format!("__done={}", uuid::Uuid::nil());
    customer().get(&format!("/?{unknown}")).await.is(StatusCode::OK);
}

#[tokio::test]
async fn filters_stand_in_the_address_and_come_off_one_by_one() {
    let path = format!("/timeline?kind=account.money_deposited&stream=account-{}&q=rent", everyday());
    let page = customer().get(&path).await;
    page.says("class=\"chip\"").says("deposits").says("“rent”");
    page.says(&format!("href=\"/timeline?kind=account.money_deposited&amp;stream=account-{}\"", everyday()));
    page.says("after=1041").says("Older events");
}

#[tokio::test]
async fn the_trial_balance_shows_both_sides() {
    let page = admin().get("/trial-balance").await;
    page.says("Equal at position 1,046").says("2,148,120.50").says("2,151,320.50").says("<strong>CZK</strong>");
}

#[tokio::test]
async fn theme_and_plain_http_are_said_on_the_page() {
    let dark = Visitor { theme: Some(Theme::Dark), insecure: true, ..customer() };
    dark.get("/").await.says("data-theme=\"dark\"").says("This connection is not encrypted");
    customer().get("/").await.does_not_say("data-theme=").does_not_say("not encrypted");
}

#[tokio::test]
async fn a_statement_downloads_as_csv_oldest_first() {
    let queries = Arc::new(Fake(Ledger::Full));
    let me = viewer(vec![Role::Customer]);
    let answer = app::pages::statement_csv(queries.clone(), me.clone(), everyday(), Freshness::default()).await;
    let (head, body) = answer.expect("a download").into_parts();
    assert_eq!(head.headers["content-type"], "text/csv; charset=utf-8");
    let text = String::from_utf8(body.collect().await.expect("a body").to_bytes().to_vec()).expect("UTF-8");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 6, "{text}");
    assert!(lines[0].starts_with("entry,date,type,"));
    assert!(lines[1].starts_with("36,2026-11-12,withdrawal,pharmacy,,-129.00,21051.00,CZK,"));
    assert!(lines[4].contains("\"rent, November\""));
    let unknown = app::domain::AccountId(uuid::Uuid::nil());
    let refused = app::pages::statement_csv(queries, me, unknown, Freshness::default()).await;
    assert_eq!(refused.err(), Some(app::api::AppError::NotFound));
}
