//! Who may call each operation of the API.

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Everyone; the token is not examined.
    Open,
    /// Everyone whose Bearer token, if there is one, is valid.
    Visitor,
    /// Everyone; pages of other sites are refused.
    OwnPage,
    /// Everyone whose credentials, if there are any, are valid; pages of other sites are refused.
    Stream,
    /// Every signed-in user.
    SignedIn,
    /// Everyone with a link to a student's schedule, whatever else the request carries.
    GuardianLink,
    /// Every user who has signed in with the password of a local account, which no caller of the test has.
    LocalAccount,
    /// Students only: staff and admins hold no seats.
    Student,
    /// Instructors, staff and admins. The access of instructors and limited staff depends on the section.
    Roster,
    /// Staff, including limited staff, and admins. The access of limited staff depends on the subject.
    SubjectStaff,
    /// Staff without a limit, and admins.
    Staff,
    /// Admins.
    Admin,
    /// Admins of the sandbox that the path names.
    Sandbox,
}

use Access::{
    Admin, GuardianLink, LocalAccount, Open, OwnPage, Roster, Sandbox, SignedIn, Staff, Stream, Student, SubjectStaff,
    Visitor,
};

/// Every operation of the OpenAPI document. A new operation needs an entry here.
pub(super) const OPERATIONS: &[(&str, &str, Access)] = &[
    ("POST", "/api/v1/login", OwnPage),
    ("POST", "/api/v1/logout", SignedIn),
    ("GET", "/api/v1/me", SignedIn),
    ("GET", "/api/v1/session", Visitor),
    ("POST", "/api/v1/ws-ticket", SignedIn),
    ("GET", "/alerts/ws", OwnPage),
    ("GET", "/alerts/stream", Stream),
    ("GET", "/alerts/feed.atom", Open),
    ("GET", "/alerts/{id}.cap.xml", Open),
    ("POST", "/api/v1/me/password", SignedIn),
    ("GET", "/api/v1/me/totp", SignedIn),
    ("POST", "/api/v1/me/totp", LocalAccount),
    ("DELETE", "/api/v1/me/totp", SignedIn),
    ("GET", "/api/v1/me/sign-ins", SignedIn),
    ("DELETE", "/api/v1/me/sign-ins/{id}", SignedIn),
    ("GET", "/api/v1/me/data", SignedIn),
    ("GET", "/api/v1/me/disclosures", SignedIn),
    ("GET", "/api/v1/me/attempts", SignedIn),
    ("GET", "/api/v1/me/guardian-links", SignedIn),
    ("POST", "/api/v1/me/guardian-links", Student),
    ("DELETE", "/api/v1/me/guardian-links/{id}", SignedIn),
    ("GET", "/api/v1/me/schedule.ics", Student),
    ("GET", "/api/v1/me/schedule-feed", SignedIn),
    ("POST", "/api/v1/me/schedule-feed", Student),
    ("DELETE", "/api/v1/me/schedule-feed", SignedIn),
    ("GET", "/api/v1/schedule-feeds/{secret}", Open),
    ("GET", "/api/v1/shared-schedule", GuardianLink),
    ("GET", "/api/v1/auth/providers", Open),
    ("GET", "/auth/{provider}/login", Open),
    ("GET", "/auth/{provider}/callback", Open),
    ("POST", "/auth/{provider}/backchannel-logout", Open),
    // The catalogue and seats.
    ("GET", "/api/v1/terms", Visitor),
    ("PUT", "/api/v1/terms/{id}", Staff),
    ("GET", "/api/v1/sections", Visitor),
    ("GET", "/api/v1/sections/{id}", Visitor),
    ("PATCH", "/api/v1/sections/{id}", SubjectStaff),
    ("GET", "/api/v1/sections/{id}/roster", Roster),
    ("GET", "/api/v1/sections/{id}/attempts", SubjectStaff),
    ("GET", "/api/v1/me/teaching", Roster),
    ("GET", "/api/v1/seats", Visitor),
    ("GET", "/api/v1/events", Open),
    // A student's own registrations and plan.
    ("GET", "/api/v1/me/registrations", Student),
    ("POST", "/api/v1/me/registrations", Student),
    ("PUT", "/api/v1/me/registrations/{section}", Student),
    ("DELETE", "/api/v1/me/registrations/{section}", Student),
    ("GET", "/api/v1/me/plan", Student),
    ("PUT", "/api/v1/me/plan", Student),
    ("POST", "/api/v1/me/plan/register", Student),
    ("POST", "/api/v1/me/plan/check", Student),
    ("GET", "/api/v1/me/plans", Student),
    ("GET", "/api/v1/me/plans/{name}", Student),
    ("PUT", "/api/v1/me/plans/{name}", Student),
    ("DELETE", "/api/v1/me/plans/{name}", Student),
    ("GET", "/api/v1/dashboard", SignedIn),
    // Alerts and announcements.
    ("GET", "/api/v1/alerts", Visitor),
    ("POST", "/api/v1/alerts", SubjectStaff),
    ("PUT", "/api/v1/alerts/{id}", SubjectStaff),
    ("DELETE", "/api/v1/alerts/{id}", SubjectStaff),
    ("POST", "/api/v1/alerts/{id}/ack", SignedIn),
    ("GET", "/api/v1/alerts/{id}/receipts", SubjectStaff),
    ("GET", "/api/v1/announcements", Visitor),
    // Work of staff.
    ("POST", "/api/v1/students/import", Staff),
    ("GET", "/api/v1/students", SubjectStaff),
    ("GET", "/api/v1/students/{user}/registrations", SubjectStaff),
    ("GET", "/api/v1/students/{user}/plan", Staff),
    ("GET", "/api/v1/students/{user}", Staff),
    ("PUT", "/api/v1/students/{user}", Staff),
    ("GET", "/api/v1/students/{user}/attempts", Staff),
    ("PUT", "/api/v1/students/{user}/registrations/{section}", SubjectStaff),
    ("DELETE", "/api/v1/students/{user}/registrations/{section}", SubjectStaff),
    ("PUT", "/api/v1/students/{user}/registrations/{section}/position", SubjectStaff),
    ("POST", "/api/v1/students/{user}/move", SubjectStaff),
    ("POST", "/api/v1/sections/{id}/move-all", SubjectStaff),
    ("POST", "/api/v1/sections/{id}/merge", SubjectStaff),
    ("POST", "/api/v1/students/{user}/permits", SubjectStaff),
    ("GET", "/api/v1/staff/activity", SubjectStaff),
    ("GET", "/api/v1/staff/demand", SubjectStaff),
    ("POST", "/api/v1/staff/rehearsals", Staff),
    ("GET", "/api/v1/staff/rehearsals/{task}", Staff),
    ("DELETE", "/api/v1/staff/rehearsals/{task}", Staff),
    ("GET", "/api/v1/export/schedule.csv", Staff),
    ("GET", "/api/v1/export/oneroster.zip", Staff),
    ("POST", "/api/v1/imports", SubjectStaff),
    ("GET", "/api/v1/imports/{task}", SubjectStaff),
    ("DELETE", "/api/v1/imports/{task}", SubjectStaff),
    ("GET", "/api/v1/imports/{task}/errors.csv", SubjectStaff),
    ("GET", "/api/v1/import-profiles", SubjectStaff),
    ("GET", "/api/v1/import-profiles/{name}", SubjectStaff),
    ("PUT", "/api/v1/import-profiles/{name}", Staff),
    ("DELETE", "/api/v1/import-profiles/{name}", Staff),
    // Administration.
    ("GET", "/api/v1/admin/audit", Admin),
    ("GET", "/api/v1/admin/metrics", Admin),
    ("GET", "/api/v1/admin/metrics/history", Admin),
    ("GET", "/api/v1/admin/sessions", Admin),
    ("DELETE", "/api/v1/admin/sessions/{id}", Admin),
    ("GET", "/api/v1/admin/users", Admin),
    ("PUT", "/api/v1/admin/users/{name}", Admin),
    ("DELETE", "/api/v1/admin/users/{name}", Admin),
    ("DELETE", "/api/v1/admin/users/{name}/totp", Admin),
    ("POST", "/api/v1/admin/users/{name}/sign-out", Admin),
    ("POST", "/api/v1/admin/users/{name}/erase", Admin),
    ("GET", "/api/v1/admin/demo", Admin),
    ("POST", "/api/v1/admin/demo", Admin),
    ("GET", "/api/v1/admin/demo/{task}", Admin),
    ("PUT", "/api/v1/admin/demo/{task}/link", Admin),
    ("DELETE", "/api/v1/admin/demo/{task}/link", Admin),
    ("GET", "/api/v1/demo-reports/{task}", Open),
    ("PUT", "/api/v1/admin/demo/sandboxes/{term}", Sandbox),
    ("DELETE", "/api/v1/admin/demo/sandboxes/{term}", Sandbox),
    ("GET", "/api/v1/admin/plone", Admin),
    ("POST", "/api/v1/admin/plone/sync", Admin),
    ("GET", "/api/v1/admin/hubs", Admin),
    ("POST", "/api/v1/admin/plone/outbox/resend", Admin),
    // Plone, as the caller's own member or as a visitor.
    ("GET", "/plone/{path}", Visitor),
    ("POST", "/plone/{path}", Visitor),
    ("PATCH", "/plone/{path}", Visitor),
    ("DELETE", "/plone/{path}", Visitor),
    // Operation.
    ("GET", "/healthz", Open),
    ("GET", "/readyz", Open),
    ("GET", "/metrics", Open),
    ("GET", "/api/v1/openapi.json", Open),
];
