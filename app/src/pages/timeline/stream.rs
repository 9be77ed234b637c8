//! One stream's life. What stands here is the moment asked for, as stored, and the entries around it; the island that
//! replays the stream in the browser takes its place there.

use leptos::prelude::*;

use crate::{
    api::AppError,
    components::{Icon, icon, id_copied, short_id},
    domain::{AccountId, TransferId},
    islands::{OfflineNote, TimeMachine},
    links,
    ports::EventsFilter,
    wire::{Actor, EventView, StreamId, StreamKind, Version, decode},
    words::{Said, say_event},
};

use super::{super::slip::Slip, Nav, Sheet, Visit};

/// Entries listed before the moment shown.
const AROUND: u32 = 50;

pub(super) async fn page(visit: Visit) -> Result<Sheet, AppError> {
    let stream: StreamId = visit.asked.param("stream")?;
    let at = visit.asked.query("at").map(|text| text.parse::<Version>()).transpose();
    let at = at.map_err(|_| AppError::invalid("at", "this is no version"))?;
    let read = |up_to, limit| {
        let filter = EventsFilter { stream: Some(stream), up_to, limit, ..EventsFilter::default() };
        visit.queries.events(&visit.viewer, filter, visit.fresh())
    };
    let newest = read(None, 1).await?;
    let last = newest.value.items.first().ok_or(AppError::NotFound)?.version;
    // Past the end is the end.
    let at = at.map(|at| Version(at.0.clamp(1, last.0)));
    let seen = read(at, AROUND).await?;
    let event = seen.value.items.first().ok_or(AppError::NotFound)?;
    let name = name(&visit, stream).await?;
    let me = (visit.viewer.user_id, visit.viewer.name.clone());
    let (position, locale) = (seen.position, visit.locale);
    let shown = moment(&visit, event, last, &seen.value.items);
    let body = view! {
        <OfflineNote />
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
            {reverse(&visit, event)}
        </div>
        <TimeMachine stream nostrip:at=at me position locale>
            {shown}
        </TimeMachine>
    };
    Ok(Sheet {
        title: match at {
            Some(at) => format!("{name} at #{at} · Timeline"),
            None => format!("{name} · Timeline"),
        },
        nav: Nav::Timeline,
        replays: true,
        shown: Some((&seen).into()),
        ..Sheet::of(body.into_any())
    })
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

fn moment(visit: &Visit, event: &EventView, last: Version, entries: &[EventView]) -> AnyView {
    let locale = visit.locale;
    let Said { mark, text, note } = said(visit, event);
    let at = event.version;
    let step = |to: u64, word: &'static str| {
        let there = (1..=last.0).contains(&to);
        let href = there.then(|| links::moment(event.stream, Version(to)));
        view! {
            <a class="button" href=href aria-disabled=(!there).then_some("true")>
                {word}
            </a>
        }
    };
    let rows = entries.iter().map(|entry| row(visit, entry, at)).collect_view();
    let fact = |name: &'static str, value: String| {
        view! {
            <div>
                <dt>{name}</dt>
                <dd>{value}</dd>
            </div>
        }
    };
    let by = actor(event);
    let cause = event.causation_id.map(|id| {
        view! {
            <div>
                <dt>"Because of"</dt>
                <dd>
                    <a class="id" href=format!("/timeline/event/{id}")>
                        {short_id(&id.to_string())}
                    </a>
                </dd>
            </div>
        }
    });
    let metadata = (!event.metadata.is_empty()).then(|| {
        view! {
            <details class="switch">
                <summary>"Metadata as stored"</summary>
                <pre class="json" tabindex="0">
                    {event.metadata.clone()}
                </pre>
            </details>
        }
    });
    view! {
        <div class="scrub-tools">
            {step(at.0.saturating_sub(1), "Back")} {step(at.0 + 1, "Next")}
            <output>{format!("Entry {at} of {last}")}</output>
            <time>{locale.format_moment(event.recorded_at)}</time>
        </div>
        <div class="section">
            <p class="said">
                <span class="mark" data-kind=mark.kind() inner_html=crate::islands::mark_icon(mark)></span>
                {text}
                {note.map(|note| view! { <span class="quiet">{format!(" · {note}")}</span> })}
            </p>
            <dl class="facts">
                {(!by.is_empty()).then(|| fact("By", by))} {fact("Recorded", locale.format_moment(event.recorded_at))}
                {fact("Position", locale.format_count(event.position.0))}
                {fact("Type", format!("{} · {}", event.event_type, event.schema))}
                <div>
                    <dt>"Hash"</dt>
                    <dd class="hash" title=event.hash.to_string()>
                        {short_hash(event)}
                    </dd>
                </div>
                <div>
                    <dt>"Together with"</dt>
                    <dd>
                        <a href=links::correlation(event.correlation_id)>"all that followed from the same command"</a>
                    </dd>
                </div>
                {cause}
            </dl>
            <details class="switch" open>
                <summary>"As stored"</summary>
                <pre class="json" tabindex="0">
                    {event.payload.clone()}
                </pre>
            </details>
            {metadata}
        </div>
        <section class="section">
            <div class="section-head">
                <h2>"Entries up to here"</h2>
            </div>
            <div class="ledger-wrap">
                <table class="ledger">
                    <caption class="sr">"Entries of this stream, newest first"</caption>
                    <thead>
                        <tr>
                            <th scope="col" class="ref">
                                "Entry"
                            </th>
                            <th scope="col">"What happened"</th>
                            <th scope="col" class="date">
                                "Recorded"
                            </th>
                            <th scope="col">"By"</th>
                            <th scope="col">"Hash"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    }
    .into_any()
}

fn row(visit: &Visit, entry: &EventView, here: Version) -> AnyView {
    let Said { mark, text, note } = said(visit, entry);
    let moment = links::moment(entry.stream, entry.version);
    view! {
        <tr class=(entry.version == here).then_some("here")>
            <td class="ref" data-cell="side">
                <a class="moment" href=moment.clone()>
                    {format!("#{}", entry.version)}
                </a>
            </td>
            <td class="what" data-cell="lead">
                <span class="mark" data-kind=mark.kind() inner_html=crate::islands::mark_icon(mark)></span>
                <a href=moment>{text}</a>
                {note.map(|note| (" ", view! { <span class="note">{note}</span> }))}
            </td>
            <td class="date" data-cell="sub">
                <time>{visit.locale.format_moment(entry.recorded_at)}</time>
            </td>
            <td class="quiet small">{actor(entry)}</td>
            <td class="hash" data-cell="end" title=entry.hash.to_string()>
                {short_hash(entry)}
            </td>
        </tr>
    }
    .into_any()
}

fn said(visit: &Visit, event: &EventView) -> Said {
    match decode(&event.event_type, event.schema, event.payload.as_bytes()) {
        Ok(read) => say_event(&read, event.currency, &visit.locale),
        // Written by a newer Daybook: its type is all that can be said.
        Err(_) => Said { mark: crate::words::Mark::Fix, text: event.event_type.clone(), note: None },
    }
}

fn actor(event: &EventView) -> String {
    match (&event.actor_name, event.actor) {
        (Some(name), _) => name.clone(),
        (None, Some(Actor::ProcessManager)) => "transfers".to_owned(),
        (None, Some(Actor::Operator)) => "operator".to_owned(),
        (None, Some(Actor::User(id))) => short_id(&id.to_string()),
        (None, None) => String::new(),
    }
}

fn short_hash(event: &EventView) -> String {
    let hash = event.hash.to_string();
    format!("{}…", &hash[..8])
}
