//! The parts of a page that are alive in the browser. Everything else is rendered by the server alone.
//!
//! An island gets what it shows as props, in the state of `position`, and goes on from there by itself ([`crate::live`]).
//! Forms work without JavaScript; [`CommandForm`] makes them better around the same markup.

mod accounts;
mod events;
mod form;
mod ledger;
#[cfg(feature = "hydrate")]
mod session;
mod statement;
mod status;
mod time_machine;
mod transfers;

pub use accounts::{AccountHead, AccountRows, AccountTotals};
pub use events::EventRows;
pub use form::CommandForm;
pub use ledger::{mark_icon, short_id};
pub use statement::{LatestRows, StatementRows};
pub use status::{LiveState, OfflineNote, ThemeSwitch};
pub use time_machine::TimeMachine;
pub use transfers::{TransferPage, TransferRows};

use crate::domain::AccountId;

/// Names of the accounts that the viewer sees, where others have only an id.
pub type Names = Vec<(AccountId, String)>;

/// The account's name if the viewer sees it, else its id, shortened.
fn name_of(names: &Names, id: AccountId) -> String {
    names.iter().find(|(known, _)| *known == id).map_or_else(|| short_id(&id.to_string()), |(_, name)| name.clone())
}
