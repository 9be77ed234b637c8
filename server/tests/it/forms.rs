//! A browser without scripts: plain forms, cookies, and pages that show what was done.

use app::links::escape;
use reqwest::{Method, StatusCode, header};

use super::helpers::{Answer, App, PASSWORD, PATIENCE, answer};

/// Keeps cookies and says where it comes from, as browsers do.
struct Browser<'a> {
    app: &'a App,
    cookies: Vec<(String, String)>,
}

impl Browser<'_> {
    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = self.app.nobody().request(method, path).header(header::ACCEPT, "text/html,*/*;q=0.8");
        if cookies.is_empty() { request } else { request.header(header::COOKIE, cookies.join("; ")) }
    }

    async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    async fn submit(&mut self, from: &str, function: &str, fields: &[(&str, &str)]) -> Answer {
        let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        let request = self
            .request(Method::POST, &format!("/api/fn/{function}"))
            .header(header::ORIGIN, &self.app.url)
            .header("sec-fetch-site", "same-origin")
            .header(header::REFERER, format!("{}{from}", self.app.url))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(fields.join("&"));
        let answer = answer(request).await;
        for cookie in answer.headers.get_all(header::SET_COOKIE) {
            let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }
}

#[track_caller]
fn sent_to(answer: &Answer) -> &str {
    assert!(answer.status.is_redirection(), "{} {}", answer.status, answer.text);
    answer.headers[header::LOCATION].to_str().unwrap()
}

#[tokio::test]
async fn someone_signs_in_moves_money_sees_it_and_signs_out_without_a_script() {
    let app = App::spawn().await;
    app.add_person("anna@example.com", false).await;
    let mut browser = Browser { app: &app, cookies: Vec::new() };
    assert_eq!(sent_to(&browser.get("/").await).split('?').next(), Some("/sign-in"));

    let wrong = [("email", "anna@example.com"), ("password", "wrong horse battery")];
    let refused = browser.submit("/sign-in", "sign_in", &wrong).await;
    assert!(sent_to(&refused).contains("/sign-in") && browser.cookies.is_empty(), "{:?}", browser.cookies);
    let right = [("email", "anna@example.com"), ("password", PASSWORD)];
    assert_eq!(sent_to(&browser.submit("/sign-in", "sign_in", &right).await), "/");
    assert_eq!(browser.get("/").await.status, StatusCode::OK);

    let account = "0190f5fe-7c00-7a00-8000-000000000001";
    let page = format!("/accounts/{account}");
    let open = [
        ("command_id", "0190f5fe-7c00-7a00-8000-0000000000a1"),
        ("account_id", account),
        ("name", "Everyday"),
        ("currency", "CZK"),
        ("next", &page),
    ];
    let opened = browser.submit("/accounts/open", "open_account", &open).await;
    let told = browser.get(sent_to(&opened)).await;
    assert!(sent_to(&opened).starts_with(&page) && told.text.contains("Opened Everyday in CZK."), "{}", told.text);
    let deposit = [
        ("command_id", "0190f5fe-7c00-7a00-8000-0000000000a2"),
        ("account_id", account),
        ("currency", "CZK"),
        ("amount", "1,234.50"),
        ("description", "salary"),
        ("next", &page),
    ];
    let slip = format!("{page}/deposit");
    let first = browser.submit(&slip, "deposit_money", &deposit).await;
    let twice = browser.submit(&slip, "deposit_money", &deposit).await;
    assert_eq!(sent_to(&first), sent_to(&twice), "twice is once");
    let told = browser.get(sent_to(&first)).await;
    assert!(told.text.contains("<b>Deposited 1,234.50 CZK.</b>"), "{}", told.text);
    // R5: the browser has seen the deposit's position, so the page waits for it.
    assert!(browser.cookies.contains(&("daybook_seen".to_owned(), "2".to_owned())), "{:?}", browser.cookies);
    let shown = browser.get(&page).await;
    assert!(shown.text.contains("salary") && shown.text.contains("1,234.50"), "{}", shown.text);
    assert!(!shown.text.contains("2,469.00"), "{}", shown.text);

    let withdraw = [
        ("command_id", "0190f5fe-7c00-7a00-8000-0000000000a3"),
        ("account_id", account),
        ("currency", "CZK"),
        ("amount", "5000"),
        ("next", &page),
    ];
    let slip = format!("{page}/withdraw");
    let back = browser.submit(&slip, "withdraw_money", &withdraw).await;
    let told = sent_to(&back).trim_start_matches(&app.url).to_owned();
    assert!(told.starts_with(&slip), "{told}");
    let told = browser.get(&told).await;
    assert!(told.text.contains("1,234.50") && told.text.contains("5,000.00"), "{}", told.text);

    // One account chosen, another one's id typed before: money goes to neither.
    let other = "0190f5fe-7c00-7a00-8000-000000000002";
    let transfer = [
        ("command_id", "0190f5fe-7c00-7a00-8000-0000000000a4"),
        ("from", account),
        ("to", other),
        ("to_id", "0190f5fe-7c00-7a00-8000-000000000003"),
        ("currency", "CZK"),
        ("amount", "1"),
        ("next", &page),
    ];
    let slip = format!("{page}/transfer");
    let back = browser.submit(&slip, "request_transfer", &transfer).await;
    let told = sent_to(&back).trim_start_matches(&app.url).to_owned();
    assert!(told.starts_with(&slip), "{told}");
    assert!(browser.get(&told).await.text.contains("only one of them"));

    let token = browser.cookies.iter().find(|(name, _)| name == "daybook").unwrap().clone();
    browser.submit("/", "sign_out", &[]).await;
    assert_eq!(sent_to(&browser.get("/").await).split('?').next(), Some("/sign-in"));
    browser.cookies = vec![token];
    assert_eq!(
        sent_to(&browser.get("/").await).split('?').next(),
        Some("/sign-in"),
        "the token is void, not just gone"
    );
    app.stop().await;
}

