//! Inline icons of 16 px, always beside a word.

use leptos::prelude::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icon {
    In,
    Out,
    Move,
    Open,
    Stop,
    Undo,
    Down,
    Seal,
    Warn,
    Copy,
}

impl Icon {
    fn path(self) -> &'static str {
        match self {
            Self::In => "M8 2.5v9M4.5 8 8 11.5 11.5 8M3 14h10",
            Self::Out => "M8 11.5v-9M4.5 6 8 2.5 11.5 6M3 14h10",
            Self::Move => "M2.5 5.5h10M9.5 2.5l3 3-3 3M13.5 11h-10M6.5 8.5 3.5 11l3 2.5",
            Self::Open => "M3 2.5h8.5A1.5 1.5 0 0 1 13 4v9.5H4.5A1.5 1.5 0 0 1 3 12zM3 12a1.5 1.5 0 0 1 1.5-1.5H13",
            Self::Stop => "M5.5 2h5L14 5.5v5L10.5 14h-5L2 10.5v-5zM8 5v3.5M8 10.9v.1",
            Self::Undo => "M5.5 3 2.5 6l3 3M2.5 6H10a3.5 3.5 0 0 1 0 7H6",
            Self::Down => "M8 2.5v8M4.5 7.5 8 11l3.5-3.5M3 13.5h10",
            Self::Seal => "M8 1.8 13 4v4c0 3-2.2 5.2-5 6.2C5.2 13.2 3 11 3 8V4zM5.5 8 7.3 9.8 10.7 6.3",
            Self::Warn => "M8 2 14.5 13.5h-13zM8 6.5v3.2M8 11.6v.1",
            Self::Copy => "M5.5 5.5h8v8h-8zM3 10.5h-.5v-8h8V3",
        }
    }
}

pub fn icon(icon: Icon) -> impl IntoView {
    view! {
        <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
            <path d=icon.path() />
        </svg>
    }
}

/// The sign in front of the name.
pub fn brand() -> impl IntoView {
    view! {
        <svg viewBox="0 0 32 32" aria-hidden="true">
            <rect x="3" y="2" width="26" height="28" rx="4" fill="var(--accent)" />
            <path d="M9 5h15a2 2 0 0 1 2 2v18a2 2 0 0 1-2 2H9z" fill="var(--paper)" />
            <g fill="none" stroke="var(--accent)" stroke-width="2" stroke-linecap="round">
                <path d="M13 11h9M13 16h9M16 21.5h6" />
            </g>
        </svg>
    }
}
