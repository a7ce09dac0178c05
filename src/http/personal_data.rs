//! What the hub stores about a person, as the person exports it.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ids::{SectionId, UserName};
use crate::domain::registration::RegistrationStatus;
use crate::domain::rights::Subjects;
use crate::domain::role::Role;
use crate::identity::Caller;
use crate::live::context::Live;
use crate::store::accounts::{DisclosureEntry, User, UserSource};
use crate::store::guardian_links::GuardianLink;
use crate::store::privacy::{PersonalRecord, ProviderSignIn};
use crate::store::sign_ins::StoredSignIn;

use crate::http::attempts::AttemptItem;
use crate::http::plan::NamedPlanResponse;
use crate::http::students::FactsResponse;
use crate::http::waitlist_choices::ChoicesResponse;

/// Everything that the hub stores about the caller. Passwords and tokens are not part of it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a response that is written in parts")]
pub(super) struct PersonalData {
    /// When the export began.
    generated_at: Timestamp,
    username: UserName,
    /// The account, or what the last token stated; null if neither is stored.
    #[schema(required)]
    user: Option<PersonalUser>,
    /// The last sign-in whose password a provider such as Plone checked.
    #[schema(required)]
    provider: Option<PersonalSignIn>,
    /// The caller's identity at a provider of single sign-on; null without one.
    #[schema(required)]
    single_sign_on: Option<PersonalIdentity>,
    /// The sign-ins that have not expired, oldest first.
    sign_ins: Vec<PersonalDevice>,
    /// The links with which a parent or guardian reads the schedule.
    guardian_links: Vec<PersonalLink>,
    /// When the feed of the schedule for calendar programs was created; null without one.
    #[schema(required)]
    schedule_feed_since: Option<Timestamp>,
    /// When the second factor of the local account was set up.
    #[schema(required)]
    second_factor_since: Option<Timestamp>,
    /// Tokens that were issued up to this time are revoked.
    #[schema(required)]
    revoked_until: Option<Timestamp>,
    /// What the college states about the caller as a student; null if it states nothing.
    #[schema(required)]
    student: Option<FactsResponse>,
    /// The sections of the plan `default`.
    plan: Vec<SectionId>,
    /// All plans, by name.
    plans: Vec<NamedPlanResponse>,
    /// All registrations, including dropped ones.
    registrations: Vec<PersonalRegistration>,
    /// The caller's connections at this moment.
    connections: Vec<PersonalConnection>,
    /// Decided requests, and decisions about waitlist positions and offers, newest first.
    attempts: Vec<AttemptItem>,
    /// Alerts that were sent to the caller by name, or as a student in a section or course.
    alerts: Vec<PersonalAlertItem>,
    /// The alerts that the caller acknowledged.
    acknowledgements: Vec<PersonalAckItem>,
    /// Entries of the audit trail by the caller or about the caller, newest first.
    audit: Vec<PersonalAuditItem>,
    /// Who has read data about the caller, newest first.
    disclosures: Vec<DisclosureItem>,
}

/// The part of [`PersonalData`] that is sent first.
#[derive(Serialize)]
pub(super) struct Head {
    generated_at: Timestamp,
    username: UserName,
    user: Option<PersonalUser>,
    provider: Option<PersonalSignIn>,
    single_sign_on: Option<PersonalIdentity>,
    sign_ins: Vec<PersonalDevice>,
    guardian_links: Vec<PersonalLink>,
    schedule_feed_since: Option<Timestamp>,
    second_factor_since: Option<Timestamp>,
    revoked_until: Option<Timestamp>,
    student: Option<FactsResponse>,
    plan: Vec<SectionId>,
    plans: Vec<NamedPlanResponse>,
    registrations: Vec<PersonalRegistration>,
    connections: Vec<PersonalConnection>,
}

/// The caller's account, or what the last token stated.
#[derive(Serialize, ToSchema)]
pub(super) struct PersonalUser {
    name: String,
    role: Role,
    /// The subjects to which staff are limited; absent without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>, required = false, nullable = false)]
    subjects: Option<Subjects>,
    source: UserSource,
    #[schema(required)]
    last_seen: Option<Timestamp>,
}

/// A sign-in whose password a provider such as Plone checked.
#[derive(Serialize, ToSchema)]
pub(super) struct PersonalSignIn {
    /// The name that was typed.
    login: String,
    name: String,
    role: Role,
    /// The subjects to which staff are limited; absent without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>, required = false, nullable = false)]
    subjects: Option<Subjects>,
    at: Timestamp,
}

/// A person's identity at a provider of single sign-on.
#[derive(Serialize, ToSchema)]
pub(super) struct PersonalIdentity {
    /// The provider, such as `oidc:college`.
    source: String,
    /// The name that the provider gives itself.
    issuer: String,
    /// The provider's permanent id of the person.
    subject: String,
    name: String,
    role: Role,
    /// The subjects to which staff are limited; absent without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>, required = false, nullable = false)]
    subjects: Option<Subjects>,
}

/// A sign-in that has not expired.
#[derive(Serialize, ToSchema)]
pub(super) struct PersonalDevice {
    /// The browser's `User-Agent`.
    device: String,
    /// The address at the sign-in.
    address: String,
    since: Timestamp,
    last_seen: Timestamp,
    expires_at: Timestamp,
}

