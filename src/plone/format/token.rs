//! Tokens of Plone: JSON Web Tokens (RFC 7519) that `@login` returns.

use jiff::Timestamp;
use serde::Deserialize;

/// The claims of a token. They are not verified, because only Plone has the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PloneClaims {
    /// Id of the user.
    pub subject: String,
    /// When the token expires; `None` if the token does not contain an expiry.
    pub expires_at: Option<Timestamp>,
}

/// The encoded form of the claims.
#[derive(Deserialize)]
struct Encoded {
    sub: String,
    // A NumericDate may have a fraction.
    exp: Option<f64>,
}

impl PloneClaims {
    /// Reads the claims of a token without verifying it; `None` if the text is not a token.
    #[must_use]
    pub fn of(token: &str) -> Option<Self> {
        let encoded: Encoded = jsonwebtoken::dangerous::insecure_decode_claims(token).ok()?;
        #[expect(clippy::cast_possible_truncation, reason = "a time in seconds is far from the bounds")]
        let expires_at = encoded.exp.and_then(|seconds| Timestamp::from_second(seconds as i64).ok());
        Some(Self { subject: encoded.sub, expires_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_contain_the_user_and_the_expiry() {
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
