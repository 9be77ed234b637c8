//! Trial balance (admins): both sides of the book, per currency, read at one position.

use leptos::prelude::*;

use crate::{
    api::AppError,
    islands::{OfflineNote, TrialBalanceLines},
};

use super::{Nav, Sheet, Visit, show};

pub fn trial_balance() -> AnyView {
    show(page)
}

async fn page(visit: Visit) -> Result<Sheet, AppError> {
    let seen = visit.queries.trial_balance(&visit.viewer, visit.fresh()).await?;
    let (position, locale) = (seen.position, visit.locale);
    let body = view! {
        <OfflineNote />
        <TrialBalanceLines lines=seen.value.lines.clone() position locale />
    };
    Ok(Sheet {
        title: "Trial balance".to_owned(),
        nav: Nav::TrialBalance,
        looks: true,
        shown: Some((&seen).into()),
        ..Sheet::of(body.into_any())
    })
}
