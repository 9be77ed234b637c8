//! Requests that other sites make a browser send are refused, on everything that may write.
//!
//! Browsers say where a request comes from (`Sec-Fetch-Site`, `Origin`), and no page can make them lie. A request that
//! says nothing is no browser's; it is served as long as it does not live on a browser's cookie.

use axum::http::{Method, StatusCode, Uri, header, request::Parts};

use super::super::{Problem, WebOptions, request::cookie};

/// Refuses what was sent by another site.
pub(super) fn check(parts: &Parts, options: &WebOptions) -> Result<(), Problem> {
    if parts.method == Method::GET || parts.method == Method::HEAD {
        return Ok(());
    }
    let text = |name| parts.headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    let site = text("sec-fetch-site");
    let origin = text("origin");
    let allowed = match (site, origin) {
        (None, None) => cookie(&parts.headers, options.cookies().session_name()).is_none(),
        (site, origin) => {
            site.is_none_or(|site| matches!(site, "same-origin" | "none"))
                && origin.is_none_or(|origin| is_ours(origin, parts, options))
        }
    };
    if allowed {
        return Ok(());
    }
    tracing::warn!(?site, ?origin, "refused a request from another site (is --public-url right?)");
    Err(Problem::new(StatusCode::FORBIDDEN, "cross_site", "this request comes from another site"))
}

fn is_ours(origin: &str, parts: &Parts, options: &WebOptions) -> bool {
    if let Some(public) = &options.public_url {
        return origin.eq_ignore_ascii_case(public.origin());
    }
    // Without a public URL we are whatever the client calls us; a proxy in front may speak TLS where we do not.
    let Ok(origin) = origin.parse::<Uri>() else { return false };
    let host = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let host = host.or_else(|| parts.uri.authority().map(axum::http::uri::Authority::as_str));
    match (origin.authority(), host) {
        (Some(origin), Some(host)) => origin.as_str().eq_ignore_ascii_case(host),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    #[track_caller]
    fn asked(headers: &[(&str, &str)]) -> bool {
        asked_of(&WebOptions::default(), headers)
    }

    #[track_caller]
    fn asked_of(options: &WebOptions, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::post("/api/fn/deposit").header("host", "127.0.0.1:3000");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).expect("a request").into_parts().0, options).is_ok()
    }

    #[test]
    fn our_own_pages_may_write() {
        assert!(asked(&[("sec-fetch-site", "same-origin"), ("origin", "http://127.0.0.1:3000")]));
        assert!(asked(&[("origin", "http://127.0.0.1:3000"), ("cookie", "daybook=x")]));
    }

    #[test]
    fn other_sites_may_not() {
        assert!(!asked(&[("sec-fetch-site", "cross-site")]));
        assert!(!asked(&[("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:3000")]));
        assert!(!asked(&[("origin", "https://evil.example")]));
        assert!(!asked(&[("origin", "http://127.0.0.1:3001")]));
        assert!(!asked(&[("origin", "null")]));
        assert!(!asked(&[("origin", "https://evil.example"), ("authorization", "Bearer x")]));
    }

    #[test]
    fn a_program_may_write_with_its_token_but_not_on_a_cookie_without_saying_where_from() {
        assert!(asked(&[("authorization", "Bearer x")]));
        assert!(!asked(&[("cookie", "daybook=x")]));
    }

    #[test]
    fn with_a_public_url_only_that_counts() {
        let public_url = Some("https://daybook.example".parse().expect("an origin"));
        let options = WebOptions { public_url, ..WebOptions::default() };
        assert!(asked_of(&options, &[("origin", "https://daybook.example")]));
        assert!(!asked_of(&options, &[("origin", "http://127.0.0.1:3000")]));
        assert!(!asked_of(&options, &[("origin", "http://daybook.example")]));
    }
}
