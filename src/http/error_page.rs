//! The page that replaces a problem document when a person opened the address in a browser.

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse};

use crate::domain::language::Language;
use crate::http::message_page::{self, language_of};
use crate::http::request_id::RequestId;
use crate::http::schedule_calendar::feeds_path;

/// Headers of a problem document that are copied to its page.
const COPIED: [HeaderName; 4] = [header::ALLOW, header::RETRY_AFTER, header::SET_COOKIE, header::WWW_AUTHENTICATE];

/// Returns whether a person opened this address in a browser. Under `/api`, this can only be the link of a calendar;
/// everything else there is for programs, whatever they accept.
pub(super) fn is_opened(req: &HttpRequest) -> bool {
    let accept = req.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_read = [Method::GET, Method::HEAD].contains(req.method());
    let path = req.path();
    let is_link = path.starts_with(feeds_path()) || !(path == "/api" || path.starts_with("/api/"));
    is_read && is_link && accept.contains("text/html")
}

/// Returns the page instead of a problem document with this status and these headers.
pub(super) fn respond(req: &HttpRequest, status: StatusCode, headers: &HeaderMap) -> HttpResponse {
    let language = language_of(req);
    let (heading, text) = texts(status, language);
    let mut response = HttpResponse::build(status);
    for name in COPIED {
        for value in headers.get_all(&name) {
            response.append_header((name.clone(), value.clone()));
        }
    }
    response
        .insert_header((header::VARY, HeaderValue::from_static("Accept, Accept-Language")))
        .content_type("text/html; charset=utf-8")
        .body(message_page::html(language, heading, &format!("<p>{text}</p>"), &RequestId::text_of(req)))
}

/// Returns the heading and the text of a page.
fn texts(status: StatusCode, language: Language) -> (&'static str, &'static str) {
    let of = |english, spanish| language.pick(english, spanish);
    match status.as_u16() {
        401 => of(
            ("Sign in to continue", "This address is only for people who are signed in. Sign in on the start page."),
            (
                "Inicie sesión para continuar",
                "Esta dirección es solo para quienes iniciaron sesión. Inicie sesión en la página de inicio.",
            ),
        ),
        403 => of(
            ("You can't open this address", "Your account is not allowed to open this address."),
            ("No puede abrir esta dirección", "Su cuenta no tiene permiso para abrir esta dirección."),
        ),
        404 => of(
            ("Page not found", "There is nothing at this address. The link may be incorrect, expired, or withdrawn."),
            (
                "No se encontró la página",
                "No hay nada en esta dirección. El enlace puede ser incorrecto, haber vencido o haberse retirado.",
            ),
        ),
        405 => of(
            ("This address is not a page", "Programs use this address. It cannot be opened in a browser."),
            ("Esta dirección no es una página", "La utilizan otros programas. No se puede abrir en un navegador."),
        ),
        429 | 503 => of(
            ("EduHub is busy", "The page was not opened, and nothing was changed. Try again in a few seconds."),
            ("EduHub está ocupado", "La página no se abrió y no se cambió nada. Intente de nuevo en unos segundos."),
        ),
        400..500 => of(
            ("This address can't be opened", "EduHub could not read the request. Check the link."),
            ("No se puede abrir esta dirección", "EduHub no pudo leer la solicitud. Revise el enlace."),
        ),
        _ => of(
            ("Something went wrong", "EduHub could not open the page. If it happens again, report the request ID."),
            ("Algo salió mal", "EduHub no pudo abrir la página. Si vuelve a ocurrir, comunique el ID de la solicitud."),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    const BROWSER: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

    fn opened(method: Method, path: &str, accept: &str) -> bool {
        is_opened(&TestRequest::with_uri(path).method(method).insert_header((header::ACCEPT, accept)).to_http_request())
    }

    #[test]
    fn only_addresses_that_a_person_opens_get_a_page() {
        for path in ["/nothing", "/staff/x", "/apiary", "/api/v1/schedule-feeds/0123.ics"] {
            assert!(opened(Method::GET, path, BROWSER), "{path}");
        }
        for path in ["/api", "/api/v1/nothing", "/api/v1/sections"] {
            assert!(!opened(Method::GET, path, BROWSER), "{path}");
        }
        for (method, accept) in [(Method::GET, "*/*"), (Method::GET, "application/json"), (Method::POST, BROWSER)] {
            assert!(!opened(method.clone(), "/nothing", accept), "{method} {accept}");
        }
    }

    #[test]
    fn each_status_has_its_own_heading_in_both_languages() {
        for language in Language::ALL {
            let headings = [400, 401, 403, 404, 405, 500, 503]
                .map(|status| texts(StatusCode::from_u16(status).unwrap(), language).0);
            let distinct: std::collections::BTreeSet<_> = headings.iter().collect();
            assert_eq!(distinct.len(), headings.len(), "{headings:?}");
        }
    }
}
