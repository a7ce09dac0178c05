//! Recognizes the details of entries that earlier versions stored, from their English texts. Those versions stored no
//! code. New entries store it ([`Detail::coded`]), so a new text needs no recognition here.

use std::collections::BTreeMap;

use crate::domain::audit_detail::detail::FIELDS;
use crate::domain::audit_detail::{AuditDetail, Detail};
use crate::domain::coded_text::{Arg, CodedText};

/// The fields of a section in the detail of a change, in the order in which they are written.
const SECTION_FIELDS: [&str; 11] = [
    "capacity",
    "waitlist_capacity",
    "outside_enrolled",
    "outside_waitlisted",
    "status",
    "linked",
    "cross_listed",
    "reserved",
    "restrictions",
    "repeat_limit",
    "prerequisites",
];
/// The fields of a term.
const TERM_FIELDS: [&str; 14] = [
    "title",
    "starts_on",
    "ends_on",
    "opens_at",
    "closes_at",
    "windows",
    "holidays",
    "add_until",
    "drop_until",
    "waitlist_until",
    "waitlist",
    "offer_s",
    "offer_first_day_s",
    "waitlist_priority",
];
/// The fields of a student record.
const STUDENT_FIELDS: [&str; 7] =
    ["holds", "credit_min", "credit_limit", "groups", "opens_at", "closes_at", "completed"];

/// Returns the code and the values of the detail of an entry that has no stored code; `None` for a name, an id, JSON,
/// or another text that needs no translation. A text can be ambiguous, such as a reason that begins like another part.
#[must_use]
pub fn coded(action: &str, text: &str) -> Option<CodedText> {
    match action {
        "term.change" => fields(text, &TERM_FIELDS),
        "section.change" => match merged(text) {
            None => fields(text, &SECTION_FIELDS),
            merged => CodedText::of(&merged?),
        },
        "student.change" => match text.strip_prefix("stated by ") {
            None => fields(text, &STUDENT_FIELDS),
            Some(provider) => CodedText::of(&AuditDetail::StatedBy { provider: provider.to_owned() }),
        },
        _ => CodedText::of(&read(action, text)?),
    }
}

fn read(action: &str, text: &str) -> Option<AuditDetail> {
    match action {
        "login" => signed_in(text),
        "login.failed" => sign_in_failed(text),
        "login.ended" => sign_ins_ended(text),
        "password.failed" => (text == "wrong current password").then_some(AuditDetail::WrongCurrentPassword),
        "password.change" => (text == "ended all other sign-ins").then_some(AuditDetail::OtherSignInsEnded),
        "totp.failed" => match text {
            "wrong password" => Some(AuditDetail::WrongPassword),
            "wrong code" => Some(AuditDetail::WrongFactor),
            _ => None,
        },
        "user.add" | "user.change" => account(text),
        "plone.write" => plone_write(text),
        "plone.resend" => (text == "all").then_some(AuditDetail::AllSections),
        "plone.roster" => roster_readable(text),
        "session.disconnect" => connection(text),
        "rehearsal.start" => {
            let (n, term) = text.split_once(" runs of ")?;
            Some(AuditDetail::Rehearsal { n: n.parse().ok()?, term: term.to_owned() })
        }
        "alert.correct" => {
            let (title, n) = text.strip_suffix(" acknowledgements of the earlier text)")?.rsplit_once(" (")?;
            Some(AuditDetail::Corrected { title: title.to_owned(), n: n.parse().ok()? })
        }
        "alert.withhold" => {
            let text = text.strip_suffix(" has been limited to other subjects since it was scheduled")?;
            let (title, sender) = text.rsplit_once(": ")?;
            Some(AuditDetail::Withheld { title: title.to_owned(), sender: sender.to_owned() })
        }
        "student.permit" => permit(text),
        "student.registration" | "waitlist.position" => registration(text),
        "import.students" => students(text),
        "roster.read" | "roster.export" | "enrollments.export" | "receipts.read" | "users.list" | "sessions.list"
        | "audit.read" | "student.search" | "student.read" | "attempts.read" | "schedule.shared" => people(text),
        // The details of other actions are names, ids, JSON or free texts, such as the title of an alert.
        _ => None,
    }
}

/// Reads the detail of a disclosure.
fn people(text: &str) -> Option<AuditDetail> {
    if let Some(n) = text.strip_suffix(" people").or_else(|| text.strip_suffix(" person")) {
        return Some(AuditDetail::People { n: n.parse().ok()? });
    }
    let (n, rest) = text.strip_prefix("read ")?.split_once(" more times within ")?;
    let (minutes, at) = rest.split_once(" minutes of ")?;
    Some(AuditDetail::ReadAgain { n: n.parse().ok()?, minutes: minutes.parse().ok()?, at: at.to_owned() })
}

