//! `GET /api/docs`: the OpenAPI description as a page to read. No script, no CDN: one string, made once.

use std::{fmt::Write as _, sync::LazyLock};

use axum::response::Html;
use serde_json::Value;

use super::{assets, openapi};

/// The page.
pub async fn page() -> Html<&'static str> {
    static PAGE: LazyLock<String> = LazyLock::new(|| {
        let api = serde_json::to_value(openapi::api()).unwrap_or_default();
        let mut page = String::new();
        // Writing to a String cannot fail.
        write_page(&mut page, &api).expect("a String takes all that is written to it");
        page
    });
    Html(PAGE.as_str())
}

const TAGS: [&str; 5] = ["Session", "Commands", "Views", "Log", "Operations"];

fn write_page(page: &mut String, api: &Value) -> std::fmt::Result {
    write!(
        page,
        "<!DOCTYPE html><html lang=en><head><meta charset=utf-8><title>Daybook API</title>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <link rel=stylesheet href=\"{}\"></head><body><main class=\"page api-docs\"><h1>Daybook API</h1><p>{}</p>\
         <p><a href=\"/api/openapi.json\">OpenAPI 3.1</a> · <a href=\"/\">Daybook</a></p>\
         <p>Sign in with <code>POST /api/v1/session</code> and send its token as \
         <code>Authorization: Bearer …</code>. Errors are problem details (RFC 9457) with a stable <code>code</code>.</p>",
        escape(&assets::url("main.css")),
        prose(&api["info"]["description"]),
    )?;
    for tag in TAGS {
        write!(page, "<h2>{tag}</h2>")?;
        for (path, item) in entries(&api["paths"]) {
            for (method, operation) in entries(item) {
                if operation["tags"][0] == tag {
                    write_operation(page, api, method, path, operation)?;
                }
            }
        }
    }
    write!(page, "<h2>Types</h2>")?;
    for (name, schema) in entries(&api["components"]["schemas"]) {
        write!(page, "<section id=\"type-{0}\"><h3>{0}</h3>", escape(name))?;
        write_schema(page, schema)?;
        write!(page, "</section>")?;
    }
    write!(page, "</main></body></html>")
}

fn write_operation(page: &mut String, api: &Value, method: &str, path: &str, operation: &Value) -> std::fmt::Result {
    let (method, path) = (method.to_uppercase(), escape(path));
    write!(page, "<section><h3><code>{method} {path}</code></h3>")?;
    write!(page, "<p>{}</p>", prose(&operation["summary"]))?;
    let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
    if !parameters.is_empty() {
        write!(
            page,
            "<table><thead><tr><th>Parameter</th><th>In</th><th>Type</th><th>Meaning</th></tr></thead><tbody>"
        )?;
        for parameter in parameters {
            write!(
                page,
                "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>",
                escape(text(&parameter["name"])),
                escape(text(&parameter["in"])),
                type_of(&parameter["schema"]),
                prose(&parameter["description"]),
            )?;
        }
        write!(page, "</tbody></table>")?;
    }
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    if let Some(name) = reference(body) {
        write!(page, "<p>Body: {}</p>", type_of(body))?;
        write_schema(page, &api["components"]["schemas"][name])?;
    }
    write!(page, "<table><thead><tr><th>Answer</th><th>Type</th><th>Meaning</th></tr></thead><tbody>")?;
    for (status, response) in entries(&operation["responses"]) {
        let content = entries(&response["content"]).next().map(|(_, content)| type_of(&content["schema"]));
        let description = prose(&response["description"]);
        write!(page, "<tr><td>{status}</td><td>{}</td><td>{description}</td></tr>", content.unwrap_or_default())?;
    }
    write!(page, "</tbody></table></section>")
}

fn write_schema(page: &mut String, schema: &Value) -> std::fmt::Result {
    write!(page, "<p>{}</p>", prose(&schema["description"]))?;
    let parts = schema["allOf"].as_array().map_or_else(|| vec![schema], |parts| parts.iter().collect());
    write!(page, "<table><tbody>")?;
    for part in parts {
        if entries(&part["properties"]).next().is_none() {
            write!(page, "<tr><td colspan=3>{}</td></tr>", type_of(part))?;
        }
        let required = part["required"].as_array();
        for (name, field) in entries(&part["properties"]) {
            let optional = if required.is_some_and(|names| names.iter().any(|one| one == name)) { "" } else { "?" };
            let (name, about) = (escape(name), prose(&field["description"]));
            write!(page, "<tr><td><code>{name}{optional}</code></td><td>{}</td><td>{about}</td></tr>", type_of(field))?;
        }
    }
    write!(page, "</tbody></table>")
}

/// A schema in a few words, as HTML.
fn type_of(schema: &Value) -> String {
    if let Some(name) = reference(schema) {
        return format!("<a href=\"#type-{0}\">{0}</a>", escape(name));
    }
    for (key, between) in [("oneOf", " or "), ("allOf", " with ")] {
        if let Some(parts) = schema[key].as_array() {
            let parts = parts.iter().filter(|part| part["type"] != "null").map(type_of);
            return parts.collect::<Vec<_>>().join(between);
        }
    }
    if let Some(values) = schema["enum"].as_array() {
        return values
            .iter()
            .map(|value| format!("<code>{}</code>", escape(text(value))))
            .collect::<Vec<_>>()
            .join(" ");
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(text).find(|kind| *kind != "null").unwrap_or_default(),
        kind => text(kind),
    };
    match (kind, text(&schema["format"])) {
        ("array", _) => format!("list of {}", type_of(&schema["items"])),
        (kind, "") => escape(kind),
        (_, format) => escape(format),
    }
}

fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A description as HTML: what it has between backticks is code.
fn prose(description: &Value) -> String {
    let parts = text(description).split('`').enumerate();
    parts.map(|(at, part)| if at % 2 == 0 { escape(part) } else { format!("<code>{}</code>", escape(part)) }).collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_column_has_a_name_and_code_is_shown_as_code() {
        let Html(page) = page().await;
        assert!(page.contains("<th>Meaning</th>") && !page.contains("<th></th>"), "a column without a name");
        assert!(page.contains("<code>code</code> and its numbers"), "code is not shown as code");
        assert!(!page.contains('`'), "backticks are shown");
    }

    #[test]
    fn what_is_between_backticks_is_code() {
        assert_eq!(prose(&"at `a<b`, not `c`".into()), "at <code>a&lt;b</code>, not <code>c</code>");
    }
}