/// A link with which a parent or guardian reads the schedule.
#[derive(Serialize, ToSchema)]
pub(super) struct PersonalLink {
    label: String,
    created_at: Timestamp,
    expires_at: Timestamp,
}

/// A registration.
#[derive(Serialize, ToSchema)]
pub(super) struct PersonalRegistration {
    section: SectionId,
    status: RegistrationStatus,
    /// When this status began.
    at: Timestamp,
    #[serde(flatten)]
    choices: ChoicesResponse,
}

/// An open connection.
#[derive(Serialize, ToSchema)]
pub(super) struct PersonalConnection {
    ip: String,
    user_agent: String,
    connected_at: Timestamp,
}

/// An alert to the caller.
#[derive(Serialize, ToSchema)]
pub(super) struct PersonalAlertItem {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) message: String,
    pub(super) created_at: Timestamp,
}

/// An acknowledgement of an alert.
#[derive(Serialize, ToSchema)]
pub(super) struct PersonalAckItem {
    pub(super) alert: String,
    pub(super) at: Timestamp,
}

/// An entry of the audit trail by the caller or about the caller.
#[derive(Serialize, ToSchema)]
pub(super) struct PersonalAuditItem {
    pub(super) at: Timestamp,
    /// Whether the caller did it.
    pub(super) by_me: bool,
    /// The role of the person who did it; null for a visitor.
    #[schema(required)]
    pub(super) role: Option<Role>,
    /// The address; null if another user did it.
    #[schema(required)]
    pub(super) ip: Option<String>,
    pub(super) action: String,
    #[schema(required)]
    pub(super) subject: Option<String>,
    #[schema(required)]
    pub(super) section: Option<SectionId>,
    pub(super) detail: String,
}

/// A read of data about the caller. Reads of the same resource by the same person within five minutes are one item.
#[derive(Serialize, ToSchema)]
pub(super) struct DisclosureItem {
    at: Timestamp,
    /// The display name of the person who read it; null if the hub has none.
    #[schema(required)]
    name: Option<String>,
    /// The role of that person at the time.
    #[schema(required)]
    role: Option<Role>,
    /// What was read: `roster.read`, `roster.export`, `enrollments.export`, `receipts.read`, `users.list`,
    /// `sessions.list`, `audit.read`, `student.search`, `student.read`, `attempts.read`, or `schedule.shared`: the
    /// schedule, by a link that the caller created.
    action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    section: Option<SectionId>,
}

impl From<DisclosureEntry> for DisclosureItem {
    fn from(entry: DisclosureEntry) -> Self {
        let DisclosureEntry { number: _, at, name, role, action, section } = entry;
        Self { at, name, role, action, section }
    }
}

impl Head {
    pub(super) fn new(caller: &Caller, record: PersonalRecord, live: &Live, now: Timestamp) -> Self {
        let sessions = live.presence.sessions();
        let own = sessions.iter().filter(|session| session.identity().is_some_and(|(user, _)| *user == caller.user));
        let user = |User { name, role, subjects, source, last_seen, .. }| PersonalUser {
            name,
            role,
            subjects,
            source,
            last_seen,
        };
        let sign_in = |ProviderSignIn { login, name, rights, at }| PersonalSignIn {
            login,
            name,
            role: rights.role(),
            subjects: rights.subjects().cloned(),
            at,
        };
        let device = |one: StoredSignIn| PersonalDevice {
            device: one.device,
            address: one.address,
            since: one.since,
            last_seen: one.last_seen,
            expires_at: one.expires_at,
        };
        let link = |GuardianLink { id: _, student: _, label, created_at, expires_at }| PersonalLink {
            label,
            created_at,
            expires_at,
        };
        let registrations = record.registrations.into_iter().map(|(term, registration)| PersonalRegistration {
            choices: ChoicesResponse::new(&term, registration.choices.as_deref()),
            section: SectionId { term, crn: registration.crn },
            status: registration.status,
            at: registration.at,
        });
        let default = record.plans.iter().filter(|plan| plan.name.is_default());
        let planned = default.flat_map(|plan| &plan.sections).map(|planned| planned.section.clone()).collect();
        Self {
            generated_at: now,
            username: caller.user.clone(),
            user: record.user.map(user),
            provider: record.provider.map(sign_in),
            single_sign_on: record.single_sign_on.map(|user| PersonalIdentity {
                source: user.source,
                issuer: user.issuer,
                subject: user.subject,
                name: user.name,
                role: user.rights.role(),
                subjects: user.rights.subjects().cloned(),
            }),
            sign_ins: record.sign_ins.into_iter().map(device).collect(),
            guardian_links: record.guardian_links.into_iter().map(link).collect(),
            schedule_feed_since: record.schedule_feed.map(|feed| feed.created_at),
            second_factor_since: record.second_factor_since,
            revoked_until: record.revoked_until,
            student: record.facts.map(|facts| FactsResponse::new(caller.user.clone(), facts)),
            plan: planned,
            plans: record.plans.into_iter().map(NamedPlanResponse::from).collect(),
            registrations: registrations.collect(),
            connections: own
                .map(|session| PersonalConnection {
                    ip: session.address.to_string(),
                    user_agent: session.user_agent.as_ref().to_owned(),
                    connected_at: session.connected_at,
                })
                .collect(),
        }
    }
}
