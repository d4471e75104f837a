//! Who may talk to the studio: the browser that was given the token, on this machine, from the
//! studio's own pages.
//!
//! Other sites can make a browser send requests here. So a request must name this very host (a
//! rebound name does not), come from these pages where it says where it comes from, and carry a
//! cookie that only the bearer of the token was given. The token opens once; further tabs share the
//! cookie.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use rand::Rng;
use subtle::ConstantTimeEq;

use crate::error::refusal;

/// What a browser may do with these pages: nothing from elsewhere, no frame around them.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: \
                      blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];
/// The token's place in the address.
const TOKEN: &str = "token=";

/// The way in.
pub struct Door {
    hosts: [String; 2],
    token: String,
    opened: AtomicBool,
    cookie: String,
    cookie_name: String,
}

/// Without token and cookie: who has one of them is let in.
impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl Door {
    /// A door at a loopback address, with a fresh token and a fresh cookie.
    pub fn new(local: SocketAddr) -> Self {
        let port = local.port();
        Self {
            hosts: [local.to_string(), format!("localhost:{port}")],
            token: secret(),
            opened: AtomicBool::new(false),
            cookie: secret(),
            // Cookies know no ports: another studio on this machine has another name.
            cookie_name: format!("sphinx_studio_{port}"),
        }
    }

    /// The address that opens it, once.
    pub fn address(&self) -> String {
        format!("http://{}/?{TOKEN}{}", self.hosts[0], self.token)
    }

    fn names_host(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        host.is_some_and(|host| self.hosts.iter().any(|own| own == host))
    }

    /// Whether a request comes from the studio's own pages. Reading pages may come from nowhere, as
    /// an address that was typed does; changing anything may not.
    fn is_own(&self, method: &Method, headers: &HeaderMap) -> bool {
        let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().ok());
        let foreign = |site: Option<&str>| !matches!(site, Some("same-origin" | "none"));
        if text(HeaderName::from_static("sec-fetch-site")).is_some_and(foreign) {
            return false;
        }
        match text(header::ORIGIN) {
            Some(origin) => {
                let host = origin.and_then(|origin| origin.strip_prefix("http://"));
                host.is_some_and(|host| self.hosts.iter().any(|own| own == host))
            }
            None => method.is_safe(),
        }
    }

    fn has_cookie(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(header::COOKIE).iter();
        let cookies = cookies.filter_map(|cookies| cookies.to_str().ok());
        let mut pairs = cookies.flat_map(|cookies| cookies.split("; "));
        pairs.any(|pair| {
            pair.split_once('=').is_some_and(|(name, value)| {
                name == self.cookie_name
                    && bool::from(value.as_bytes().ct_eq(self.cookie.as_bytes()))
            })
        })
    }

    /// Whether the token is right, and was not used before.
    fn opens(&self, token: &str) -> bool {
        let right = bool::from(token.as_bytes().ct_eq(self.token.as_bytes()));
        right && !self.opened.swap(true, Ordering::SeqCst)
    }

    fn set_cookie(&self) -> String {
        let Self { cookie_name, cookie, .. } = self;
        format!("{cookie_name}={cookie}; HttpOnly; SameSite=Strict; Path=/")
    }
}

/// Puts the door before everything.
pub fn guarded(router: Router, door: Door) -> Router {
    router.layer(middleware::from_fn_with_state(Arc::new(door), enter))
}

async fn enter(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let mut response = match admitted(&door, &request) {
        Ok(None) => next.run(request).await,
        Ok(Some(response)) => response,
        Err((status, text)) => refusal(status, text).into_response(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Whether a request may pass; an answer at once where a token has opened the door.
fn admitted(
    door: &Door,
    request: &Request,
) -> Result<Option<Response>, (StatusCode, &'static str)> {
    let headers = request.headers();
    if !door.names_host(headers) {
        return Err((StatusCode::MISDIRECTED_REQUEST, "This is not the studio's address."));
    }
    if !door.is_own(request.method(), headers) {
        return Err((StatusCode::FORBIDDEN, "This request comes from another site."));
    }
    if door.has_cookie(headers) {
        return Ok(None);
    }
    let token = request.uri().query().and_then(|query| query.strip_prefix(TOKEN));
    if request.method() == Method::GET && token.is_some_and(|token| door.opens(token)) {
        let mut response = Redirect::to("/").into_response();
        if let Ok(cookie) = HeaderValue::from_str(&door.set_cookie()) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        return Ok(Some(response));
    }
    Err((
        StatusCode::UNAUTHORIZED,
        "This address opens once, in the browser that it was opened in first. Start `sphinx studio` again for \
         a fresh one.",
    ))
}

/// 32 bytes from the operating system, as text.
fn secret() -> String {
    let mut bytes = [0; 32];
    sphinx_client::secure_rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}
