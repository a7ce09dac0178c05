//! Addresses at which Plone may expose a field that its REST API protects. Plone 6.2 checks the read permission of a
//! field in the API and on its pages, but not at these addresses.

use std::sync::Arc;

use actix_web::http::StatusCode;
use bytes::Bytes;
use secrecy::SecretString;

use crate::plone::port::PloneError;
use crate::plone::rest::client::Inner;
use crate::plone::rest::limiter::CallOutcome;
use crate::plone::rest::transport::Call;
use crate::text::percent;

impl Inner {
    /// Returns true if a field of the item at this encoded path is exposed outside of the API: to the user with this
    /// token, or to visitors for `None`.
    pub(super) async fn is_exposed(
        &self,
        token: Option<&Arc<SecretString>>,
        path: &str,
        field: &str,
    ) -> Result<bool, PloneError> {
        // Plone's text form of an item for FTP and WebDAV contains every field, including empty ones.
        let text = self.page(token, format!("{path}/manage_FTPget")).await?;
        if text.is_some_and(|text| has_header(&text, field)) {
            return Ok(true);
        }
        // The field's widget in the item's view.
        let widget = format!("{path}/@@view/++widget++{}", percent::encode_segment(field));
        Ok(self.page(token, widget).await?.is_some())
    }

    /// Fetches an HTML or text page. Returns `None` if the viewer may not see it; Plone then redirects to its sign-in
    /// page.
    async fn page(&self, token: Option<&Arc<SecretString>>, path: String) -> Result<Option<Bytes>, PloneError> {
        let call = Call { token: token.cloned(), accept: "*/*", ..Call::get(path) };
        let mut response = self.transport.send(call, self.transport.deadline()).await?;
        let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::BAD_GATEWAY);
        if status.is_server_error() {
            response.permit.failed(CallOutcome::Failed);
            return Err(PloneError::Failed(format!("status {status} for a page")));
        }
        response.permit.answered();
        Ok(status.is_success().then_some(response.body))
    }
}

/// Returns true if a message (RFC 822) has a header field with this name. Continuation lines begin with a space.
fn has_header(text: &[u8], name: &str) -> bool {
    text.split(|byte| *byte == b'\n').any(|line| {
        line.split_at_checked(name.len())
            .is_some_and(|(start, rest)| start.eq_ignore_ascii_case(name.as_bytes()) && rest.starts_with(b":"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_with_and_without_a_value() {
        let text = b"title: Calculus\nroster: \ncapacity: 3\r\nNotes: a roster:\n roster2: b\n";
        for name in ["roster", "notes", "capacity", "title"] {
            assert!(has_header(text, name), "{name}");
        }
        for name in ["roster2", "rost", "seats", ""] {
            assert!(!has_header(text, name), "{name}");
        }
    }
}
