//! The feed of events, newest first, filtered by what stands in the address; each filter is a chip that takes it off.

use leptos::prelude::*;

use crate::{
    api::AppError,
    components::short_id,
    domain::CommandId,
    islands::{EventRows, Names, OfflineNote, events::Filter},
    ports::EventsFilter,
    wire::{Position, StreamId},
};

use super::{Nav, Sheet, Visit, paging};

/// Events a page.
const EVENTS: u32 = 50;
/// Accounts offered as streams to choose from; any other stream can be searched for by its id.
const OFFERED: usize = 30;

/// The kinds of events, as people say them.
const KINDS: [(&str, &str); 21] = [
    ("account.account_opened", "Accounts opened"),
    ("account.money_deposited", "Deposits"),
    ("account.money_withdrawn", "Withdrawals"),
    ("account.entry_reversed", "Reversals"),
    ("account.overdraft_limit_changed", "Limits changed"),
    ("account.account_frozen", "Freezes"),
    ("account.account_unfrozen", "Unfreezes"),
    ("account.account_closed", "Accounts closed"),
    ("transfer.transfer_requested", "Transfers requested"),
    ("account.funds_held", "Funds held"),
    ("account.hold_declined", "Holds declined"),
    ("account.transfer_expected", "Promises"),
    ("account.transfer_declined", "Promises declined"),
    ("account.hold_captured", "Money left"),
    ("account.transfer_credited", "Money arrived"),
    ("account.hold_released", "Holds released"),
    ("transfer.transfer_completed", "Transfers completed"),
    ("transfer.transfer_failed", "Transfers declined"),
    ("session.session_ended", "Sign-outs"),
    ("session.user_sessions_ended", "All sessions ended"),
    ("projection.event_skipped", "Events skipped"),
];

/// What is asked for, read from the address.
struct Wanted {
    kind: Option<String>,
    stream: Option<StreamId>,
    together: Option<CommandId>,
    text: Option<String>,
    before: Option<Position>,
}

impl Wanted {
    fn read(visit: &Visit) -> Result<Self, AppError> {
        let asked = &visit.asked;
        let parse = |name: &str, message: &str| AppError::invalid(name, message);
        let stream = asked.query("stream").map(|text| text.parse::<StreamId>());
        let together = asked.query("correlation").map(|text| CommandId::parse(&text));
        let before = asked.query("after").map(|text| text.parse::<Position>());
        let mut wanted = Self {
            kind: asked.query("kind"),
            stream: stream.transpose().map_err(|_| parse("stream", "this is no stream"))?,
            together: together.transpose().map_err(|_| parse("correlation", "this is no command's id"))?,
            text: asked.query("q"),
            before: before.transpose().map_err(|_| parse("after", "this is no position"))?,
        };
        // A whole id in the search box names a stream.
        if let Some(stream) = wanted.text.as_ref().and_then(|text| text.parse::<StreamId>().ok()) {
            wanted.stream = Some(stream);
            wanted.text = None;
        }
        Ok(wanted)
    }

    fn all(&self) -> bool {
        self.kind.is_none() && self.stream.is_none() && self.together.is_none() && self.text.is_none()
    }
}

pub(super) async fn page(visit: Visit) -> Result<Sheet, AppError> {
    let wanted = Wanted::read(&visit)?;
    let filter = EventsFilter {
        event_type: wanted.kind.clone(),
        stream: wanted.stream,
        correlation: wanted.together,
        text: wanted.text.clone(),
        after: wanted.before,
        limit: EVENTS,
        ..EventsFilter::default()
    };
    let seen = visit.queries.events(&visit.viewer, filter, visit.fresh()).await?;
    let names = visit.names().await?;
    let (locale, position, now) = (visit.locale, seen.position, visit.request.now);
    let events = seen.value.clone();
    let turned = wanted.before.is_some();
    let next = seen.value.next.as_deref().map(|next| (next, "Older events"));
    let rows = if turned && events.items.is_empty() {
        no_older()
    } else {
        let filter = Filter {
            stream: wanted.stream,
            event_type: wanted.kind.clone(),
            correlation: wanted.together,
            text: wanted.text.clone(),
        };
        let names = (!visit.viewer.is_admin()).then(|| names.clone());
        let newest = visit.asked.with(&[("after", None)]);
        view! { <EventRows events position locale now live=!turned filter names newest /> }.into_any()
    };
    let body = view! {
        <OfflineNote />
        <div class="head">
            <div class="head-text">
                <h1>"Timeline"</h1>
                <p>
                    "Everything that happened, newest first. Nothing here is ever changed; a mistake is corrected by another \
                     event."
                </p>
            </div>
        </div>
        {filters(&visit, &wanted, &names)}
        {chips(&visit, &wanted, &names)}
        {rows}
        {paging(&visit.asked, "Pages of events", turned, next)}
    };
    Ok(Sheet {
        title: "Timeline".to_owned(),
        nav: Nav::Timeline,
        looks: true,
        shown: Some((&seen).into()),
        ..Sheet::of(body.into_any())
    })
}

