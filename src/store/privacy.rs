//! Port for what is stored about one person: its export, and its erasure.

use jiff::{Timestamp, ZonedDateTime};

use crate::domain::ids::{TermId, UserName};
use crate::domain::registration::Registration;
use crate::domain::rights::Rights;
use crate::domain::student::StudentFacts;

use crate::store::StoreFuture;
use crate::store::accounts::User;
use crate::store::guardian_links::GuardianLink;
use crate::store::plans::Plan;
use crate::store::provider_sign_ins::ProviderUser;
use crate::store::schedule_feeds::ScheduleFeed;
use crate::store::sign_ins::StoredSignIn;

/// The small part of what is stored about a person. Lists that may be long are read in pages.
#[derive(Debug, Clone, Default)]
pub struct PersonalRecord {
    /// The local account, or the last token; `None` for a person who has neither.
    pub user: Option<User>,
    /// The last sign-in through Plone.
    pub provider: Option<ProviderSignIn>,
    /// Who the person is at a provider of single sign-on.
    pub single_sign_on: Option<ProviderUser>,
    /// The stored sign-ins, oldest first. The tokens of some may have expired.
    pub sign_ins: Vec<StoredSignIn>,
    /// The links to the schedule, oldest first. Expired ones are deleted when the next link is made.
    pub guardian_links: Vec<GuardianLink>,
    /// The feed of the schedule.
    pub schedule_feed: Option<ScheduleFeed>,
    /// When the second factor of the local account was set up.
    pub second_factor_since: Option<Timestamp>,
    /// Tokens that were issued up to this time are revoked.
    pub revoked_until: Option<Timestamp>,
    /// What the college states about the person as a student.
    pub facts: Option<StudentFacts>,
    /// The plans, by name.
    pub plans: Vec<Plan>,
    /// The registrations in all terms, including dropped ones.
    pub registrations: Vec<(TermId, Registration)>,
    /// The terms in which the person has attempts. They are read in pages; see [`crate::store::attempts`].
    pub attempt_terms: Vec<TermId>,
}

/// The last sign-in of a person through Plone. The stored token and password hash stay in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSignIn {
    /// The name that the person typed.
    pub login: String,
    /// The display name.
    pub name: String,
    /// The role, and for staff the subjects to which they are limited.
    pub rights: Rights,
    /// When Plone last accepted a password.
    pub at: Timestamp,
}

/// An alert that was sent to a person by name, or as a member of a section or course.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonalAlert {
    /// The alert's id.
    pub id: String,
    /// The title.
    pub title: String,
    /// The message.
    pub message: String,
    /// When the hub accepted it.
    pub created_at: Timestamp,
}

/// An acknowledgement of an alert by a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonalAck {
    /// The alert's id.
    pub alert: String,
    /// When the person acknowledged it.
    pub at: Timestamp,
}

/// A person to erase.
#[derive(Debug, Clone)]
pub struct Erasure {
    /// The person.
    pub user: UserName,
    /// The name that the person typed at the last sign-in through Plone, if it differs from the username.
    pub login: Option<String>,
    /// The name that replaces the username.
    pub pseudonym: UserName,
    /// The time in the college's time zone. Its date decides which terms have ended.
    pub now: ZonedDateTime,
}

/// The outcome of an erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErasureOutcome {
    /// Nothing is stored about the person.
    Unknown,
    /// The person is enrolled or waitlisted, or is offered a seat, in these terms, which have not ended.
    Registered(Vec<TermId>),
    /// The person was erased. The registrations and attempts of these terms have the pseudonym now.
    Erased(Vec<TermId>),
}

/// A store of what is known about people.
pub trait PrivacyStore: Send + Sync {
    /// Returns the small part of what is stored about a person.
    fn record_of(&self, user: &UserName) -> StoreFuture<PersonalRecord>;
    /// Returns at most `limit` alerts that were sent to a person, after the one with the id `after`, by id.
    fn alerts_to(&self, user: &UserName, after: Option<String>, limit: u32) -> StoreFuture<Vec<PersonalAlert>>;
    /// Returns at most `limit` acknowledgements of a person, after that of the alert `after`, by alert.
    fn acks_of(&self, user: &UserName, after: Option<String>, limit: u32) -> StoreFuture<Vec<PersonalAck>>;
    /// Returns the terms that have not ended in which a person is enrolled or waitlisted, or is offered a seat, in order.
    fn current_terms_of(&self, user: &UserName, now: ZonedDateTime) -> StoreFuture<Vec<TermId>>;
    /// Replaces a person's name with a pseudonym in everything that stays, and deletes the rest, in one commit. Does
    /// nothing if the person is registered in a term that has not ended.
    ///
    /// During the call, the registrars of the person's terms must commit nothing; after it, they must load their terms
    /// again.
    fn erase(&self, erasure: Erasure) -> StoreFuture<ErasureOutcome>;
}
