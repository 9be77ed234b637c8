//! Pages for when there is nothing to show: not found (and not allowed, which is the same), and what went wrong.

use leptos::prelude::*;

use crate::{api::AppError, components::copy_button};

use super::Sheet;

/// `here`: the path asked for.
pub(super) fn sheet(error: &AppError, here: &str) -> Sheet {
    let (title, body) = match error {
        AppError::NotFound => ("Not found", not_found().into_any()),
        AppError::NotSignedIn | AppError::WrongCredentials => ("Sign in", signed_out().into_any()),
        AppError::Unavailable { .. } => ("Not visible here yet", not_yet(here.to_owned()).into_any()),
        AppError::TooMany { .. } => ("Busy", busy(here.to_owned()).into_any()),
        AppError::Internal { id } => ("Something went wrong", broken(here.to_owned(), id.clone()).into_any()),
        AppError::Rejected { .. }
        | AppError::Invalid { .. }
        | AppError::IdReused
        | AppError::VersionMismatch { .. } => ("This address does not read", unreadable(error).into_any()),
    };
    Sheet { title: title.to_owned(), ..Sheet::of(body) }
}

fn back() -> impl IntoView {
    view! {
        <a class="button" href="/">
            "Back to your accounts"
        </a>
    }
}

fn not_found() -> impl IntoView {
    view! {
        <div class="fault">
            <p class="fault-code">"404"</p>
            <h1>"There is nothing at this address"</h1>
            <p class="quiet">"It may never have existed, or it is not yours to see. Nothing has been changed."</p>
            {back()}
        </div>
    }
}

fn signed_out() -> impl IntoView {
    view! {
        <div class="fault">
            <h1>"Sign in first"</h1>
            <a class="button main" href="/sign-in">
                "Sign in"
            </a>
        </div>
    }
}

fn unreadable(error: &AppError) -> impl IntoView {
    let why = match error {
        AppError::Invalid { field, message } => format!("{field}: {message}"),
        other => other.to_string(),
    };
    view! {
        <div class="fault">
            <p class="fault-code">"400"</p>
            <h1>"This address does not read"</h1>
            <p class="quiet">{why}</p>
            {back()}
        </div>
    }
}

/// The views are behind, or do not answer just now; the answer itself says when the browser asks again.
fn not_yet(here: String) -> impl IntoView {
    view! {
        <div class="fault">
            <p class="fault-code">"503"</p>
            <h1>"Not visible here yet"</h1>
            <div class="prose">
                <p>"What was stored is safe; nothing is lost. The view that shows it is behind, or busy."</p>
                <p>"This page tries again by itself, every few seconds."</p>
            </div>
            <div class="actions">
                <a class="button main" href=here>
                    "Try again now"
                </a>
                <a class="button bare" href="/">
                    "Back to your accounts"
                </a>
            </div>
        </div>
    }
}

fn busy(here: String) -> impl IntoView {
    view! {
        <div class="fault">
            <p class="fault-code">"429"</p>
            <h1>"Too busy to answer right now"</h1>
            <div class="prose">
                <p>"What was stored is safe; this page only reads, and nothing was done."</p>
                <p>"Try again in a moment."</p>
            </div>
            <div class="actions">
                <a class="button main" href=here>
                    "Try again"
                </a>
            </div>
        </div>
    }
}

fn broken(here: String, id: String) -> impl IntoView {
    view! {
        <div class="fault">
            <p class="fault-code">"Our fault"</p>
            <h1>"This page could not be put together"</h1>
            <div class="prose">
                <p>"What was stored is safe; nothing you sent has been lost."</p>
                <ul>
                    <li>"Try again in a moment."</li>
                    <li>"If it stays, tell an administrator the id below."</li>
                </ul>
            </div>
            <div class="actions">
                <a class="button main" href=here>
                    "Try again"
                </a>
                <a class="button bare" href="/">
                    "Back to your accounts"
                </a>
            </div>
            <p class="error-id">
                "Error id "<span class="code">{id.clone()}</span> {copy_button(id)}
            </p>
        </div>
    }
}
