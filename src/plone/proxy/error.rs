//! Errors of the proxy.

use actix_web::http::{Method, StatusCode};

use crate::plone::port::PloneError;

/// Why a request is not forwarded, or has no response that may be passed on. `http` converts it to a problem document.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The framing of the body is ambiguous: two servers could parse it differently (RFC 9112, 6.3 and 11.2).
    #[error("ambiguous body framing")]
    AmbiguousFraming,
    /// The request target contains a host, as in requests to a forward proxy.
    #[error("absolute request target")]
    AbsoluteTarget,
    /// The request asks for an upgrade to another protocol.
    #[error("protocol upgrade")]
    Upgrade,
    /// The method is CONNECT or TRACE.
    #[error("method not allowed")]
    Method,
    /// The path is not below `/plone`.
    #[error("not a path of Plone")]
    NotFound,
    /// The path could lead out of the site, or Zope could read it as an instruction.
    #[error("path refused")]
    Path,
    /// The path leads to the management of Plone's users.
    #[error("user folder refused")]
    UserFolder,
    /// The path or the query would sign in to Plone and bypass the hub's limits on attempts.
    #[error("sign-in to Plone refused")]
    SignIn,
    /// The query contains a password, or selects the method that is called.
    #[error("password in an address refused")]
    PasswordInAddress,
    /// A form contains a password, but its path is not that of a sign-in page.
    #[error("password in another form refused")]
    PasswordElsewhere,
    /// The body of a sign-in to Plone is too long, or Plone might read it differently.
    #[error("unreadable sign-in")]
    UnreadableSignIn,
    /// Too many sign-ins of the account have failed.
    #[error("too many failed sign-ins")]
    SignInsLimited {
        /// Number of seconds after which the client may retry.
        retry_after_s: u32,
    },
    /// The path changes a password in Plone, for which Plone checks the old one.
    #[error("change of password refused")]
    PasswordChange,
    /// The request could change Plone's users, rights, settings or add-ons.
    #[error("management of Plone refused")]
    Management,
    /// The response would list Plone's users or groups, and the sender is not an administrator.
    #[error("list of people refused")]
    People,
    /// The media type of the body is ambiguous or invalid, or Zope would read it as a form.
    #[error("media type refused")]
    MediaType,
    /// A page requests the resource as a script, worker or plug-in, which would run with the rights of the hub's user.
    #[error("script refused")]
    Script,
    /// The request could change something with a Plone cookie, but does not come from a page of the hub.
    #[error("foreign origin")]
    ForeignHubPage,
    /// The request to Plone's own origin could change something, but comes from a page of another origin.
    #[error("foreign origin at Plone's own origin")]
    ForeignPage,
    /// The client's address sent too many requests.
    #[error("too many requests")]
    RateLimited {
        /// Number of seconds after which the client may retry.
        retry_after_s: u32,
    },
    /// The client closed the connection before its request was complete.
    #[error("request aborted by the client")]
    Aborted,
    /// Plone did not begin to respond in time.
    #[error("no response in time")]
    Timeout,
    /// Plone could not be reached, or too many calls are in flight.
    #[error(transparent)]
    Plone(#[from] PloneError),
    /// Plone refused the request with a body that must not be passed on, such as a traceback.
    #[error("Plone responded with status {0}")]
    Refused(StatusCode),
    /// Plone responded with a server error.
    #[error("Plone responded with status {status} to a proxied {method}")]
    Failed {
        /// The status of Plone's response.
        status: StatusCode,
        /// The method of the request; an unsafe one may have had an effect.
        method: Method,
    },
}
