//! The timeline: the feed of everything that happened, one stream's life, and the way from an event to its moment.

mod feed;
mod stream;

use leptos::prelude::*;

use crate::{domain::EventId, links};

use super::{Nav, Sheet, Visit, paging, show};

pub fn timeline() -> AnyView {
    show(feed::page)
}

pub fn stream() -> AnyView {
    show(stream::page)
}

/// From an event's id to its moment in its stream.
pub fn event() -> AnyView {
    show(|visit: Visit| async move {
        let id: EventId = visit.asked.param("id")?;
        let event = visit.event(id).await?;
        Ok(Sheet::go(links::moment(event.stream, event.version)))
    })
}
