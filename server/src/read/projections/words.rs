//! What an event says, in plain words, to be searched.

use app::{
    domain::{Currency, account::AccountEvent as A, format_amount, session::SessionEvent, transfer::TransferEvent},
    wire::{Envelope, Event},
};

use super::super::columns::word;

/// The event in lower case: what happened, amounts in the currency's plain form, texts, ids. No one's name is in it.
pub(super) fn search_text(envelope: &Envelope, event: &Event, currency: Option<Currency>) -> String {
    let kind = envelope.event_type.split_once('.').map_or(envelope.event_type.as_str(), |(_, name)| name);
    let mut text = Words(kind.replace('_', " "));
    match event {
        Event::Account(event) => account(&mut text, event, currency),
        Event::Transfer(TransferEvent::TransferRequested { from, to, amount, currency, description }) => {
            text.amount(*amount, Some(*currency));
            text.maybe(description.as_deref());
            text.add(from);
            text.add(to);
        }
        Event::Transfer(TransferEvent::TransferCompleted {}) => {}
        Event::Transfer(TransferEvent::TransferFailed { reason }) => text.plain(&word(reason)),
        Event::Session(SessionEvent::SessionEnded { user_id, .. }) => text.add(user_id),
        Event::Session(SessionEvent::UserSessionsEnded { user_id, reason }) => {
            text.plain(&word(reason));
            text.add(user_id);
        }
        Event::Projection(app::wire::ProjectionEvent::EventSkipped { projection, position, event_id, reason }) => {
            text.plain(projection);
            text.add(position);
            text.add(reason);
            text.add(event_id);
        }
    }
    text.add(envelope.stream);
    text.0.to_lowercase()
}

fn account(text: &mut Words, event: &A, currency: Option<Currency>) {
    match event {
        A::AccountOpened { owner: _, name, currency, overdraft_limit } => {
            text.add(name);
            if *overdraft_limit == 0 {
                text.add(currency);
            } else {
                text.amount(*overdraft_limit, Some(*currency));
            }
        }
        A::MoneyDeposited { amount, effective_on, description }
        | A::MoneyWithdrawn { amount, effective_on, description } => {
            text.amount(*amount, currency);
            text.maybe(description.as_deref());
            text.add(effective_on);
        }
        A::EntryReversed { event_id, direction: _, amount, effective_on, reason } => {
            text.amount(*amount, currency);
            text.add(reason);
            text.add(effective_on);
            text.add(event_id);
        }
        A::OverdraftLimitChanged { limit } => text.amount(*limit, currency),
        A::AccountFrozen { reason } => text.add(reason),
        A::AccountUnfrozen {} | A::AccountClosed {} => {}
        A::FundsHeld { transfer_id, to: other, amount, currency: _ }
        | A::TransferExpected { transfer_id, from: other, amount }
        | A::HoldCaptured { transfer_id, to: other, amount }
        | A::TransferCredited { transfer_id, from: other, amount } => {
            text.amount(*amount, currency);
            text.add(other);
            text.add(transfer_id);
        }
        A::HoldReleased { transfer_id, amount, reason } => {
            text.amount(*amount, currency);
            text.plain(&word(reason));
            text.add(transfer_id);
        }
        A::HoldDeclined { transfer_id, reason } => {
            text.plain(&word(reason));
            text.add(transfer_id);
        }
        A::TransferDeclined { transfer_id, from, reason } => {
            text.plain(&word(reason));
            text.add(from);
            text.add(transfer_id);
        }
    }
}

struct Words(String);

impl Words {
    fn add(&mut self, words: impl std::fmt::Display) {
        use std::fmt::Write as _;
        // Writing to a String does not fail.
        if write!(self.0, " {words}").is_err() {
            self.0.push(' ');
        }
    }

    fn maybe(&mut self, words: Option<&str>) {
        if let Some(words) = words {
            self.add(words);
        }
    }

    fn plain(&mut self, word: &str) {
        self.add(word.replace('_', " "));
    }

    fn amount(&mut self, minor: i64, currency: Option<Currency>) {
        match currency {
            Some(currency) => self.add(format_args!("{} {currency}", format_amount(minor, currency))),
            None => self.add(minor),
        }
    }
}
