//! The parts of a page that are alive in the browser. Everything else is rendered by the server alone.
//!
//! There is one island, [`LivePart`], behind all components of this module; what is in it is a [`Part`]: a model that is
//! drawn as markup by the same code on both sides. In the browser it goes on from the position that the page was rendered
//! at: news changes the model, it is drawn again, and what differs is changed in the page, element by element, so that
//! focus and scrolling stay.
//!
//! What runs in the browser is kept small, for it is loaded before a page comes alive: no view of Leptos' own in an island,
//! no serde ([`crate::wire::Json`] reads models and rows), no sorting, no tables of Unicode, no `{:?}`.
//!
//! Forms and copy buttons need no island: the page's `LiveState` makes all of them better from outside.

pub mod accounts;
pub mod chart;
#[cfg(feature = "hydrate")]
mod dom;
pub mod events;
#[cfg(feature = "hydrate")]
mod forms;
pub mod html;
mod ledger;
#[cfg(feature = "hydrate")]
mod manners;
#[cfg(feature = "ssr")]
mod parts;
#[cfg(feature = "hydrate")]
mod session;
pub mod statement;
pub mod status;
pub mod time_machine;
pub mod transfers;
pub mod trial_balance;
#[cfg(feature = "hydrate")]
mod way;

use leptos::prelude::*;

#[cfg(feature = "hydrate")]
use crate::wire::FromJson as _;
#[cfg(feature = "ssr")]
pub use ledger::mark_icon;
pub use ledger::short_id;
#[cfg(feature = "ssr")]
pub use parts::*;

use self::html::Html;
use crate::{
    domain::AccountId,
    live::State,
    wire::{Json, LiveQuery, Position},
};

/// A part of a page: what it shows, how that changes, how it is drawn.
pub trait Part {
    /// What it wants to be told.
    fn follows(&self) -> Vec<LiveQuery>;
    fn draw(&self, html: &mut Html);

    /// Of the browser's tab, where the page has this part's.
    fn title(&self) -> Option<String> {
        None
    }

    // Each of these says whether there is something to draw again.

    fn on_rows(&mut self, _query: &str, _rows: Json<'_>, _reset: bool) -> bool {
        false
    }
    fn on_state(&mut self, _state: &State) -> bool {
        false
    }
    /// Everything on this page is shown up to here.
    fn on_seen(&mut self, _position: Position) -> bool {
        false
    }
    /// Every 20 s. `now`: microseconds since 1970.
    fn on_clock(&mut self, _now: i64) -> bool {
        false
    }
    /// Someone used the control marked `data-do="<what>"`; `value`: of an input.
    fn on_use(&mut self, _what: &str, _value: &str) -> bool {
        false
    }
    /// The position of the newest event that it keeps by itself.
    fn reach(&self) -> u64 {
        0
    }
    /// In the browser, once it is there.
    #[cfg(feature = "hydrate")]
    fn begin(&self, _stage: &std::rc::Rc<dom::Stage>) {}
}

/// The title of a page, as the browser's tab has it.
pub fn document_title(title: &str) -> String {
    format!("{title} · Daybook")
}

/// Names of the accounts that the viewer sees, where others have only an id.
pub type Names = Vec<(AccountId, String)>;

/// The account's name if the viewer sees it, else its id, shortened.
fn name_of(names: &Names, id: AccountId) -> String {
    names.iter().find(|(known, _)| *known == id).map_or_else(|| short_id(&id.to_string()), |(_, name)| name.clone())
}

/// The one island. `children`: a part, as markup that says what it is (`data-part`, `data-model`, `data-position`).
///
/// It has no props, which Leptos would read with serde, and gives Leptos nothing to hydrate: a part draws itself.
#[island]
pub fn LivePart(children: Children) -> impl IntoView {
    #[cfg(feature = "hydrate")]
    {
        drop(children);
        dom::Stage::mount_next();
        leptos::tachys::html::InertElement::new("")
    }
    #[cfg(not(feature = "hydrate"))]
    children()
}

/// Reads parts of some kinds: kind and model. `None`: of another kind, or from another version of the server.
#[cfg(feature = "hydrate")]
pub type ReadPart = fn(&str, Json<'_>) -> Option<Box<dyn Part>>;

#[cfg(feature = "hydrate")]
thread_local! {
    static READERS: std::cell::Cell<&'static [ReadPart]> = const { std::cell::Cell::new(&[]) };
}

/// Says which parts this module brings to life. What is not named here is not in the module.
#[cfg(feature = "hydrate")]
pub fn begin(readers: &'static [ReadPart]) {
    READERS.set(readers);
}

#[cfg(feature = "hydrate")]
fn read(kind: &str, model: &str) -> Option<Box<dyn Part>> {
    let model = Json::parse(model)?;
    READERS.get().iter().find_map(|read| read(kind, model))
}

/// What a part is called in the markup.
#[cfg(feature = "ssr")]
trait Kind {
    const KIND: &'static str;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $group:ident { $($kind:literal $part:ty;)* })*) => {
        $(
            $(#[$doc])*
            #[cfg(feature = "hydrate")]
            pub fn $group(kind: &str, model: Json<'_>) -> Option<Box<dyn Part>> {
                Some(match kind {
                    $($kind => Box::new(<$part>::from_json(model)?),)*
                    _ => return None,
                })
            }
        )*

        $($(#[cfg(feature = "ssr")]
        impl Kind for $part {
            const KIND: &'static str = $kind;
        })*)*
    };
}

kinds! {
    /// Of every page.
    frame {
        "state" status::LiveState;
        "offline" status::OfflineNote;
        "theme" status::ThemeSwitch;
        "as-of" status::AsOf;
    }
    /// Of the pages of the ledger.
    ledger {
        "account" accounts::AccountHead;
        "totals" accounts::AccountTotals;
        "accounts" accounts::AccountRows;
        "chart" chart::BalanceChart;
        "statement" statement::StatementRows;
        "latest" statement::LatestRows;
        "transfers" transfers::TransferRows;
        "transfer" transfers::TransferPage;
        "trial-balance" trial_balance::TrialBalanceLines;
        "events" events::EventRows;
    }
    /// Of the page of one stream.
    timeline {
        "time-machine" time_machine::TimeMachine;
    }
}
