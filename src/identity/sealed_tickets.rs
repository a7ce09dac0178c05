//! Tickets that every hub on a shared store accepts: the hub that issues one encrypts the caller into it, and the hub
//! that redeems it records in the store that it was used.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::ids::UserName;
use crate::domain::realm::Realm;
use crate::domain::rights::{Rights, Subjects};
use crate::domain::role::Role;
use crate::identity::sealing::SealingKey;
use crate::identity::ticket::TICKET_TTL;
use crate::identity::{Caller, Source};
use crate::store::StoreError;

/// The purpose of the key, and what is authenticated with each ticket. A token is signed with another key, so that
/// neither can be used as the other.
const PURPOSE: &str = "tickets for WebSockets";
/// The longest ticket that is decrypted, in bytes: that of staff with a full list of subjects has about 4,000.
const TICKET_LEN_MAX: usize = 6_144;

/// The keys with which tickets are encrypted and decrypted.
pub(super) struct SealedTickets {
    current: SealingKey,
    /// The key of hubs that have not been restarted with the new secret yet.
    previous: Option<SealingKey>,
}

/// The content of a ticket.
#[derive(Serialize, Deserialize)]
struct Content {
    id: Uuid,
    until: Timestamp,
    user: String,
    name: String,
    role: Role,
    subjects: Option<Subjects>,
    source: Source,
    #[serde(default)]
    plone_user: Option<String>,
    token: Uuid,
    issued_ms: i64,
    expires_at: Timestamp,
}

/// A ticket that has not expired. The store records whether it was used.
pub(super) struct Opened {
    pub(super) id: Uuid,
    pub(super) caller: Caller,
}

impl SealedTickets {
    /// Derives the keys.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub(super) fn new(secret: &SecretString, previous: Option<&SecretString>) -> Result<Self, StoreError> {
        let failed = |_| StoreError::Unavailable("the key of tickets could not be derived".to_owned());
        let derive = |secret| SealingKey::derive(secret, PURPOSE.as_bytes()).map_err(failed);
        Ok(Self { current: derive(secret)?, previous: previous.map(derive).transpose()? })
    }

    /// Issues a ticket. Returns `None` if the cryptographic library fails, and for a caller whose token is confined to
    /// a sandbox, which has no live sessions.
    pub(super) fn seal(&self, caller: &Caller, now: Timestamp) -> Option<String> {
        if caller.realm.is_sandbox() {
            return None;
        }
        let content = Content {
            id: Uuid::now_v7(),
            until: now.checked_add(TICKET_TTL).ok()?,
            user: caller.user.as_str().to_owned(),
            name: caller.name.as_ref().to_owned(),
            role: caller.role,
            subjects: caller.subjects.clone(),
            source: caller.source.clone(),
            plone_user: caller.plone_user.as_ref().map(ToString::to_string),
            token: caller.token_id,
            issued_ms: caller.issued_ms,
            expires_at: caller.expires_at,
        };
        let sealed = self.current.seal(PURPOSE, &serde_json::to_vec(&content).ok()?).ok()?;
        Some(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Reads a ticket; `None` if no hub issued it or it has expired.
    pub(super) fn open(&self, ticket: &str, now: Timestamp) -> Option<Opened> {
        if ticket.len() > TICKET_LEN_MAX {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(ticket).ok()?;
        let opened = self.current.open(PURPOSE, &sealed).or_else(|| self.previous.as_ref()?.open(PURPOSE, &sealed))?;
        let content: Content = serde_json::from_slice(&opened).ok()?;
        // The name of a role does not say that it is limited to subjects.
        let rights = Rights::new(content.role, content.subjects);
        let caller = Caller {
            user: UserName::stored(&content.user).ok()?,
            name: content.name.into(),
            role: rights.role(),
            subjects: rights.subjects().cloned(),
            source: content.source,
            plone_user: content.plone_user.as_deref().map(UserName::stored).transpose().ok()?,
            token_id: content.token,
            issued_ms: content.issued_ms,
            expires_at: content.expires_at,
            realm: Realm::College,
        };
        (now < content.until).then_some(Opened { id: content.id, caller })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::identity::SignInOrigin;
    use crate::identity::token::Tokens;

    const SECRET: &str = "a secret of more than thirty-two bytes";

    fn tickets(secret: &str, previous: Option<&str>) -> SealedTickets {
        SealedTickets::new(&SecretString::from(secret), previous.map(SecretString::from).as_ref()).unwrap()
    }

    fn caller(now: Timestamp) -> Caller {
        caller_with(Role::Staff, now)
    }

    fn caller_with(rights: impl Into<Rights>, now: Timestamp) -> Caller {
        let tokens = Tokens::new(&SecretString::from(SECRET));
        let user = UserName::parse("ann").unwrap();
        let origin = SignInOrigin { source: Source::Proxy, plone_user: UserName::parse("ann.lee").ok() };
        tokens.mint_with_origin(origin, &user, Some("Ann Lee"), rights, Duration::from_secs(60), now).unwrap().caller
    }

    #[test]
    fn another_hub_reads_a_ticket_until_it_expires() {
        let now = Timestamp::from_millisecond(1_800_000_000_123).unwrap();
        let ticket = tickets(SECRET, None).seal(&caller(now), now).unwrap();
        assert!(!ticket.contains("ann"));
        let other = tickets(SECRET, None);
        let opened = other.open(&ticket, now).unwrap();
        assert_eq!(opened.caller, caller_with_token(&opened.caller, now));
        assert!(other.open(&ticket, now + TICKET_TTL).is_none());
        let again = other.seal(&opened.caller, now).unwrap();
        assert_ne!(other.open(&again, now).unwrap().id, opened.id, "each ticket has its own id");
    }

    /// Returns the caller with the random id of the token of `of`.
    fn caller_with_token(of: &Caller, now: Timestamp) -> Caller {
        Caller { token_id: of.token_id, ..caller(now) }
    }

    #[test]
    fn a_ticket_keeps_the_role_and_the_limit_to_subjects() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let limited = Rights::new(Role::Staff, Some(Subjects::parse(&["MATH"]).unwrap()));
        for rights in Role::NAMED.map(Rights::from).into_iter().chain([limited]) {
            let caller = caller_with(rights, now);
            let ticket = tickets(SECRET, None).seal(&caller, now).unwrap();
            assert_eq!(tickets(SECRET, None).open(&ticket, now).unwrap().caller, caller);
        }
    }

    #[test]
    fn a_ticket_of_the_previous_secret_is_read_and_others_are_not() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let (new, foreign) = ("a new secret of at least thirty-two bytes", "one of another college, at least 32 bytes");
        let ticket = tickets(SECRET, None).seal(&caller(now), now).unwrap();
        assert!(tickets(new, Some(SECRET)).open(&ticket, now).is_some());
        assert!(tickets(new, None).open(&ticket, now).is_none());
        assert!(tickets(foreign, None).open(&ticket, now).is_none());
        for bad in ["", "x", &ticket[1..], &"A".repeat(TICKET_LEN_MAX + 1)] {
            assert!(tickets(SECRET, None).open(bad, now).is_none(), "{bad:.40}");
        }
    }
}
