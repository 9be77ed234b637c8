//! The browser's side, served from inside the binary: WASM, scripts, styles and icons.
//!
//! Names carry a hash of their content, so an answer may be kept for ever and never has to be asked for again. Each file was
//! compressed when it was built; here only the copy is chosen that the browser takes. A debug build reads the folder from
//! disk each time instead, so that a new bundle shows on the next reload.

use std::{borrow::Cow, collections::BTreeMap};

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use rust_embed::RustEmbed;

/// Laid out by `.build/bundle.mjs`; the folder is chosen by `build.rs`.
#[derive(RustEmbed)]
#[folder = "$DAYBOOK_SITE"]
struct Site;

/// What each file is called: logical name (`main.css`) to the name with its hash (`main.0123456789ab.css`).
type Manifest = BTreeMap<String, String>;

/// The routes of the assets: `/pkg/{file}`.
pub fn assets<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/pkg/{file}", get(serve))
}

/// Where the page finds an asset: `url("main.css")` is `/pkg/main.0123456789ab.css`.
///
/// Without a bundle, as in tests of the server alone, it is the plain name, which answers 404: the page works without.
pub fn url(logical: &str) -> String {
    let manifest = manifest();
    format!("/pkg/{}", manifest.get(logical).map_or(logical, String::as_str))
}

#[cfg(debug_assertions)]
fn manifest() -> Cow<'static, Manifest> {
    Cow::Owned(read_manifest())
}

#[cfg(not(debug_assertions))]
fn manifest() -> Cow<'static, Manifest> {
    static MANIFEST: std::sync::LazyLock<Manifest> = std::sync::LazyLock::new(read_manifest);
    Cow::Borrowed(&MANIFEST)
}

fn read_manifest() -> Manifest {
    let Some(file) = Site::get("manifest.json") else {
        return Manifest::new();
    };
    serde_json::from_slice(&file.data).unwrap_or_else(|error| {
        tracing::error!(%error, "the manifest of the site cannot be read: pages will have no style and no script");
        Manifest::new()
    })
}

async fn serve(Path(file): Path<String>, headers: HeaderMap) -> Response {
    // Only what the manifest names: neither the manifest itself, nor a compressed copy as if it were a file of its own, nor
    // anything a debug build could find on disk.
    let known = manifest().values().any(|name| *name == file);
    let content_type = content_type(&file);
    let Some((encoding, content)) = known.then(|| choose(&file, &headers)).flatten() else {
        return StatusCode::NOT_FOUND.into_response();
    };

    let mut response = content.into_response();
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    answer.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(encoding) = encoding {
        answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

/// The best copy of a file that the client takes and that is there. When it takes none at all it gets the plain one, which
/// every client can read, rather than an error.
fn choose(file: &str, headers: &HeaderMap) -> Option<(Option<&'static str>, Cow<'static, [u8]>)> {
    let read = |name: &str| Site::get(name).map(|file| file.data);
    for encoding in preferred(headers) {
        let copy = match encoding {
            Encoding::Brotli => read(&format!("{file}.br")),
            Encoding::Gzip => read(&format!("{file}.gz")),
            Encoding::Identity => read(file),
        };
        if let Some(copy) = copy {
            return Some((encoding.name(), copy));
        }
    }
    read(file).map(|plain| (None, plain))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Brotli,
    Gzip,
    Identity,
}

impl Encoding {
    /// The smallest first: where the client has no preference, this order is ours.
    const ALL: [Self; 3] = [Self::Brotli, Self::Gzip, Self::Identity];

    /// As in `Content-Encoding`, where the plain file has none.
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Gzip => Some("gzip"),
            Self::Identity => None,
        }
    }
}

/// What `Accept-Encoding` allows, best first (RFC 9110, 12.5.3).
fn preferred(headers: &HeaderMap) -> Vec<Encoding> {
    let listed: Vec<(String, u16)> = headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(coding)
        .collect();
    let quality =
        |names: &[&str]| listed.iter().find(|(name, _)| names.contains(&name.as_str())).map(|(_, quality)| *quality);
    let rest = quality(&["*"]);

    let mut allowed: Vec<(Encoding, u16)> = Encoding::ALL
        .into_iter()
        .map(|encoding| {
            let quality = match encoding {
                Encoding::Brotli => quality(&["br"]).or(rest).unwrap_or(0),
                Encoding::Gzip => quality(&["gzip", "x-gzip"]).or(rest).unwrap_or(0),
                // Always acceptable unless refused by name or by `*;q=0`, but below whatever is asked for.
                Encoding::Identity => quality(&["identity"]).or(rest).unwrap_or(1),
            };
            (encoding, quality)
        })
        .filter(|(_, quality)| *quality > 0)
        .collect();
    // Stable: equals stay in our own order.
    allowed.sort_by_key(|(_, quality)| std::cmp::Reverse(*quality));
    allowed.into_iter().map(|(encoding, _)| encoding).collect()
}

/// One element of `Accept-Encoding`: its name and its quality in thousandths. A quality that is none counts as refused.
fn coding(element: &str) -> Option<(String, u16)> {
    let mut parts = element.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?.to_ascii_lowercase();
    let quality = parts
        .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
        .map_or(1000, |text| thousandths(text).unwrap_or(0));
    Some((name, quality))
}

fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole: u16 = whole.parse().ok().filter(|whole| *whole <= 1)?;
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    Some(whole * 1000 + fraction).filter(|quality| *quality <= 1000)
}

