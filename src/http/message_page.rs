//! Small pages that the hub writes itself, in the language of the browser: a heading, a text, and a way back.

use actix_web::HttpRequest;
use actix_web::http::header::ACCEPT_LANGUAGE;

use crate::domain::language::Language;

/// Returns the first language in `Accept-Language` in which the hub has pages; English if there is none.
pub(super) fn language_of(req: &HttpRequest) -> Language {
    let accepted = req.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut codes = accepted.split(',').filter_map(|one| one.trim().get(..2));
    codes.find_map(|code| Language::from_code(&code.to_ascii_lowercase())).unwrap_or(Language::English)
}

/// Returns a page as HTML. `content` is HTML that follows the heading. `heading` is a constant and is not escaped.
pub(super) fn html(language: Language, heading: &str, content: &str, request_id: &str) -> String {
    let pick = |english, spanish| language.pick(english, spanish);
    let content = format!(
        "{content}<p>{number_text} <code>{number}</code></p><p><a class=\"button\" href=\"/\">{back}</a></p>",
        number_text = pick("Request ID:", "ID de la solicitud:"),
        number = escape(request_id),
        back = pick("Back to EduHub", "Volver a EduHub"),
    );
    document(language, heading, &content)
}

/// Returns a page of this heading and this HTML, without a request id and a way back.
pub(super) fn document(language: Language, heading: &str, content: &str) -> String {
    format!(
        "<!doctype html><html lang=\"{language}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{heading} - EduHub</title>\
         <link rel=\"icon\" href=\"/static/icon.svg\" type=\"image/svg+xml\">\
         <link rel=\"stylesheet\" href=\"/static/style.css\"></head><body><main class=\"message\"><h1>{heading}</h1>\
         {content}</main></body></html>",
        language = language.code(),
    )
}

/// Escapes text for HTML, in elements and in attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}
