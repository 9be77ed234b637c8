//! One stream's life: the moment asked for, what it changed and the state then, replayed here; the island that replays the
//! whole stream in the browser takes its place there.

use leptos::prelude::*;

use crate::{
    api::AppError,
    components::{Icon, icon, id_copied},
    domain::{AccountId, EventId, TransferId, account::AccountEvent},
    islands::{OfflineNote, TimeMachine, time_machine::Still},
    links,
    ports::EventsFilter,
    wire::{Event, EventView, StreamId, StreamKind, Version, decode},
};

use super::{
    super::{crumbs, slip::Slip},
    Nav, Sheet, Visit,
};

/// Events read at a time.
const PAGE: u32 = 500;

pub(super) async fn page(visit: Visit) -> Result<Sheet, AppError> {
    let stream: StreamId = visit.asked.param("stream")?;
    let at = visit.asked.query("at").map(|text| text.parse::<Version>()).transpose();
    let at = at.map_err(|_| AppError::invalid("at", "this is no version"))?;
    let all = EventsFilter { stream: Some(stream), ..EventsFilter::default() };
    let newest = EventsFilter { limit: 1, ..all.clone() };
    let seen = visit.queries.events(&visit.viewer, newest, visit.fresh()).await?;
    let last = seen.value.items.first().ok_or_else(|| AppError::absent(seen.stale))?.version;
    // Past the end is the end.
    let at = at.map(|at| Version(at.0.clamp(1, last.0)));
    let here = at.unwrap_or(last);
    let mut still = Still::default();
    let mut shown = None;
    walk(&visit, EventsFilter { up_to: Some(here), ..all.clone() }, |event| {
        if event.version <= here {
            shown = Some(event.clone());
            still.take(event);
        }
    })
    .await?;
    let event = shown.ok_or(AppError::NotFound)?;
    if reversible(&event) {
        let reversals = EventsFilter { event_type: Some("account.entry_reversed".to_owned()), ..all };
        walk(&visit, reversals, |later| {
            if reversed(&later) == Some(event.event_id) {
                still.reversed_by = Some(later.version);
            }
        })
        .await?;
    }
    let name = name(&visit, stream).await?;
    let (position, locale) = (seen.position, visit.locale);
    let body = view! {
        <OfflineNote />
        {match link(stream) {
            Some(href) => crumbs(&[("/timeline", "Timeline"), (&href, &name)], None),
            None => crumbs(&[("/timeline", "Timeline")], Some(&name)),
        }}
        <div class="head">
            <div class="head-text">
                <h1>{name.clone()}</h1>
                <p class="small">{stream.kind.name()} " " {id_copied(stream.id.to_string())}</p>
            </div>
            {reverse(&visit, &event, still.reversed_by)}
        </div>
        <TimeMachine stream nostrip:at=at still last position locale />
    };
    Ok(Sheet {
        title: match at {
            Some(at) => format!("{name} at #{at} · Timeline"),
            None => format!("{name} · Timeline"),
        },
        nav: Nav::Timeline,
        looks: true,
        shown: Some((&seen).into()),
        ..Sheet::of(body.into_any())
    })
}

/// All events that pass the filter, oldest first, a page at a time.
async fn walk(visit: &Visit, filter: EventsFilter, mut each: impl FnMut(EventView)) -> Result<(), AppError> {
    let mut filter = EventsFilter { ascending: true, limit: PAGE, ..filter };
    loop {
        let page = visit.queries.events(&visit.viewer, filter.clone(), visit.fresh()).await?.value;
        filter.after = page.items.last().map(|event| event.position);
        page.items.into_iter().for_each(&mut each);
        if page.next.is_none() {
            return Ok(());
        }
    }
}

/// What the stream is about, by name where it has one.
async fn name(visit: &Visit, stream: StreamId) -> Result<String, AppError> {
    match stream.kind {
        StreamKind::Account => {
            let account = visit.queries.account(&visit.viewer, AccountId(stream.id), visit.fresh()).await;
            match account {
                Ok(account) => Ok(account.value.name),
                // The list of accounts may be behind the feed.
                Err(AppError::NotFound | AppError::Unavailable { .. }) => Ok("Account".to_owned()),
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

fn reversible(event: &EventView) -> bool {
    matches!(event.event_type.as_str(), "account.money_deposited" | "account.money_withdrawn")
}

/// The entry that this event undoes.
fn reversed(event: &EventView) -> Option<EventId> {
    match decode(&event.event_type, event.schema, event.payload.as_bytes()) {
        Ok(Event::Account(AccountEvent::EntryReversed { event_id, .. })) => Some(event_id),
        Ok(_) | Err(_) => None,
    }
}

/// A mistake is corrected by another event, once: admins get the way to it.
fn reverse(visit: &Visit, event: &EventView, reversed_by: Option<Version>) -> Option<impl IntoView + use<>> {
    let href = format!("{}?event={}", Slip::Reverse.address(AccountId(event.stream.id)), event.event_id);
    (reversible(event) && reversed_by.is_none() && visit.viewer.is_admin()).then(|| {
        view! {
            <a class="button" href=href>
                {icon(Icon::Undo)}
                {format!("Reverse entry {}", event.version)}
            </a>
        }
    })
}