fn filters(visit: &Visit, wanted: &Wanted, names: &Names) -> AnyView {
    let admin = visit.viewer.is_admin();
    let kinds = KINDS
        .iter()
        .filter(|(kind, _)| admin || !kind.starts_with("projection."))
        .map(|(kind, words)| {
            view! {
                <option value=*kind selected=wanted.kind.as_deref() == Some(*kind)>
                    {*words}
                </option>
            }
        })
        .collect_view();
    let streams = names
        .iter()
        .take(OFFERED)
        .map(|(id, name)| {
            let stream = StreamId::from(*id);
            view! {
                <option value=stream.to_string() selected=wanted.stream == Some(stream)>
                    {name.clone()}
                </option>
            }
        })
        .collect_view();
    // A stream that is not among those offered stays chosen.
    let other = wanted.stream.filter(|stream| names.iter().take(OFFERED).all(|(id, _)| StreamId::from(*id) != *stream));
    let other = other.map(|stream| {
        view! {
            <option value=stream.to_string() selected>
                {short_id(&stream.to_string())}
            </option>
        }
    });
    view! {
        <div class="filters">
            <form role="search" method="get" action="/timeline">
                <label class="tool-field">
                    "Kind " <select name="kind">
                        <option value="">"All"</option>
                        {kinds}
                    </select>
                </label>
                <label class="tool-field">
                    "Stream " <select name="stream">
                        <option value="">"All"</option>
                        {other}
                        {streams}
                    </select>
                </label>
                <label class="tool-field">
                    <span class="sr">"Text"</span>
                    <input type="search" name="q" placeholder="Words, or a stream’s id" value=wanted.text.clone() />
                </label>
                {wanted.together.map(|id| view! { <input type="hidden" name="correlation" value=id.to_string() /> })}
                <button class="button">"Show"</button>
            </form>
        </div>
    }
    .into_any()
}

fn chips(visit: &Visit, wanted: &Wanted, names: &Names) -> Option<AnyView> {
    let chip = |name: &str, words: String| {
        let without = visit.asked.with(&[(name, None), ("after", None)]);
        view! {
            <a class="chip" href=without title="Take this filter off">
                {words}
            </a>
        }
    };
    let kind = wanted.kind.as_ref().map(|kind| {
        let words = KINDS.iter().find(|(known, _)| known == kind).map_or(kind.as_str(), |(_, words)| words);
        chip("kind", words.to_lowercase())
    });
    let stream = wanted.stream.map(|stream| {
        let name = names.iter().find(|(id, _)| StreamId::from(*id) == stream).map(|(_, name)| name.clone());
        let parameter = if visit.asked.query("stream").is_some() { "stream" } else { "q" };
        chip(parameter, name.unwrap_or_else(|| short_id(&stream.to_string())))
    });
    let together =
        wanted.together.map(|id| chip("correlation", format!("together with {}", short_id(&id.to_string()))));
    let text = wanted.text.as_ref().map(|text| chip("q", format!("“{text}”")));
    (!wanted.all()).then(|| {
        view! {
            <div class="chips">
                <span class="quiet small">"Only"</span>
                {kind}
                {stream}
                {together}
                {text}
                <a class="small" href="/timeline">
                    "All events"
                </a>
            </div>
        }
        .into_any()
    })
}

fn no_older() -> AnyView {
    view! {
        <div class="empty">
            <div>
                <h2>"No older events"</h2>
                <p>"These were all."</p>
            </div>
        </div>
    }
    .into_any()
}