/// By the ending of the name. Scripts and WASM must be right: a browser refuses them otherwise, and `nosniff` the rest.
fn content_type(file: &str) -> &'static str {
    match file.rsplit('.').next().unwrap_or_default() {
        "wasm" => "application/wasm",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "html" => "text/html; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    fn accepting(values: &[&str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (header::ACCEPT_ENCODING, HeaderValue::from_str(value).expect("a header value")))
            .collect()
    }

    #[track_caller]
    fn prefers(values: &[&str], expected: &[Encoding]) {
        assert_eq!(preferred(&accepting(values)), expected, "Accept-Encoding: {values:?}");
    }

    #[test]
    fn the_smallest_copy_is_chosen_unless_the_client_prefers_another() {
        use Encoding::{Brotli, Gzip, Identity};
        prefers(&[], &[Identity]);
        prefers(&[""], &[Identity]);
        prefers(&["gzip, deflate, br, zstd"], &[Brotli, Gzip, Identity]);
        prefers(&["gzip", "br"], &[Brotli, Gzip, Identity]);
        prefers(&["gzip;q=1.0, br;q=0.8"], &[Gzip, Brotli, Identity]);
        prefers(&["BR; Q=0.5 , GZip;q=0.25"], &[Brotli, Gzip, Identity]);
        prefers(&["x-gzip"], &[Gzip, Identity]);
        prefers(&["identity, br;q=0.1"], &[Identity, Brotli]);
        prefers(&["*"], &[Brotli, Gzip, Identity]);
        prefers(&["*;q=0.5, br;q=0"], &[Gzip, Identity]);
    }

    #[test]
    fn what_the_client_refuses_is_not_sent() {
        use Encoding::{Brotli, Gzip, Identity};
        prefers(&["br;q=0, gzip"], &[Gzip, Identity]);
        prefers(&["gzip;q=0.000"], &[Identity]);
        prefers(&["br, identity;q=0"], &[Brotli]);
        prefers(&["gzip, *;q=0"], &[Gzip]);
        prefers(&["*;q=0"], &[]);
        // Not a quality at all.
        prefers(&["br;q=high, gzip;q=1.5"], &[Identity]);
    }

    #[test]
    fn a_quality_has_at_most_three_decimals() {
        assert_eq!(thousandths("1"), Some(1000));
        assert_eq!(thousandths("0.5"), Some(500));
        assert_eq!(thousandths("0.123"), Some(123));
        assert_eq!(thousandths("1.000"), Some(1000));
        for wrong in ["0.1234", "2", "1.001", "-1", "", ".5", "0.x"] {
            assert_eq!(thousandths(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn browsers_get_the_types_they_insist_on() {
        assert_eq!(content_type("daybook_bg.0123456789ab.wasm"), "application/wasm");
        assert_eq!(content_type("islands.0123456789ab.js"), "text/javascript; charset=utf-8");
        assert_eq!(content_type("main.0123456789ab.css"), "text/css; charset=utf-8");
        assert_eq!(content_type("no-ending"), "application/octet-stream");
    }

    #[test]
    fn an_asset_that_was_not_built_keeps_its_plain_name() {
        assert_eq!(url("no-such-thing.css"), "/pkg/no-such-thing.css");
    }

    async fn ask(path: &str, accept: &str) -> Response {
        let request =
            Request::get(path).header(header::ACCEPT_ENCODING, accept).body(Body::empty()).expect("a request");
        assets().oneshot(request).await.expect("an answer")
    }

    #[tokio::test]
    async fn nothing_but_the_assets_is_served() {
        for path in [
            "/pkg/none.js",
            "/pkg/manifest.json",
            "/pkg/..%2Fmanifest.json",
            "/pkg/..%2F..%2FCargo.toml",
            "/pkg/%2Fetc%2Fpasswd",
        ] {
            assert_eq!(ask(path, "br").await.status(), StatusCode::NOT_FOUND, "{path}");
        }
        for name in manifest().values() {
            let path = format!("/pkg/{name}.br");
            assert_eq!(ask(&path, "br").await.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    /// Holds for whatever bundle is there, and for none.
    #[tokio::test]
    async fn every_asset_is_served_for_ever_in_each_encoding() {
        for (logical, name) in manifest().iter() {
            let path = url(logical);
            assert_eq!(path, format!("/pkg/{name}"));
            for (accept, encoding, copy) in [("br", "br", "br"), ("gzip", "gzip", "gz")] {
                let Some(expected) = Site::get(&format!("{name}.{copy}")) else {
                    continue;
                };
                let response = ask(&path, accept).await;
                assert_eq!(response.status(), StatusCode::OK);
                assert_eq!(response.headers()[header::CONTENT_ENCODING], encoding);
                assert_eq!(response.headers()[header::VARY], "accept-encoding");
                assert_eq!(response.headers()[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
                assert_eq!(response.headers()[header::CONTENT_TYPE], content_type(name));
                assert_eq!(response.into_body().collect().await.expect("a body").to_bytes(), expected.data[..]);
            }
            let response = ask(&path, "identity").await;
            assert_eq!(response.status(), StatusCode::OK);
            assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
            let plain = Site::get(name).expect("the manifest names files that are there");
            assert_eq!(response.into_body().collect().await.expect("a body").to_bytes(), plain.data[..]);
        }
    }
}
