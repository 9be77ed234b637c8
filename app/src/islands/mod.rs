//! The parts of a page that are alive in the browser. Everything else is rendered by the server alone.
//!
//! There is one island, [`LivePart`], behind all components of this module; what is in it is a [`Part`]: a model that is drawn as markup by the same code on
//! both sides. In the browser it goes on from the position that the page was rendered at: news changes the model, it is
//! drawn again, and what differs is changed in the page, element by element, so that focus and scrolling stay.
//!
//! Why not a view of Leptos' own in each island: the same parts so written made a module of 211 KB (brotli).
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
#[cfg(feature = "ssr")]
mod parts;
#[cfg(feature = "hydrate")]
mod session;
pub mod statement;
pub mod status;
pub mod time_machine;
pub mod transfers;
pub mod trial_balance;

use leptos::prelude::*;

#[cfg(feature = "ssr")]
pub use ledger::mark_icon;
pub use ledger::short_id;
#[cfg(feature = "ssr")]
pub use parts::*;

use self::html::Html;
use crate::{
    domain::AccountId,
    live::State,
    wire::{LiveQuery, Position},
};

/// A part of a page: what it shows, how that changes, how it is drawn.
pub trait Part {
    /// What it wants to be told.
    fn follows(&self) -> Vec<LiveQuery>;
    fn draw(&self, html: &mut Html);

    // Each of these says whether there is something to draw again.

    fn on_rows(&mut self, _query: &str, _json: &str, _reset: bool) -> bool {
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

/// Names of the accounts that the viewer sees, where others have only an id.
pub type Names = Vec<(AccountId, String)>;

/// The account's name if the viewer sees it, else its id, shortened.
fn name_of(names: &Names, id: AccountId) -> String {
    names.iter().find(|(known, _)| *known == id).map_or_else(|| short_id(&id.to_string()), |(_, name)| name.clone())
}

/// The one island. `model`: a part of this `kind`, as JSON; `children`: what it looks like at `position`.
#[island]
pub fn LivePart(children: Children, kind: String, model: String, position: Position) -> impl IntoView {
    #[cfg(feature = "hydrate")]
    if let Some(part) = read(&kind, &model) {
        dom::Stage::mount(&element_id(&kind), part, position);
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = (kind, model, position);
    children()
}

/// On a page there is one part of a kind at most.
fn element_id(kind: &str) -> String {
    format!("live-{kind}")
}

macro_rules! kinds {
    ($($kind:literal: $part:ty;)*) => {
        /// A part from its model. `None`: from another version of the server.
        #[cfg(feature = "hydrate")]
        fn read(kind: &str, model: &str) -> Option<Box<dyn Part>> {
            match kind {
                $($kind => serde_json::from_str::<$part>(model).ok().map(|part| Box::new(part) as Box<dyn Part>),)*
                _ => None,
            }
        }

        $(#[cfg(feature = "ssr")]
        impl Kind for $part {
            const KIND: &'static str = $kind;
        })*
    };
}

/// What [`LivePart`] calls it.
#[cfg(feature = "ssr")]
trait Kind {
    const KIND: &'static str;
}

kinds! {
    "state": status::LiveState;
    "offline": status::OfflineNote;
    "theme": status::ThemeSwitch;
    "account": accounts::AccountHead;
    "totals": accounts::AccountTotals;
    "accounts": accounts::AccountRows;
    "chart": chart::BalanceChart;
    "statement": statement::StatementRows;
    "latest": statement::LatestRows;
    "transfers": transfers::TransferRows;
    "transfer": transfers::TransferPage;
    "trial-balance": trial_balance::TrialBalanceLines;
    "events": events::EventRows;
    "time-machine": time_machine::TimeMachine;
}
