//! Audit entries of writes to Plone through the proxy: who, the method, the path, and Plone's status.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::domain::audit_detail::AuditDetail;
use crate::identity::{Audit, Caller};
use crate::plone::proxy::claimed_user;
use crate::plone::proxy::error::ProxyError;
use crate::store::accounts::AuditEntry;

/// The action of a write that was forwarded.
const WRITE: &str = "plone.write";
/// The action of a request that would have changed Plone's users, rights or settings.
const REFUSED: &str = "plone.refused";
/// The longest path in an entry, in characters.
const PATH_CHARS_MAX: usize = 300;

/// A write that was forwarded. Its entry is stored before the response is sent. If the request ends without a response,
/// the write may still have happened, so its entry is queued.
pub(super) struct ForwardedWrite {
    req: HttpRequest,
    audit: Data<Audit>,
    caller: Option<Caller>,
    /// The user whom Plone's own sign-in names in the request; `None` for a user of the hub.
    plone_user: Option<String>,
    outcome: Option<Result<u16, NoResponse>>,
    is_recorded: bool,
}

/// The outcome of a write to which Plone did not respond.
#[derive(Debug, Clone, Copy)]
struct NoResponse;

impl ForwardedWrite {
    /// Begins an entry; `None` if the request only reads. `caller` is the hub's user.
    pub(super) fn begin(req: &HttpRequest, caller: Option<Caller>) -> Option<Self> {
        if req.method().is_safe() {
            return None;
        }
        let audit = req.app_data::<Data<Audit>>()?.clone();
        let plone_user = if caller.is_none() { claimed_user(req.headers()) } else { None };
        Some(Self { req: req.clone(), audit, caller, plone_user, outcome: None, is_recorded: false })
    }

    /// Stores the entry. This comes before the body of the response is streamed.
    pub(super) async fn finish(mut self, response: &Result<HttpResponse, ProxyError>) {
        self.outcome = Some(match response {
            Ok(response) => Ok(response.status().as_u16()),
            Err(ProxyError::Refused(status) | ProxyError::Failed { status, .. }) => Ok(status.as_u16()),
            Err(_) => Err(NoResponse),
        });
        let entry = self.take_entry();
        if let Some(entry) = entry {
            self.audit.append_stored(entry).await;
        }
    }

    /// Returns whether a write without a sign-in at the hub changed nothing: visitors, even with a made-up cookie of
    /// Plone, could fill the audit trail with such entries.
    fn is_refused_visitor(&self) -> bool {
        let is_refused = match self.outcome {
            Some(Ok(status)) => status >= StatusCode::BAD_REQUEST.as_u16(),
            Some(Err(_)) => true,
            None => false,
        };
        self.caller.is_none() && is_refused
    }

    /// Returns the entry, once; `None` for a write that is not recorded.
    fn take_entry(&mut self) -> Option<AuditEntry> {
        if std::mem::replace(&mut self.is_recorded, true) || self.is_refused_visitor() {
            return None;
        }
        let method = self.req.method().to_string();
        let mut detail = match self.outcome {
            Some(Ok(status)) => AuditDetail::PloneStatus { method, status: status.into() },
            Some(Err(NoResponse)) => AuditDetail::PloneSilent { method },
            None => AuditDetail::PloneEnded { method },
        };
        if let Some(user) = &self.plone_user {
            detail = AuditDetail::AsPloneUser { what: Box::new(detail), user: user.to_string() };
        }
        let path = path_of(&self.req);
        self.audit.entry(&self.req, self.caller.as_ref(), WRITE, Some(&path), None, detail)
    }
}

impl Drop for ForwardedWrite {
    fn drop(&mut self) {
        if let Some(entry) = self.take_entry() {
            self.audit.append(entry);
        }
    }
}

/// Stores an entry for a signed-in user whose request would have changed Plone's users, rights or settings.
pub(super) async fn record_refusal(req: &HttpRequest, caller: Option<&Caller>, error: &ProxyError) {
    if let (Some(caller), ProxyError::Management, Some(audit)) = (caller, error, req.app_data::<Data<Audit>>()) {
        audit.record(req, Some(caller), REFUSED, Some(&path_of(req)), None, req.method().as_str()).await;
    }
}

fn path_of(req: &HttpRequest) -> String {
    req.path().chars().take(PATH_CHARS_MAX).collect()
}
