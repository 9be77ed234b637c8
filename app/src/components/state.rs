//! States in a word with their dot, and the way of a transfer as five ticks.

use leptos::prelude::*;

use crate::{
    domain::account::{DeclineReason, Status},
    wire::TransferState,
    words,
};

/// A state in a word; `kind` is its `data-state`.
pub fn state(kind: &'static str, word: String) -> impl IntoView {
    view! { <span class="state" data-state=kind>{word}</span> }
}

/// The state of an account.
pub fn account_state(status: Status) -> impl IntoView {
    let kind = match status {
        Status::Absent | Status::Closed => "closed",
        Status::Open => "open",
        Status::Frozen => "frozen",
    };
    state(kind, words::account_status(status).to_owned())
}

/// How far a transfer came, of five steps: requested, held, promised, in transit, completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Track {
    /// The last step passed, 1 to 5.
    pub step: u8,
    /// The `data-state` of its word.
    pub kind: &'static str,
}

impl Track {
    /// A declined transfer stopped at the hold (the source refused) or at the promise (the destination did): the
    /// reason alone does not say which, so it is drawn at the promise.
    pub fn of(state: TransferState) -> Self {
        let (step, kind) = match state {
            TransferState::Requested => (1, "waiting"),
            TransferState::Held => (2, "held"),
            TransferState::Promised => (3, "waiting"),
            TransferState::InTransit => (4, "waiting"),
            TransferState::Completed => (5, "done"),
            TransferState::Declined => (3, "failed"),
        };
        Self { step, kind }
    }
}

/// The state of a transfer in a word.
pub fn transfer_badge(transfer: TransferState, reason: Option<DeclineReason>) -> impl IntoView {
    state(Track::of(transfer).kind, words::transfer_state(transfer, reason))
}

/// The way of a transfer, small, with its word.
pub fn track(transfer: TransferState, reason: Option<DeclineReason>) -> impl IntoView {
    let Track { step, kind } = Track::of(transfer);
    let passed = |at: u8| at < step || kind == "done";
    let lines = (1..5u8)
        .map(|at| {
            let (x1, x2) = (f32::from(at - 1) * 16.5 + 5.0, f32::from(at) * 16.5 + 5.0);
            view! { <line x1=x1.to_string() x2=x2.to_string() y1="5" y2="5" class=if passed(at) { "on" } else { "" } /> }
        })
        .collect_view();
    let dots = (1..=5u8)
        .map(|at| {
            let class = match (passed(at), at == step, kind) {
                (true, ..) => "on",
                (false, true, "failed") => "no",
                (false, true, _) => "now",
                (false, false, _) => "",
            };
            let x = f32::from(at - 1) * 16.5 + 2.0;
            view! { <rect x=x.to_string() y="2" width="6" height="6" rx="3" class=class /> }
        })
        .collect_view();
    view! {
        <span class="track">
            <svg viewBox="0 0 76 10" aria-hidden="true">{lines} {dots}</svg>
            {transfer_badge(transfer, reason)}
        </span>
    }
}
