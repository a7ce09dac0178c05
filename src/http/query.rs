//! Parameters in the query string and the path. As for bodies, an error names its parameter: 400 when it cannot be
//! decoded or has the wrong type, 422 when its value is out of range or unknown. Unknown query parameters are ignored.

use std::ops::RangeInclusive;

use actix_web::HttpRequest;

use crate::domain::language::Language;
use crate::text::percent;

use crate::http::body::check_length;
use crate::http::error::Problem;

/// The default `limit` of a list.
pub const LIST_LEN_DEFAULT: u32 = 100;
/// The largest `limit` of a list.
pub const LIST_LEN_MAX: u32 = 5_000;

/// A decoded query string.
#[derive(Debug)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Decodes a request's query string.
    pub fn of(req: &HttpRequest) -> Result<Self, Problem> {
        Self::parse(req.query_string())
    }

    /// Decodes `a=b&c=d` (`application/x-www-form-urlencoded` of the URL standard).
    ///
    /// # Errors
    /// When a `%` sequence is invalid, which the URL standard tolerates, or the text is not UTF-8.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = form_decoded(name).ok_or_else(|| Problem::bad_request(NOT_DECODABLE))?;
            let value = form_decoded(value).ok_or_else(|| Problem::bad_request(NOT_DECODABLE).field(name.clone()))?;
            Ok((name, value))
        });
        Ok(Self { pairs: pairs.collect::<Result<_, Problem>>()? })
    }

    /// Returns the value of a parameter.
    ///
    /// # Errors
    /// When it is given more than once.
    pub fn get(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self.pairs.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Problem::bad_request(format!("{name} is given more than once.")).field(name)),
            (value, None) => Ok(value),
        }
    }

    /// Reads `lang`, the language of the response; English by default.
    pub fn lang(&self) -> Result<Language, Problem> {
        Ok(self.parsed("lang", "en or es", Language::from_code)?.unwrap_or(Language::English))
    }

    /// Reads text whose length in characters is within `chars`. An empty value counts as absent.
    pub fn string(&self, name: &str, chars: RangeInclusive<usize>) -> Result<Option<&str>, Problem> {
        let Some(text) = self.get(name)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        check_length(name, text, &chars)?;
        Ok(Some(text))
    }

    /// Reads `true` or `false`.
    pub fn bool(&self, name: &str) -> Result<Option<bool>, Problem> {
        match self.get(name)? {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Problem::bad_request(format!("{name} must be true or false.")).field(name)),
        }
    }

    /// Reads `limit`, the maximum number of items in one response.
    pub fn limit(&self) -> Result<u32, Problem> {
        Ok(self.u32("limit", 1..=LIST_LEN_MAX)?.unwrap_or(LIST_LEN_DEFAULT))
    }

    /// Reads a whole number within a range.
    pub fn u32(&self, name: &str, range: RangeInclusive<u32>) -> Result<Option<u32>, Problem> {
        let value = self.u64(name, u64::from(*range.start())..=u64::from(*range.end()))?;
        Ok(value.and_then(|n| u32::try_from(n).ok()))
    }

    /// Reads a whole number within a range.
    pub fn u64(&self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Problem> {
        let Some(text) = self.get(name)? else { return Ok(None) };
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Problem::bad_request(format!("{name} must be a whole number.")).field(name));
        }
        let number = text.parse().ok().filter(|n| range.contains(n));
        let (least, most) = (range.start(), range.end());
        number.map(Some).ok_or_else(|| Problem::invalid(name, format!("{name} must be between {least} and {most}.")))
    }

    /// Reads text with `parse`; `expected` describes what it accepts. An empty value counts as absent.
    pub fn parsed<T>(
        &self,
        name: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.get(name)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        parse(text).map(Some).ok_or_else(|| Problem::invalid(name, format!("{name} must be {expected}.")))
    }
}

const NOT_DECODABLE: &str = "The address has a % without two hexadecimal digits after it, or is not UTF-8.";

/// Decodes a name or a value of a query, in which `+` is a space.
fn form_decoded(text: &str) -> Option<String> {
    percent::decode(&text.replace('+', " "), |_| true)
}

/// Returns the path segment that the route names `{name}`, decoded.
///
/// # Errors
/// When the path cannot be decoded. actix would replace bytes that are not UTF-8 instead.
pub fn path_param(req: &HttpRequest, name: &str) -> Result<String, Problem> {
    let bad = || Problem::bad_request(NOT_DECODABLE).field(name);
    let path = req.uri().path();
    if path.contains('%') {
        percent::decode(path, |_| true).ok_or_else(bad)?;
    }
    // actix leaves `%`, `/` and `+` encoded, so that they do not split the path.
    let segment = req.match_info().get(name).ok_or_else(bad)?;
    percent::decode(segment, |_| true).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T: std::fmt::Debug>(outcome: Result<T, Problem>) -> (u16, String) {
        let document = outcome.unwrap_err().into_document();
        (document.status, document.field.unwrap_or_default())
    }

    #[test]
    fn parameters_are_decoded_and_read() {
        let query = Query::parse("q=linear+alg%C3%A8bre&open=true&limit=5&term=&unknown").unwrap();
        assert_eq!(query.string("q", 1..=50).unwrap(), Some("linear algèbre"));
        assert_eq!(query.bool("open").unwrap(), Some(true));
        assert_eq!(query.u32("limit", 1..=10).unwrap(), Some(5));
        assert_eq!(query.string("term", 1..=5).unwrap(), None);
        assert_eq!(query.bool("absent").unwrap(), None);
    }

    #[test]
    fn undecodable_queries_are_400() {
        for bad in ["q=%", "q=%4", "q=%zz", "q=%ff", "%ff=1", "q=%+1"] {
            assert_eq!(refused(Query::parse(bad)).0, 400, "{bad}");
        }
    }

    #[test]
    fn an_invalid_parameter_is_named() {
        let limit = |text: &str| refused(Query::parse(text).unwrap().u32("limit", 1..=10));
        assert_eq!(limit("limit=abc"), (400, "limit".to_owned()));
        assert_eq!(limit("limit="), (400, "limit".to_owned()));
        assert_eq!(limit("limit=1&limit=2"), (400, "limit".to_owned()));
        for out_of_range in ["limit=0", "limit=11", "limit=-1", "limit=99999999999999999999999"] {
            assert_eq!(limit(out_of_range), (422, "limit".to_owned()), "{out_of_range}");
        }
        assert_eq!(refused(Query::parse("open=1").unwrap().bool("open")), (400, "open".to_owned()));
        assert_eq!(refused(Query::parse("q=abc").unwrap().string("q", 1..=2)), (422, "q".to_owned()));
    }

    #[actix_web::test]
    async fn path_segments_are_decoded_once_and_must_be_utf_8() {
        use actix_web::{App, HttpResponse, test, web};
        async fn echo(req: HttpRequest) -> Result<HttpResponse, Problem> {
            Ok(HttpResponse::Ok().body(path_param(&req, "name")?))
        }
        let app = test::init_service(App::new().route("/users/{name}", web::get().to(echo))).await;
        for (path, name) in [("/users/a%2Fb", "a/b"), ("/users/jos%C3%A9", "josé"), ("/users/a+b", "a+b")] {
            let body = test::call_and_read_body(&app, test::TestRequest::with_uri(path).to_request()).await;
            assert_eq!(body, name.as_bytes(), "{path}");
        }
        let response = test::call_service(&app, test::TestRequest::with_uri("/users/%FF").to_request()).await;
        assert_eq!(response.status(), 400);
    }
}
