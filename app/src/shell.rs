//! From a request to a whole page: the routes, and how one of them is answered.
//!
//! A page is put together completely before its first byte is sent, so that its status is right and its title says
//! what it shows. Nothing inline is sent beside it: what islands need is in their attributes.

use std::future::Future;

use axum::{body::Body, http::Request, response::Response};
use futures_util::{StreamExt as _, stream::once};
use leptos::prelude::*;
use leptos_axum::AxumRouteListing;
use leptos_router::{
    ParamSegment, SsrMode, StaticSegment,
    components::{FlatRoutes, Route, Router},
};

use crate::pages;

/// All pages.
#[component]
pub fn App() -> impl IntoView {
    const MODE: SsrMode = SsrMode::Async;
    let account = || (StaticSegment("accounts"), ParamSegment("id"));
    view! {
        <Router>
            <FlatRoutes fallback=pages::nothing_here>
                <Route ssr=MODE path=StaticSegment("") view=pages::overview />
                <Route ssr=MODE path=StaticSegment("sign-in") view=pages::sign_in />
                <Route ssr=MODE path=StaticSegment("accounts") view=pages::accounts />
                <Route ssr=MODE path=(StaticSegment("accounts"), StaticSegment("open")) view=pages::open_account />
                <Route ssr=MODE path=account() view=pages::account />
                <Route ssr=MODE path=(account(), ParamSegment("slip")) view=pages::slip />
                <Route ssr=MODE path=StaticSegment("transfers") view=pages::transfers />
                <Route ssr=MODE path=(StaticSegment("transfers"), ParamSegment("id")) view=pages::transfer />
                <Route ssr=MODE path=StaticSegment("timeline") view=pages::timeline />
                <Route ssr=MODE path=(StaticSegment("timeline"), ParamSegment("stream")) view=pages::stream />
                <Route
                    ssr=MODE
                    path=(StaticSegment("timeline"), StaticSegment("event"), ParamSegment("id"))
                    view=pages::event
                />
                <Route ssr=MODE path=StaticSegment("profile") view=pages::profile />
                <Route ssr=MODE path=StaticSegment("trial-balance") view=pages::trial_balance />
            </FlatRoutes>
        </Router>
    }
}

/// The paths of all pages, for axum's router.
pub fn routes() -> Vec<AxumRouteListing> {
    leptos_axum::generate_route_list(App)
}

/// Answers a request for a page; a path without one gets the not-found page. `context` provides [`crate::ports::Ports`],
/// [`crate::ports::Request`] and [`crate::ports::Assets`].
pub fn respond(
    context: impl Fn() + Clone + Send + 'static,
    request: Request<Body>,
) -> impl Future<Output = Response> + Send {
    // Leptos would add scripts with the data of resources after the page. There are none, so nothing is sent.
    leptos_axum::handle_response_inner(context, App, request, |app, _scripts, _| {
        Box::pin(async move {
            let page = app.to_html_stream_in_order().collect::<String>().await;
            Box::pin(once(async move { page })) as _
        })
    })
}
