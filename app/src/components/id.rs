//! Ids, shortened in the middle, and copied whole.

use leptos::prelude::*;

use super::{Icon, icon};

/// `019bd4f2…c7e9` of a UUID, with whatever stands before it: `account 019bd4f2…c7e9` of a stream's id.
pub fn short_id(whole: &str) -> String {
    let uuid_at = whole.len().saturating_sub(36);
    let (before, uuid) = whole.split_at_checked(uuid_at).unwrap_or(("", whole));
    if uuid::Uuid::try_parse(uuid).is_err() {
        return whole.to_owned();
    }
    format!("{}{}…{}", before.replace('-', " "), &uuid[..8], &uuid[32..])
}

/// A shortened id; the whole one on hover.
fn id(whole: String) -> impl IntoView {
    let short = short_id(&whole);
    view! { <span class="id" title=whole>{short}</span> }
}

/// Copies `whole` when pressed; a listener of the whole page does that, by `data-copy`.
pub fn copy_button(whole: String) -> impl IntoView {
    view! {
        <button class="copy" type="button" data-copy=whole>
            {icon(Icon::Copy)}
            "Copy"
        </button>
    }
}

/// A shortened id with its copy button.
pub fn id_copied(whole: String) -> impl IntoView {
    (id(whole.clone()), " ", copy_button(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_shortened_in_the_middle() {
        let uuid = "019bd4f2-7a31-7c55-9e0b-3f2a84d1c7e9";
        assert_eq!(short_id(uuid), "019bd4f2…c7e9");
        assert_eq!(short_id(&format!("account-{uuid}")), "account 019bd4f2…c7e9");
        assert_eq!(short_id("short"), "short");
        assert_eq!(short_id(&"é".repeat(30)), "é".repeat(30));
    }
}
