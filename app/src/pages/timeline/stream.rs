//! One stream's life, replayed: by the server for the moment asked for, by the browser for every other.

use leptos::prelude::*;

use crate::{
    api::AppError,
    components::{Icon, icon, id_copied},
    domain::{AccountId, TransferId},
    islands::{OfflineNote, TimeMachine},
    links,
    ports::{EventsFilter, Freshness},
    wire::{EventView, Position, StreamId, StreamKind, Version},
};

use super::{super::slip::Slip, Nav, Sheet, Visit};

/// Longer streams are replayed in the browser only.
const LONGEST: u64 = 5000;
/// Events read at a time.
const BATCH: u32 = 500;

pub(super) async fn page(visit: Visit) -> Result<Sheet, AppError> {
    let stream: StreamId = visit.asked.param("stream")?;
    let at = visit.asked.query("at").map(|text| text.parse::<Version>()).transpose();
    let at = at.map_err(|_| AppError::invalid("at", "this is no version"))?;
    let newest = EventsFilter { stream: Some(stream), limit: 1, ..EventsFilter::default() };
    let seen = visit.queries.events(&visit.viewer, newest, visit.fresh()).await?;
    let last = seen.value.items.first().ok_or(AppError::NotFound)?.version;
    let events = if last.0 > LONGEST { Vec::new() } else { whole(&visit, stream, seen.position).await? };
    // Past the end is the end.
    let at = at.map(|at| Version(at.0.clamp(1, last.0)));
    let shown = at.unwrap_or(last);
    let event = events.iter().find(|event| event.version == shown);
    let reverse = event.and_then(|event| reverse(&visit, event));
    let too_long = events.is_empty();
    let name = name(&visit, stream).await?;
    let me = (visit.viewer.user_id, visit.viewer.name.clone());
    let (position, locale) = (seen.position, visit.locale);
    let body = view! {
        {OfflineNote::default().into_page(position)}
        <nav aria-label="Where this is">
            <ol class="crumbs">
                <li>
                    <a href="/timeline">"Timeline"</a>
                </li>
                <li>
                    {match link(stream) {
                        Some(href) => view! { <a href=href>{name.clone()}</a> }.into_any(),
                        None => name.clone().into_any(),
                    }}
                </li>
            </ol>
        </nav>
        <div class="head">
            <div class="head-text">
                <h1>{name.clone()}</h1>
                <p class="small">{stream.kind.name()} " " {id_copied(stream.id.to_string())}</p>
            </div>
            {reverse}
        </div>
        {too_long.then(|| long(&visit, stream, last))}
        {TimeMachine::new(stream, at, me, events, locale).into_page(position)}
    };
    Ok(Sheet {
        title: match at {
            Some(at) => format!("{name} at #{at} · Timeline"),
            None => format!("{name} · Timeline"),
        },
        nav: Nav::Timeline,
        shown: Some((&seen).into()),
        ..Sheet::of(body.into_any())
    })
}

/// All events of the stream, from the first on, as far as `seen`.
async fn whole(visit: &Visit, stream: StreamId, seen: Position) -> Result<Vec<EventView>, AppError> {
    let mut events = Vec::<EventView>::new();
    loop {
        let after = events.last().map(|event| event.position);
        let filter =
            EventsFilter { stream: Some(stream), after, limit: BATCH, ascending: true, ..EventsFilter::default() };
        let page = visit.queries.events(&visit.viewer, filter, Freshness::default()).await?.value;
        events.extend(page.items.into_iter().filter(|event| event.position <= seen));
        if page.next.is_none() {
            return Ok(events);
        }
    }
}

fn long(visit: &Visit, stream: StreamId, last: Version) -> AnyView {
    let words = format!(
        "{} entries: these are replayed in the browser, with JavaScript only. ",
        visit.locale.format_count(last.0)
    );
    view! {
        <noscript>
            <p>
                {words} <a href=format!("/timeline?stream={stream}")>"Read them one by one in the feed."</a>
            </p>
        </noscript>
    }
    .into_any()
}

/// What the stream is about, by name where it has one.
async fn name(visit: &Visit, stream: StreamId) -> Result<String, AppError> {
    match stream.kind {
        StreamKind::Account => {
            let account = visit.queries.account(&visit.viewer, AccountId(stream.id), visit.fresh()).await;
            match account {
                Ok(account) => Ok(account.value.name),
                // The list of accounts may be behind the feed.
                Err(AppError::NotFound) => Ok("Account".to_owned()),
                Err(error) => Err(error),
            }
        }
        StreamKind::Transfer => Ok("Transfer".to_owned()),
        StreamKind::Session => Ok("Session".to_owned()),
        StreamKind::User => Ok("Person".to_owned()),
        StreamKind::Projection => Ok("Projection".to_owned()),
    }
}

/// The page of what the stream is about.
fn link(stream: StreamId) -> Option<String> {
    match stream.kind {
        StreamKind::Account => Some(links::account(AccountId(stream.id))),
        StreamKind::Transfer => Some(links::transfer(TransferId(stream.id))),
        StreamKind::Session | StreamKind::User | StreamKind::Projection => None,
    }
}

/// A mistake is corrected by another event: admins get the way to it.
fn reverse(visit: &Visit, event: &EventView) -> Option<impl IntoView + use<>> {
    let reversible = matches!(event.event_type.as_str(), "account.money_deposited" | "account.money_withdrawn");
    let href = format!("{}?event={}", Slip::Reverse.address(AccountId(event.stream.id)), event.event_id);
    (reversible && visit.viewer.is_admin()).then(|| {
        view! {
            <a class="button" href=href>
                {icon(Icon::Undo)}
                {format!("Reverse entry {}", event.version)}
            </a>
        }
    })
}