#[tokio::test]
async fn an_admin_opens_an_account_for_someone_by_their_e_mail_and_a_customer_learns_nothing_by_it() {
    let app = App::spawn().await;
    app.add_person("anna@example.com", false).await;
    app.add_person("admin@example.com", true).await;
    let fields = |id: &'static str, owner: &'static str| {
        [("command_id", id), ("name", "Given"), ("currency", "CZK"), ("owner", owner), ("next", "/")]
    };
    let sign_in = async |email: &'static str| {
        let mut browser = Browser { app: &app, cookies: Vec::new() };
        browser.submit("/sign-in", "sign_in", &[("email", email), ("password", PASSWORD)]).await;
        browser
    };
    let (mut admin, mut anna) = (sign_in("admin@example.com").await, sign_in("anna@example.com").await);
    let given = fields("0190f5fe-7c00-7a00-8000-0000000000b1", " Anna@Example.com ");
    assert!(sent_to(&admin.submit("/accounts/open", "open_account", &given).await).starts_with("/?__done="));
    // Who people are comes to the read side by a way of its own.
    let since = std::time::Instant::now();
    while !admin.get("/").await.text.contains("title=\"anna@example.com\"") {
        assert!(since.elapsed() < PATIENCE, "the owner is not named");
    }
    let fresh = anna.cookies.iter().all(|(name, value)| name != "daybook_seen" || value == "0");
    assert!(fresh && anna.get("/").await.text.contains("Given"), "it is hers");

    let nobody = fields("0190f5fe-7c00-7a00-8000-0000000000b2", "nobody@example.com");
    let back = admin.submit("/accounts/open", "open_account", &nobody).await;
    let told = admin.get(sent_to(&back).trim_start_matches(&app.url)).await;
    assert!(told.text.contains("Nobody who can sign in has this e-mail address"), "{}", told.text);
    assert!(told.text.contains("value=\"nobody@example.com\""), "{}", told.text);

    for (id, owner) in [("c1", "admin@example.com"), ("c2", "nobody@example.com")] {
        let id = format!("0190f5fe-7c00-7a00-8000-0000000000{id}");
        let fields =
            [("command_id", id.as_str()), ("name", "Hers"), ("currency", "CZK"), ("owner", owner), ("next", "/")];
        let back = anna.submit("/accounts/open", "open_account", &fields).await;
        let told = anna.get(sent_to(&back).trim_start_matches(&app.url)).await;
        assert!(
            told.text.to_lowercase().contains("not a uuid"),
            "known or not, a customer is told the same: {}",
            told.text
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn a_form_that_is_not_whole_is_the_senders_fault() {
    let app = App::spawn().await;
    for body in ["", "x=1", "%ff"] {
        let request = app
            .nobody()
            .request(Method::POST, "/api/fn/deposit_money")
            .header(header::ORIGIN, &app.url)
            .header("sec-fetch-site", "same-origin")
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        let answer = answer(request).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {}", answer.text);
    }
    app.stop().await;
}