fn signed_in(text: &str) -> Option<AuditDetail> {
    if text == "local account" {
        return Some(AuditDetail::LocalAccount);
    }
    if let Some(provider) = text.strip_suffix(" did not respond; matched the last accepted password") {
        return Some(AuditDetail::LastAccepted { provider: provider.to_owned() });
    }
    let provider = text.strip_suffix(", at its own origin")?;
    Some(AuditDetail::OwnOrigin { provider: provider.to_owned() })
}

fn sign_in_failed(text: &str) -> Option<AuditDetail> {
    match text {
        "incorrect username or password" => return Some(AuditDetail::WrongCredentials),
        "the code of the second factor is wrong or was used before" => return Some(AuditDetail::WrongCode),
        _ => {}
    }
    if let Some(rest) = text.strip_prefix("rejected by ") {
        let provider = rest.strip_suffix(", at its own origin")?.to_owned();
        return Some(AuditDetail::RejectedAtOwnOrigin { provider });
    }
    if let Some(rest) = text.strip_prefix("accepted by ") {
        let (provider, reason) = rest.split_once(" but not admitted: ")?;
        return Some(AuditDetail::NotAdmitted { provider: provider.to_owned(), reason: reason.to_owned() });
    }
    if let Some((provider, reason)) = text.split_once(" has locked the account: ") {
        return Some(AuditDetail::Locked { provider: provider.to_owned(), reason: reason.to_owned() });
    }
    let (provider, problem) = text.split_once(": ")?;
    Some(AuditDetail::SignOnFailed { provider: provider.to_owned(), problem: Box::new(sign_on_problem(problem)?) })
}

fn sign_on_problem(text: &str) -> Option<AuditDetail> {
    if let Some(owner) = text.strip_prefix("the username belongs to ") {
        return match owner {
            "a local account" => Some(AuditDetail::LocalOwner),
            "another person at this provider" => Some(AuditDetail::OtherPerson),
            _ => Some(AuditDetail::OtherOwner { provider: owner.strip_prefix("a user of ")?.to_owned() }),
        };
    }
    if text == "no role" {
        return Some(AuditDetail::NoRole);
    }
    let (what, why) = text.split_once(": ")?;
    let why = why.to_owned();
    match what {
        "misconfigured" => Some(AuditDetail::Misconfigured { why }),
        "refused by the provider" => Some(AuditDetail::Denied { why }),
        "invalid ID token" => Some(AuditDetail::InvalidToken { why }),
        "no usable username" => Some(AuditDetail::NoUsername { why }),
        _ => None,
    }
}

fn sign_ins_ended(text: &str) -> Option<AuditDetail> {
    if text == "a local account now has this name" {
        return Some(AuditDetail::NameIsLocal);
    }
    if let Some(provider) = text.strip_suffix(" has taken over this name") {
        return Some(AuditDetail::NameTakenOver { provider: provider.to_owned() });
    }
    if let Some(provider) = text.strip_suffix(" no longer has this user") {
        return Some(AuditDetail::UserGone { provider: provider.to_owned() });
    }
    if let Some(rest) = text.strip_suffix(" user no longer has a role in EduHub") {
        return Some(AuditDetail::RoleGone { provider: rest.strip_prefix("the ")?.to_owned() });
    }
    if let Some(rest) = text.strip_prefix("the role in ") {
        let (provider, rights) = rest.split_once(" has changed to ")?;
        return Some(AuditDetail::RoleChanged { provider: provider.to_owned(), rights: Box::new(rights_of(rights)) });
    }
    let (provider, n) = text.strip_prefix("signed out at ")?.strip_suffix(" sign-ins")?.rsplit_once(": ")?;
    Some(AuditDetail::SignedOutAt { provider: provider.to_owned(), n: n.parse().ok()? })
}

fn rights_of(text: &str) -> AuditDetail {
    match text.split_once(" for ") {
        None => AuditDetail::Rights { role: text.to_owned() },
        Some((role, subjects)) => AuditDetail::LimitedRights { role: role.to_owned(), subjects: subjects.to_owned() },
    }
}

fn account(text: &str) -> Option<AuditDetail> {
    Some(match text.strip_suffix(", with a new password") {
        _ if text.is_empty() => return None,
        None => rights_of(text),
        Some(rights) => AuditDetail::NewPassword { rights: Box::new(rights_of(rights)) },
    })
}

