//! Doors beside Plone's REST API through which a field may be read although the API keeps it back: Plone 6.2 asks for a
//! field's own permission in its API and its pages, and not here.

use std::sync::Arc;

use actix_web::http::StatusCode;
use secrecy::SecretString;

use crate::plone::port::PloneError;
use crate::plone::rest::client::Inner;
use crate::plone::rest::gate::CallOutcome;
use crate::plone::rest::transport::Call;
use crate::text::percent;

impl Inner {
    /// Whether a field of the item at this (encoded) path is shown beside the API, to the bearer of a token or to a
    /// visitor.
    pub(super) async fn is_shown_elsewhere(
        &self,
        token: Option<&Arc<SecretString>>,
        path: &str,
        field: &str,
    ) -> Result<bool, PloneError> {
        // The item as text, made for FTP and WebDAV: all of its fields, whether they have a value or not.
        let text = self.page(token, format!("{path}/manage_FTPget")).await?;
        if text.is_some_and(|text| has_header(&text, field)) {
            return Ok(true);
        }
        // One widget of the item's view, by its address.
        let widget = format!("{path}/@@view/++widget++{}", percent::piece(field));
        Ok(self.page(token, widget).await?.is_some())
    }

    /// A page of Plone's own, as it is; none when it is not shown: Plone sends who may not see it to its sign-in.
    async fn page(&self, token: Option<&Arc<SecretString>>, path: String) -> Result<Option<Vec<u8>>, PloneError> {
        let call = Call { token: token.cloned(), accept: "*/*", ..Call::get(path) };
        let mut answer = self.transport.send(call, self.transport.deadline()).await?;
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
        if status.is_server_error() {
            answer.pass.failed(CallOutcome::Failed);
            return Err(PloneError::Failed(format!("status {status} at a page")));
        }
        answer.pass.answered();
        Ok(status.is_success().then(|| answer.body.to_vec()))
    }
}

/// Whether a message (RFC 822) has a header of this name. A value that goes on over lines is told by the space before.
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
    fn a_header_is_found_whatever_its_value() {
        let text = b"title: Calculus\nroster: \ncapacity: 3\r\nNotes: a roster:\n roster2: b\n";
        for name in ["roster", "notes", "capacity", "title"] {
            assert!(has_header(text, name), "{name}");
        }
        for name in ["roster2", "rost", "seats", ""] {
            assert!(!has_header(text, name), "{name}");
        }
    }
}
