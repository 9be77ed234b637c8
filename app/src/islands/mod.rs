//! The parts of a page that are alive in the browser. Everything else is rendered by the server alone.
//!
//! There is one island, [`LivePart`]; what is in it is a [`Part`]: a model that is drawn as markup by the same code on
//! both sides. In the browser it goes on from the position that the page was rendered at: news changes the model, it is
//! drawn again, and what differs is changed in the page, element by element, so that focus and scrolling stay.
//!
//! Why not a view of Leptos' own in each island: the same parts so written made a module of 211 KB (brotli).
//!
//! Forms and copy buttons need no island: the page's [`LiveState`] makes all of them better from outside.

mod accounts;
#[cfg(feature = "hydrate")]
mod dom;
mod events;
#[cfg(feature = "hydrate")]
mod forms;
mod html;
mod ledger;
#[cfg(feature = "hydrate")]
mod session;
mod statement;
mod status;
mod time_machine;
mod transfers;

use leptos::prelude::*;

pub use accounts::{AccountHead, AccountRows, AccountTotals};
pub use events::{EventRows, Filter};
pub use html::Html;
pub use ledger::{mark_path, short_id};
pub use statement::{LatestRows, StatementRows};
pub use status::{LiveState, OfflineNote, ThemeSwitch};
pub use time_machine::TimeMachine;
pub use transfers::{TransferPage, TransferRows};

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
    ($($kind:literal: $part:ident;)*) => {
        /// A part from its model. `None`: from another version of the server.
        #[cfg(feature = "hydrate")]
        fn read(kind: &str, model: &str) -> Option<Box<dyn Part>> {
            match kind {
                $($kind => serde_json::from_str::<$part>(model).ok().map(|part| Box::new(part) as Box<dyn Part>),)*
                _ => None,
            }
        }

        $(#[cfg(feature = "ssr")]
        impl $part {
            /// As it goes into a page that shows `position`.
            pub fn into_page(self, position: Position) -> AnyView {
                into_page($kind, &self, &self, position)
            }
        })*
    };
}

kinds! {
    "state": LiveState;
    "offline": OfflineNote;
    "theme": ThemeSwitch;
    "account": AccountHead;
    "totals": AccountTotals;
    "accounts": AccountRows;
    "statement": StatementRows;
    "latest": LatestRows;
    "transfers": TransferRows;
    "transfer": TransferPage;
    "events": EventRows;
    "time-machine": TimeMachine;
}

#[cfg(feature = "ssr")]
fn into_page(kind: &str, part: &dyn Part, model: &impl serde::Serialize, position: Position) -> AnyView {
    let mut html = Html::default();
    part.draw(&mut html);
    let markup = html.into_string();
    let model = serde_json::to_string(model).unwrap_or_default();
    let (id, kind) = (element_id(kind), kind.to_owned());
    view! {
        <LivePart kind=kind model=model position=position>
            <div class="part" id=id inner_html=markup></div>
        </LivePart>
    }
    .into_any()
}
