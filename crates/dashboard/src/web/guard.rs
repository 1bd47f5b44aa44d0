//! What every request must be, and what every answer says to the browser.
//!
//! The page needs no user to sign in, so it must not answer pages from elsewhere: one that has its own name point to this
//! machine (DNS rebinding) could else read the data. Only names that are known are answered.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::App;

/// Nothing but what the page itself brings; no script and no style within the markup.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses what was not asked of this host, and adds the headers.
pub(super) async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    let host = host(request.headers());
    let is_known = host.is_some_and(|host| is_known(host, &app.shared.sources.dashboard.hosts));
    // A link from elsewhere may lead to the page.
    let mut answer = if is_known && is_from_elsewhere(request.headers()) && request.uri().path() != "/" {
        (StatusCode::FORBIDDEN, "not from another site\n").into_response()
    } else if is_known {
        next.run(request).await
    } else {
        let words = "this name is not known to the dashboard; ask for http://127.0.0.1 or http://localhost, or add the name to \
                     dashboard.hosts\n";
        (StatusCode::MISDIRECTED_REQUEST, words).into_response()
    };
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // Small, and on the same machine: always the one that belongs to this version.
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// The host that was asked, without its port.
pub(super) fn host(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    Some(match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    })
}

/// Whether a page of another site asks, as a browser says: a tool says nothing. The page could not read the answer, and would cost
/// the servers the question; and what it has paused is paused.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or_default());
    let host = text(header::HOST).unwrap_or_default();
    let site = text(SEC_FETCH_SITE);
    // Over plain HTTP a browser says the site to this machine only, and the origin to all.
    let own = |origin: &str| origin.split_once("://").is_some_and(|(_, named)| named == host);
    site.is_some_and(|site| !matches!(site, "same-origin" | "none"))
        || text(header::ORIGIN).is_some_and(|origin| !own(origin))
}

// An address is nobody's name: no rebinding leads there.
fn is_known(host: &str, names: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<std::net::IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || names.split(',').any(|name| host.eq_ignore_ascii_case(name.trim()) && !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_localhost_and_configured_names_are_known_and_no_other() {
        for known in ["127.0.0.1", "[::1]", "LocalHost", "dashboard", "tv.example"] {
            assert!(is_known(known, "dashboard, TV.example"), "{known}");
        }
        for unknown in
            ["evil.example", "", "localhost.evil.example", "127.0.0.1.evil.example", "[::1", "dashboard2"]
        {
            assert!(!is_known(unknown, "dashboard, TV.example"), "{unknown}");
            assert!(!is_known(unknown, ""), "{unknown}");
        }
    }

    #[test]
    fn only_the_page_itself_and_tools_may_ask() {
        let is_own = |given: &[(&'static str, &'static str)]| {
            let given = given.iter().chain(&[("host", "127.0.0.1:9000")]);
            let header = |(name, value): &(&'static str, &'static str)| {
                (name.parse().unwrap(), HeaderValue::from_static(value))
            };
            !is_from_elsewhere(&given.map(header).collect())
        };
        assert!(is_own(&[]));
        assert!(is_own(&[("origin", "http://127.0.0.1:9000"), ("sec-fetch-site", "same-origin")]));
        for origin in ["http://127.0.0.1:9001", "https://evil.example", "null", ""] {
            assert!(!is_own(&[("origin", origin)]), "{origin}");
        }
        for site in ["cross-site", "same-site"] {
            assert!(!is_own(&[("sec-fetch-site", site)]), "{site}");
        }
    }

    #[test]
    fn a_host_is_told_without_its_port() {
        for (given, expected) in
            [("localhost:9000", "localhost"), ("[::1]:9000", "[::1]"), ("[::1]", "[::1]"), ("a", "a")]
        {
            let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(given))]);
            assert_eq!(host(&headers), Some(expected));
        }
        assert_eq!(host(&HeaderMap::new()), None);
    }
}
