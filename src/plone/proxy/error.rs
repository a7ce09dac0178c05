//! Reasons for which the proxy does not forward a request, or has no response for it.

use actix_web::http::{Method, StatusCode};

use crate::plone::port::PloneError;

/// Why a proxied request fails. HTTP turns each case into a problem document; nothing here carries text of Plone's.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The framing of the body is ambiguous (RFC 9112, 6.3 and 11.2): two servers could read it in two ways.
    #[error("ambiguous body framing")]
    AmbiguousFraming,
    /// The request target names a host, as requests to a forward proxy do.
    #[error("absolute request target")]
    AbsoluteTarget,
    /// The request asks for another protocol than HTTP.
    #[error("protocol upgrade")]
    Upgrade,
    /// The method is CONNECT or TRACE.
    #[error("method not allowed")]
    Method,
    /// The path is not below `/plone`.
    #[error("not a path of Plone")]
    NotFound,
    /// The path could leave the site or be read by Zope as an instruction.
    #[error("path refused")]
    Path,
    /// The path leads to the management of Plone's users.
    #[error("user folder refused")]
    UserFolder,
    /// The path or the query would sign in to Plone past the limits of the hub.
    #[error("sign-in past the hub refused")]
    SignIn,
    /// The path changes a password in Plone, and thereby tries the old one.
    #[error("change of password refused")]
    PasswordChange,
    /// The body has a media type that Zope reads as a form, or one that cannot be read.
    #[error("media type refused")]
    MediaType,
    /// A page loads it as a script, worker or plug-in, which would run with the rights of the hub's user.
    #[error("script refused")]
    Script,
    /// A page of another site sent it with the cookie of a user of the hub.
    #[error("foreign origin")]
    ForeignHubPage,
    /// A page of another site sent it to Plone's own origin.
    #[error("foreign origin at Plone's own origin")]
    ForeignPage,
    /// The address of the client sends too many requests.
    #[error("too many requests")]
    RateLimited {
        /// Seconds after which to try again.
        retry_after_s: u32,
    },
    /// The client ended its request before it was complete.
    #[error("request broken off")]
    Aborted,
    /// Plone did not begin to answer in time.
    #[error("no answer in time")]
    Timeout,
    /// Plone could not be reached, or the hub's own bounds are exhausted.
    #[error(transparent)]
    Plone(#[from] PloneError),
    /// Plone refused the request in words that must not be passed on, such as a traceback.
    #[error("Plone answered {0}")]
    Refused(StatusCode),
    /// Plone failed while it handled the request.
    #[error("Plone answered {status} to a proxied {method}")]
    Failed {
        /// The status of Plone's answer.
        status: StatusCode,
        /// The method of the request; an unsafe one may have had an effect.
        method: Method,
    },
}