fn plone_write(text: &str) -> Option<AuditDetail> {
    if let Some((what, user)) = text.split_once("; Plone's own sign-in of ") {
        return Some(AuditDetail::AsPloneUser { what: Box::new(plone_write(what)?), user: user.to_owned() });
    }
    let (method, outcome) = text.split_once(": ")?;
    let method = method.to_owned();
    match outcome {
        "no response" => Some(AuditDetail::PloneSilent { method }),
        "ended before Plone responded" => Some(AuditDetail::PloneEnded { method }),
        _ => Some(AuditDetail::PloneStatus { method, status: outcome.strip_prefix("status ")?.parse().ok()? }),
    }
}

fn roster_readable(text: &str) -> Option<AuditDetail> {
    let (reader, rest) = text.strip_prefix("In Plone, ")?.split_once(" can read the roster field. ")?;
    let (n, _) = rest.split_once("names are removed from ")?.1.split_once(' ')?;
    let reader = match reader {
        "every visitor" => AuditDetail::EveryVisitor,
        _ => AuditDetail::PlainMember { user: reader.strip_prefix("a plain member (")?.strip_suffix(')')?.to_owned() },
    };
    Some(AuditDetail::RosterReadable { reader: Box::new(reader), n: n.parse().ok()? })
}

fn connection(text: &str) -> Option<AuditDetail> {
    let text = text.strip_prefix("connection ")?;
    // The second form is the older one.
    let elsewhere = [", not on this hub", ", which is not of this hub"];
    if let Some(id) = elsewhere.iter().find_map(|suffix| text.strip_suffix(suffix)) {
        return Some(AuditDetail::ConnectionElsewhere { id: id.to_owned() });
    }
    let (id, address) = text.split_once(" from ")?;
    Some(AuditDetail::Connection { id: id.to_owned(), address: address.to_owned() })
}

fn permit(text: &str) -> Option<AuditDetail> {
    let (of, rest) = text.split_once(": ")?;
    let (codes, reason) = rest.split_once("; ")?;
    Some(AuditDetail::Permit { of: of.to_owned(), codes: codes_of(codes)?, reason: reason.to_owned() })
}

/// Returns the codes of refusals in a list; `None` if a word is not one.
fn codes_of(text: &str) -> Option<Vec<String>> {
    let is_code = |code: &&str| !code.is_empty() && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let codes: Vec<&str> = text.split(", ").filter(|code| !code.is_empty()).collect();
    codes.iter().all(is_code).then(|| codes.into_iter().map(str::to_owned).collect())
}

/// Reads a request by staff for a student: what it is, the refusals that it lifts, and the reason.
fn registration(text: &str) -> Option<AuditDetail> {
    if let Some((refusal, what)) = text.strip_prefix("refused: ").and_then(|rest| rest.split_once("; ")) {
        let what = Box::new(Detail::from(registration(what)?));
        return Some(AuditDetail::Refused { refusal: refusal.to_owned(), what });
    }
    let (what, rest) = text.split_once("; ").map_or((text, None), |(what, rest)| (what, Some(rest)));
    let mut detail = match what {
        "register" => AuditDetail::Register,
        "drop" => AuditDetail::Drop,
        _ => match what.strip_prefix("move everyone from ") {
            Some(section) => AuditDetail::MoveEveryone { section: section.to_owned() },
            None => match what.strip_prefix("move from ") {
                Some(section) => AuditDetail::MoveFrom { section: section.to_owned() },
                None => AuditDetail::Position { position: what.strip_prefix("position ")?.parse().ok()? },
            },
        },
    };
    let mut reason = rest;
    if let Some(lifted) = rest.and_then(|rest| rest.strip_prefix("override: ")) {
        let (codes, after) = lifted.split_once("; ").map_or((lifted, None), |(codes, after)| (codes, Some(after)));
        detail = AuditDetail::Override { what: Box::new(detail), codes: codes_of(codes)? };
        reason = after;
    }
    Some(match reason {
        None => detail,
        Some(reason) => AuditDetail::WithReason { what: Box::new(detail), reason: reason.to_owned() },
    })
}

fn merged(text: &str) -> Option<AuditDetail> {
    let (status, rest) = text.strip_prefix("status: ")?.split_once("; merged into ")?;
    let (section, reason) = rest.split_once("; ")?;
    Some(AuditDetail::Merged { status: status.to_owned(), section: section.to_owned(), reason: reason.to_owned() })
}

fn students(text: &str) -> Option<AuditDetail> {
    let (n, rest) = text.split_once(" students: ")?;
    let (created, changed) = rest.strip_suffix(" changed")?.split_once(" new, ")?;
    Some(AuditDetail::Students { n: n.parse().ok()?, created: created.parse().ok()?, changed: changed.parse().ok()? })
}

