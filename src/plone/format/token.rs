//! Plone's tokens: JSON Web Tokens (RFC 7519), as `@login` answers them.

use jiff::Timestamp;
use serde::Deserialize;

/// What a token says. Only Plone can tell whether it is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PloneClaims {
    /// The user's id.
    pub subject: String,
    /// When the token ends; none: Plone did not say.
    pub expires_at: Option<Timestamp>,
}

/// The claims as they are written.
#[derive(Deserialize)]
struct Written {
    sub: String,
    // A NumericDate may have a fraction.
    exp: Option<f64>,
}

impl PloneClaims {
    /// Reads a token without verifying it. None when it is not one.
    #[must_use]
    pub fn of(token: &str) -> Option<Self> {
        let written: Written = jsonwebtoken::dangerous::insecure_decode_claims(token).ok()?;
        #[expect(clippy::cast_possible_truncation, reason = "a time in seconds is far from the bounds")]
        let expires_at = written.exp.and_then(|seconds| Timestamp::from_second(seconds as i64).ok());
        Some(Self { subject: written.sub, expires_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_for_whom_it_is_and_until_when() {
        let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
            eyJzdWIiOiJlZHVodWIiLCJleHAiOjE3OTU1MjIxMDUsImZ1bGxuYW1lIjoiRWR1SHViIn0.x";
        let claims = PloneClaims::of(token).unwrap();
        assert_eq!(claims.subject, "eduhub");
        assert_eq!(claims.expires_at, Timestamp::from_second(1_795_522_105).ok());
        for bad in ["", "abc", "a.b.c", "a.!!.c", "a.e30.c"] {
            assert_eq!(PloneClaims::of(bad), None, "{bad}");
        }
    }
}
