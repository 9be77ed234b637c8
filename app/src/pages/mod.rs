//! The pages, one a file: each reads what it shows through the query port, in one go, and says it in words.
//!
//! Every page is for someone signed in (but the sign-in page), waits briefly for what this browser has already seen
//! (R5), and answers with the right status. What one may not see is the not-found page, like what does not exist.

mod account;
mod accounts;
mod csv;
mod fault;
mod fields;
mod frame;
mod open_account;
mod overview;
mod profile;
mod refusal;
mod sign_in;
mod slip;
mod timeline;
mod transfers;
mod trial_balance;
mod visit;

use leptos::prelude::*;

pub use account::{account, slip};
pub use accounts::accounts;
pub use csv::statement_csv;
pub use open_account::open_account;
pub use overview::overview;
pub use profile::profile;
pub use sign_in::sign_in;
pub use timeline::{event, stream, timeline};
pub use transfers::{transfer, transfers};
pub use trial_balance::trial_balance;
pub use visit::patience;

use crate::api::AppError;

use frame::{Nav, Sheet};
use visit::{Asked, Visit, show};

/// The not-found page.
pub fn nothing_here() -> AnyView {
    show(|_| async { Err(AppError::NotFound) })
}

/// Where a page is: the pages above it by address and name, and the page itself where it is none of these.
fn crumbs(above: &[(&str, &str)], here: Option<&str>) -> AnyView {
    let above = above.iter().map(|(href, name)| {
        let (href, name) = ((*href).to_owned(), (*name).to_owned());
        view! {
            <li>
                <a href=href>{name}</a>
            </li>
        }
    });
    view! {
        <nav aria-label="Where this is">
            <ol class="crumbs">{above.collect_view()} {here.map(|here| view! { <li>{here.to_owned()}</li> })}</ol>
        </nav>
    }
    .into_any()
}

/// Newest and older. `turned`: not on the first page. `next`: where the next page starts, and what to call it.
fn paging(asked: &Asked, label: &'static str, turned: bool, next: Option<(&str, &'static str)>) -> Option<AnyView> {
    (turned || next.is_some()).then(|| {
        let newest = asked.with(&[("after", None)]);
        let older = next.map(|(next, words)| view! { <a href=asked.with(&[("after", Some(next))])>{words}</a> });
        view! {
            <nav class="paging" aria-label=label>
                {if turned {
                    view! { <a href=newest>"Newest"</a> }.into_any()
                } else {
                    view! { <span>"Newest"</span> }.into_any()
                }} {older}
            </nav>
        }
        .into_any()
    })
}