/// Reads `name: value` pairs with these names in their order. A value may contain the separator.
fn fields(text: &str, names: &[&'static str]) -> Option<CodedText> {
    let mut starts = Vec::new();
    let mut from = 0;
    for name in names {
        let label = format!("{name}: ");
        let at = text[from..].match_indices(&label).map(|(at, _)| from + at).find(|at| {
            let before = &text[..*at];
            before.is_empty() || before.ends_with(", ") || before.ends_with("; ")
        });
        if let Some(at) = at {
            starts.push((at, *name));
            from = at + label.len();
        }
    }
    if starts.first().is_none_or(|(at, _)| *at != 0) {
        return None;
    }
    let ends = starts.iter().skip(1).map(|(at, _)| at - ", ".len()).chain([text.len()]);
    let args: BTreeMap<Box<str>, Arg> = starts
        .iter()
        .zip(ends)
        .map(|((at, name), end)| ((*name).into(), Arg::Text(text[at + name.len() + ": ".len()..end].into())))
        .collect();
    Some(CodedText { code: FIELDS.into(), args })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use strum::VariantArray as _;

    use super::*;
    use crate::domain::audit_detail::AuditDetail as D;
    use crate::domain::refusal::RefusalCode;

    /// Returns details of sign-ins and accounts, each with its action.
    fn of_accounts() -> Vec<(&'static str, D)> {
        let text = str::to_owned;
        let part = Box::new;
        let limited = || D::LimitedRights { role: text("staff"), subjects: text("MATH and STAT") };
        vec![
            ("roster.read", D::People { n: 1 }),
            ("student.search", D::People { n: 30 }),
            ("audit.read", D::ReadAgain { n: 3, minutes: 15, at: text("2026-11-29T08:00:00Z") }),
            ("login", D::LocalAccount),
            ("login", D::LastAccepted { provider: text("Plone") }),
            ("login", D::OwnOrigin { provider: text("Plone") }),
            ("login.failed", D::RejectedAtOwnOrigin { provider: text("Plone") }),
            ("login.failed", D::WrongCredentials),
            ("login.failed", D::WrongCode),
            ("login.failed", D::NotAdmitted { provider: text("Plone"), reason: text("no role: Reader") }),
            ("login.failed", D::Locked { provider: text("Plone"), reason: text("too many: wait") }),
            ("login.failed", D::SignOnFailed { provider: text("oidc:campus"), problem: part(D::LocalOwner) }),
            ("login.failed", D::SignOnFailed { provider: text("proxy"), problem: part(D::OtherPerson) }),
            (
                "login.failed",
                D::SignOnFailed { provider: text("proxy"), problem: part(D::OtherOwner { provider: text("Plone") }) },
            ),
            ("login.failed", D::SignOnFailed { provider: text("proxy"), problem: part(D::NoRole) }),
            (
                "login.failed",
                D::SignOnFailed {
                    provider: text("oidc:campus"),
                    problem: part(D::Misconfigured { why: text("a: b") }),
                },
            ),
            ("login.ended", D::RoleChanged { provider: text("Plone"), rights: part(limited()) }),
            ("login.ended", D::UserGone { provider: text("Plone") }),
            ("login.ended", D::RoleGone { provider: text("Plone") }),
            ("login.ended", D::NameIsLocal),
            ("login.ended", D::NameTakenOver { provider: text("oidc:campus") }),
            ("login.ended", D::SignedOutAt { provider: text("oidc:campus"), n: 2 }),
            ("user.add", D::NewPassword { rights: part(limited()) }),
            ("user.change", D::Rights { role: text("admin") }),
            ("password.failed", D::WrongCurrentPassword),
            ("password.change", D::OtherSignInsEnded),
            ("totp.failed", D::WrongPassword),
            ("totp.failed", D::WrongFactor),
        ]
    }

    /// Returns details of other actions, each with its action.
    fn of_other_actions() -> Vec<(&'static str, D)> {
        let text = str::to_owned;
        let part = Box::new;
        let codes = || vec![text("section_full"), text("time_conflict")];
        let write = || D::PloneStatus { method: text("POST"), status: 201 };
        vec![
            ("plone.write", write()),
            ("plone.write", D::AsPloneUser { what: part(write()), user: text("ann") }),
            ("plone.write", D::PloneSilent { method: text("PATCH") }),
            ("plone.write", D::PloneEnded { method: text("PATCH") }),
            ("session.disconnect", D::Connection { id: text("5"), address: text("192.0.2.1") }),
            ("session.disconnect", D::ConnectionElsewhere { id: text("5") }),
            ("plone.resend", D::AllSections),
            ("rehearsal.start", D::Rehearsal { n: 5, term: text("202701") }),
            ("alert.correct", D::Corrected { title: text("Snow (again)"), n: 7 }),
            ("alert.withhold", D::Withheld { title: text("Room: B 2"), sender: text("ann") }),
            ("plone.roster", D::RosterReadable { reader: part(D::EveryVisitor), n: 9 }),
            ("plone.roster", D::RosterReadable { reader: part(D::PlainMember { user: text("ann") }), n: 1 }),
            ("student.permit", D::Permit { of: text("MATH 151"), codes: codes(), reason: text("dean; agreed") }),
            ("student.permit", D::Permit { of: text("MATH 151"), codes: vec![], reason: text("ended") }),
            ("student.registration", D::Register),
            (
                "student.registration",
                D::Refused {
                    refusal: text("hold"),
                    what: Box::new(D::Drop.overriding(codes()).because("late; ill").into()),
                },
            ),
            (
                "student.registration",
                D::Override { what: part(D::MoveFrom { section: text("202701-1") }), codes: codes() },
            ),
            (
                "student.registration",
                D::WithReason { what: part(D::MoveEveryone { section: text("202701-1") }), reason: text("flood") },
            ),
            ("waitlist.position", D::WithReason { what: part(D::Position { position: 1 }), reason: text("outage") }),
            (
                "section.change",
                D::Merged { status: text("closed"), section: text("202701-2"), reason: text("few; students") },
            ),
            ("student.change", D::StatedBy { provider: text("oidc:campus") }),
            ("import.students", D::Students { n: 3, created: 1, changed: 2 }),
        ]
    }

    #[test]
    fn details_are_recognized_in_their_texts() {
        for (action, detail) in of_accounts().into_iter().chain(of_other_actions()) {
            assert_eq!(coded(action, &detail.to_string()), CodedText::of(&detail), "{action}: {detail}");
            assert!(CodedText::of(&detail).is_some(), "{detail}");
        }
    }

    #[test]
    fn the_text_of_an_earlier_version_is_recognized() {
        let earlier = coded("session.disconnect", "connection 5, which is not of this hub");
        assert_eq!(earlier, CodedText::of(&D::ConnectionElsewhere { id: "5".to_owned() }));
    }

    #[test]
    fn changed_fields_are_recognized_with_their_values() {
        let table = [
            ("section.change", "capacity: 30, linked: 202701-1; 202701-2, repeat_limit: none"),
            ("term.change", "title: Fall, opens_at: soon, starts_on: 2027-01-04, holidays: 2"),
            ("student.change", "holds: Bursar, Library; credit_limit: 18; groups: 2"),
        ];
        let expected = [
            json!({"code": "fields", "args": {"capacity": "30", "linked": "202701-1; 202701-2", "repeat_limit": "none"}}),
            json!({"code": "fields", "args": {"title": "Fall, opens_at: soon", "starts_on": "2027-01-04", "holidays": "2"}}),
            json!({"code": "fields", "args": {"holds": "Bursar, Library", "credit_limit": "18", "groups": "2"}}),
        ];
        for ((action, text), expected) in table.into_iter().zip(expected) {
            assert_eq!(serde_json::to_value(coded(action, text)).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn fields_and_refusals_have_names_in_each_language() {
        let tables = [
            include_str!("../../../static/js/words/admin/en.js"),
            include_str!("../../../static/js/words/admin/es.js"),
        ];
        let fields = SECTION_FIELDS.iter().chain(&TERM_FIELDS).chain(&STUDENT_FIELDS);
        let refusals = RefusalCode::VARIANTS.iter().map(|code| format!("\"detail.value.{}\": ", code.as_str()));
        let keys: Vec<String> = fields.map(|name| format!("\"detail.name.{name}\": ")).chain(refusals).collect();
        for table in tables {
            let missing: Vec<&String> = keys.iter().filter(|key| !table.contains(key.as_str())).collect();
            assert!(missing.is_empty(), "{missing:?}");
        }
    }

    #[test]
    fn names_ids_and_free_texts_have_no_code() {
        for (action, text) in [
            ("login", "Plone"),
            ("alert.send", "5 things to know"),
            ("logout", ""),
            ("user.add", ""),
            ("plone.resend", "202701-1, 202701-2"),
            ("import.start", "{\"dry_run\":true}"),
            ("student.registration", "something else"),
            ("section.change", "moved"),
        ] {
            assert_eq!(coded(action, text), None, "{action}: {text}");
        }
    }
}
