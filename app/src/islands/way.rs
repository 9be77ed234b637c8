//! The way of a command that was sent from this page, as its sender sees it: sent, stored, visible here; and of a transfer
//! how far it has come, to its end.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use leptos::prelude::{document, set_timeout, window};
use web_sys::{Element, HtmlFormElement};

use super::{
    dom::draw_into,
    html::Html,
    ledger::{fact, link},
    transfers,
};
use crate::{
    domain::TransferId,
    links,
    live::{
        List, Newcomers,
        tab::{self, News},
    },
    locale::Locale,
    wire::{Position, StreamId, StreamKind, TransferState, TransferView},
};

/// A stored command that is not visible after this time says so.
const LATE: Duration = Duration::from_secs(5);

/// A command that was just sent.
pub(super) struct Sent {
    /// "14:02:11 UTC", by the reader's clock.
    when: String,
    /// This page's own clock.
    at: f64,
    /// Transfers that this page was told of since: news of a transfer may come before the answer that names it.
    told: Rc<RefCell<List<TransferView>>>,
}

impl Sent {
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn now(locale: &Locale) -> Self {
        let told = Rc::new(RefCell::new(List::new(Vec::new(), Newcomers::Show)));
        let listening = told.clone();
        tab::listen(Rc::new(move |news| {
            if let News::Rows(rows) = news
                && rows.query == "transfers"
            {
                listening.borrow_mut().receive(rows.rows, rows.reset, &|_: &TransferView| true);
            }
        }));
        Self { when: locale.format_time((js_sys::Date::now() * 1000.0) as i64), at: now(), told }
    }
}

/// An accepted command on its way to this page.
pub(super) struct Way {
    /// "Deposited 9,300.00 CZK."
    pub done: String,
    pub position: Position,
    pub version: String,
    pub stream: String,
    pub command_id: String,
}

impl Way {
    /// Below the form, in place of an earlier command's.
    pub(super) fn show(self, form: &HtmlFormElement, sent: Sent) {
        let Some(holder) = holder(form) else { return };
        holder.set_attribute("data-command-id", &self.command_id).ok();
        let stored = since(sent.at);
        let (visible, late) = (Cell::new(None), Cell::new(false));
        let look = Rc::new(move |is_late: bool| {
            // Another command took its place.
            if holder.get_attribute("data-command-id").as_ref() != Some(&self.command_id) {
                return;
            }
            if visible.get().is_none() && tab::position() >= self.position {
                visible.set(Some(since(sent.at)));
            }
            late.set(late.get() || is_late);
            draw_into(&holder, &|html| self.draw(html, &sent, stored, visible.get(), late.get()));
        });
        look(false);
        let seen = look.clone();
        tab::listen(Rc::new(move |news| {
            if matches!(news, News::Seen | News::Rows(_)) {
                seen(false);
            }
        }));
        set_timeout(move || look(true), LATE);
    }

    /// `visible`: milliseconds after it was sent.
    fn draw(&self, html: &mut Html, sent: &Sent, stored: u32, visible: Option<u32>, late: bool) {
        let missing = late && visible.is_none();
        let (mut state, step, word) = match visible {
            Some(_) => ("", "done", "Visible here"),
            None if late => ("late", "late", "Not visible here yet"),
            None => ("", "now", "Visible here"),
        };
        let transfer = self.stream.parse().ok().filter(|stream: &StreamId| stream.kind == StreamKind::Transfer);
        let told = sent.told.borrow();
        let stands = transfer.and_then(|stream| told.rows.iter().find(|row| row.id.0 == stream.id));
        if stands.is_some_and(|transfer| transfer.state == TransferState::Declined) {
            state = "failed";
        }
        html.el("div", &[("class", "way-box"), ("data-state", state)], |html| {
            html.el("p", &[], |html| {
                html.put("b", &[], if missing { "Stored, not visible here yet." } else { &self.done });
                html.text(if missing { " Nothing is lost." } else { "" });
            });
            html.el("ol", &[("class", "way")], |html| {
                let after = |ms: u32| format!("after {ms} ms");
                let visible = visible.map(after).unwrap_or_default();
                for (step, name, when) in
                    [("done", "Sent", &sent.when), ("done", "Stored", &after(stored)), (step, word, &visible)]
                {
                    html.el("li", &[("data-step", step)], |html| {
                        html.put("span", &[("class", "way-name")], name);
                        html.put("span", &[("class", "way-when")], when);
                    });
                }
            });
            if let Some(stream) = transfer {
                html.el("p", &[("class", "track")], |html| {
                    link(html, "", &links::transfer(TransferId(stream.id)), "This transfer");
                    if let Some(transfer) = stands {
                        transfers::track(html, transfer);
                        transfers::draw_state(html, transfer);
                    }
                });
            }
            html.el("details", &[("class", "switch")], |html| {
                html.put("summary", &[], "Technical details");
                html.el("dl", &[("class", "facts")], |html| {
                    let position = self.position.to_string();
                    for (name, value) in [
                        ("Stream", &self.stream),
                        ("Version", &self.version),
                        ("Position", &position),
                        ("Command", &self.command_id),
                    ] {
                        fact(html, name, |html| html.text(value));
                    }
                });
            });
        });
    }
}

/// Where the way of this form's command is drawn.
fn holder(form: &HtmlFormElement) -> Option<Element> {
    form.next_element_sibling().filter(|next| next.class_name() == "way-holder").or_else(|| {
        let holder = document().create_element("div").ok()?;
        holder.set_class_name("way-holder");
        // Said by a screen reader as it changes.
        holder.set_attribute("role", "status").ok()?;
        form.after_with_node_1(&holder).ok()?;
        Some(holder)
    })
}

/// This page's own clock, milliseconds since it was opened.
fn now() -> f64 {
    window().performance().map_or(0.0, |clock| clock.now())
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn since(moment: f64) -> u32 {
    (now() - moment).round() as u32
}
