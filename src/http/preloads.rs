//! What the student's page is about to request, as `Link` headers of its response (RFC 8288; `preload` and
//! `modulepreload` of the HTML standard): the browser sends these requests before it has read the page. Without them,
//! the page would request the first sections only after it has loaded its scripts and the terms.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderValue, LINK, VARY};
use jiff::Timestamp;

use crate::domain::ids::TermId;
use crate::domain::term::Term;
use crate::http::joined_modules::BASE;
use crate::http::message_page::language_of;
use crate::http::query::Query;
use crate::registration::readmodel::ReadModel;

/// The number of sections that the page requests first, as in `static/js/student/first.js`.
const FIRST: u32 = 60;
/// The parameters with which the page requests the results of a search first.
const FILTERS: [&str; 4] = ["q", "subject", "open", "days"];

/// Adds the headers. They are a guess: a page whose browser remembers another term or language requests other
/// resources.
pub(super) fn add(request: &HttpRequest, headers: &mut HeaderMap, model: &ReadModel, now: Timestamp) {
    let language = language_of(request).code();
    let mut links = vec![format!("<{BASE}words/{language}.js>; rel=modulepreload")];
    if let Some(term) = Query::of(request).ok().and_then(|query| shown_term(&query, model, now)) {
        links.push(format!("</api/v1/sections?term={term}&limit={FIRST}>; rel=preload; as=fetch; crossorigin"));
    }
    // Ids of terms are ASCII.
    if let Ok(value) = HeaderValue::from_str(&links.join(", ")) {
        headers.append(LINK, value);
    }
    headers.append(VARY, HeaderValue::from_static("Accept-Language"));
}

/// Returns the term whose sections the page shows first; `None` if it shows those of a search, or if there is no term.
fn shown_term(query: &Query, model: &ReadModel, now: Timestamp) -> Option<TermId> {
    let is_set = |name: &&str| query.get(name).is_ok_and(|value| value.is_some_and(|value| !value.is_empty()));
    if FILTERS.iter().any(is_set) {
        return None;
    }
    let terms = model.terms();
    let named = query.get("term").ok().flatten().and_then(|id| TermId::parse(id).ok());
    if let Some(id) = named.filter(|id| terms.contains_key(id)) {
        return Some(id);
    }
    let terms: Vec<_> = terms.values().map(|term| term.snapshot().term.clone()).collect();
    current(&terms.iter().map(|term| &**term), now).map(|term| term.id.clone())
}

/// Returns the first open term, else the next to open, else the first, as `currentTerm` in `static/js/hub-clock.js`
/// does.
fn current<'a>(terms: &(impl Iterator<Item = &'a Term> + Clone), now: Timestamp) -> Option<&'a Term> {
    let is_next = |term: &&Term| {
        term.opens_at.is_some_and(|opens| now < opens && term.closes_at.is_none_or(|closes| opens < closes))
    };
    let open = terms.clone().find(|term| term.is_open(now));
    open.or_else(|| terms.clone().filter(is_next).min_by_key(|term| term.opens_at)).or_else(|| terms.clone().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_term_is_open_or_the_next_to_open() {
        let at = |hours: i64| Timestamp::from_second(1_800_000_000 + 3_600 * hours).unwrap();
        let term = |id: &str, opens: Option<i64>, closes: Option<i64>| Term {
            opens_at: opens.map(at),
            closes_at: closes.map(at),
            ..Term::new(TermId::parse(id).unwrap())
        };
        let terms =
            [term("a", None, None), term("b", Some(1), Some(2)), term("c", Some(6), Some(5)), term("d", Some(5), None)];
        for (hours, expected) in [(0, "b"), (1, "b"), (2, "d"), (5, "d")] {
            let found = current(&terms.iter(), at(hours)).unwrap();
            assert_eq!(found.id.as_str(), expected, "after {hours} hours");
        }
        assert_eq!(current(&terms[..2].iter(), at(9)).unwrap().id.as_str(), "a");
        assert!(current(&[].iter(), at(0)).is_none());
    }
}
