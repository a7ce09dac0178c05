//! An entry of the sequence of alerts as frames: one text for each kind of reader.
//!
//! Staff see all of an alert; other readers see only the parts of its audience that concern them
//! ([`Alert::for_reader`]). Readers who see the same share one text, which is encoded at most once:
//! all staff, all other readers of an alert to everyone, the readers of a role, and the members of one section or
//! course. A reader whom the audience names gets a separate text, as does each member if there are too many different
//! memberships.

use std::sync::{Arc, OnceLock};

use bytestring::ByteString;
use strum::EnumCount;

use crate::domain::alert::Alert;
use crate::domain::audience::Membership;
use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::live::frames::ServerFrame;
use crate::store::alerts::{Entry, LogEntry, Recipients};

/// Maximum number of different memberships whose readers share a text. An alert to many sections has about as many
/// memberships as recipients; their texts would take megabytes, and few of them would be used twice.
const SHARED_GROUPS_MAX: usize = 8;

/// Memory of the lists in a membership, in bytes: most have one or two sections.
const MEMBERSHIP_PARTS_BYTES: usize = 64;

/// An entry of the sequence of alerts. Each of its texts is encoded at most once and shared by all relays.
#[derive(Debug)]
pub struct AlertFrame {
    /// Its position in the sequence.
    pub seq: u64,
    /// The recipients.
    pub recipients: Recipients,
    entry: Entry,
    /// The name that readers below staff see in place of a sender without a display name.
    office: Arc<str>,
    /// The text of a cancellation, and of an alert for staff.
    whole: OnceLock<ByteString>,
    /// The text of an alert to everyone, for readers below staff.
    everyone: OnceLock<ByteString>,
    /// For each role, the text for readers who are reached by that role alone.
    roles: [OnceLock<ByteString>; Role::COUNT],
    /// For each membership and each role, the text for its readers; empty beyond [`SHARED_GROUPS_MAX`].
    groups: Box<[OnceLock<ByteString>]>,
}

impl AlertFrame {
    /// Creates the frame of an entry. `office` is the sender that readers below staff see if the alert's sender has no
    /// display name.
    #[must_use]
    pub fn new(entry: LogEntry, office: Arc<str>) -> Self {
        let LogEntry { seq, entry, recipients } = entry;
        let groups = recipients.memberships.len();
        let groups = if groups <= SHARED_GROUPS_MAX { groups * Role::COUNT } else { 0 };
        Self {
            seq,
            recipients,
            entry,
            office,
            whole: OnceLock::new(),
            everyone: OnceLock::new(),
            roles: Default::default(),
            groups: std::iter::repeat_with(OnceLock::new).take(groups).collect(),
        }
    }

    /// Returns the text for a reader; `None` if the reader is not a recipient. `None` as a reader is a visitor.
    #[must_use]
    pub fn text_for(&self, reader: Option<(&UserName, Role)>) -> Option<ByteString> {
        if !self.recipients.includes(reader) {
            return None;
        }
        let alert = match &self.entry {
            Entry::Alert(alert) if !Role::is_staff(reader.map(|(_, role)| role)) => alert,
            Entry::Alert(_) | Entry::Cancelled(_) => {
                return Some(self.whole.get_or_init(|| encode_entry(self.seq, &self.entry)).clone());
            }
        };
        let reached_by_role = Membership::default();
        let encode = |membership: &Membership| self.encode(&alert.for_reader(reader, membership, &self.office));
        let Some((user, role)) = reader.filter(|_| !alert.content.audience.all) else {
            return Some(self.everyone.get_or_init(|| encode(&reached_by_role)).clone());
        };
        let Some(position) = self.recipients.position(user) else {
            return Some(self.roles[role as usize].get_or_init(|| encode(&reached_by_role)).clone());
        };
        let group = self.recipients.groups.get(position).map_or(usize::MAX, |group| *group as usize);
        let membership = self.recipients.memberships.get(group).unwrap_or(&reached_by_role);
        let seen_alike = !membership.is_named && *membership != reached_by_role;
        match self.groups.get(group.saturating_mul(Role::COUNT).saturating_add(role as usize)) {
            Some(shared) if seen_alike => Some(shared.get_or_init(|| encode(membership)).clone()),
            Some(_) | None => Some(encode(membership)),
        }
    }

    /// Returns an upper bound on its memory in bytes, with the names of its recipients and all texts that it can share.
    pub(super) fn byte_size(&self) -> usize {
        let names = self.recipients.users.iter().map(|user| size_of::<UserName>() + user.as_str().len()).sum::<usize>();
        let text = self.whole.get_or_init(|| encode_entry(self.seq, &self.entry)).len();
        // The entry itself is about as large as its text. Texts of other readers are not longer.
        let texts = 2 + usize::from(self.recipients.everyone) + self.recipients.roles.count_ones() as usize;
        let groups = self.recipients.groups.len() * size_of::<u32>()
            + self.recipients.memberships.len() * (size_of::<Membership>() + MEMBERSHIP_PARTS_BYTES);
        size_of::<Self>() + names + groups + text * (texts + self.groups.len())
    }

    fn encode(&self, alert: &Alert) -> ByteString {
        ServerFrame::Alert { seq: self.seq, alert }.encode()
    }
}

/// Encodes an entry of the sequence of alerts, with all that it contains.
#[must_use]
pub fn encode_entry(seq: u64, entry: &Entry) -> ByteString {
    match entry {
        Entry::Alert(alert) => ServerFrame::Alert { seq, alert },
        Entry::Cancelled(id) => ServerFrame::AlertCancelled { seq, id },
    }
    .encode()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::alert::{AlertContent, Category, Priority};

    fn user(name: &str) -> UserName {
        UserName::parse(name).unwrap()
    }

    /// Returns the frame of an alert whose users have these memberships, sorted by name.
    fn frame(audience: &Value, roles: u8, members: &[(&str, &str)]) -> AlertFrame {
        let content = AlertContent {
            title: "Room change".to_owned(),
            message: "Room 4.".to_owned(),
            priority: Priority::Low,
            category: Category::Schedule,
            audience: serde_json::from_value(audience.clone()).unwrap(),
            starts_at: None,
            expires_at: None,
            requires_ack: false,
            notice: None,
            cap: None,
        };
        let mut memberships: Vec<Membership> = Vec::new();
        let groups = members.iter().map(|(_, parts)| {
            let membership = Membership::parse(parts).unwrap();
            let known = memberships.iter().position(|other| *other == membership).unwrap_or(memberships.len());
            if known == memberships.len() {
                memberships.push(membership);
            }
            u32::try_from(known).unwrap()
        });
        let groups: Arc<[u32]> = groups.collect();
        let users = members.iter().map(|(name, _)| user(name)).collect();
        let everyone = content.audience.all;
        let recipients = Recipients { everyone, roles, users, groups, memberships: memberships.into() };
        let created_at = "2026-09-01T08:00:00Z".parse().unwrap();
        let (id, source, sender) = ("a".to_owned(), "staff".to_owned(), "sam".to_owned());
        let sender_name = Some("Sam Reyes".to_owned());
        let alert = Alert { id, seq: Some(5), content, source, sender, sender_name, created_at };
        AlertFrame::new(LogEntry { seq: 5, entry: Entry::Alert(Box::new(alert)), recipients }, "The college".into())
    }

    fn text(frame: &AlertFrame, name: &str, role: Role) -> ByteString {
        frame.text_for(Some((&user(name), role))).unwrap()
    }

    fn audience_of(text: &ByteString) -> Value {
        serde_json::from_str::<Value>(text).unwrap()["alert"]["audience"].clone()
    }

    fn is_shared(one: &ByteString, other: &ByteString) -> bool {
        std::ptr::eq(one.as_ptr(), other.as_ptr())
    }

    #[test]
    fn readers_who_see_the_same_share_one_text() {
        let everyone = frame(&json!({"all": true}), 0, &[]);
        let visitor = everyone.text_for(None).unwrap();
        assert!(is_shared(&visitor, &text(&everyone, "ann", Role::Student)));
        assert!(is_shared(&text(&everyone, "sam", Role::Staff), &text(&everyone, "root", Role::Admin)));
        assert!(!is_shared(&visitor, &text(&everyone, "sam", Role::Staff)));

        let audience = json!({"roles": ["student"], "sections": ["F-1", "F-2"], "users": ["dan", "eve"]});
        let members = [("ann", "s0"), ("bob", "s0"), ("cid", "s1"), ("dan", "u"), ("eve", "u s1")];
        let mixed = frame(&audience, Role::Student.bit(), &members);
        let [ann, bob, cid, dan, eve, fay, gus] =
            ["ann", "bob", "cid", "dan", "eve", "fay", "gus"].map(|name| text(&mixed, name, Role::Student));
        assert!(is_shared(&ann, &bob) && is_shared(&fay, &gus));
        assert!(!is_shared(&ann, &cid) && !is_shared(&ann, &fay));
        assert_eq!(audience_of(&cid), json!({"roles": ["student"], "sections": ["F-2"]}));
        assert_eq!(audience_of(&dan), json!({"roles": ["student"], "users": ["dan"]}));
        assert_eq!(audience_of(&eve), json!({"roles": ["student"], "sections": ["F-2"], "users": ["eve"]}));
        assert_eq!(audience_of(&fay), json!({"roles": ["student"]}));
        // A staff member in the section sees all of it.
        assert_eq!(audience_of(&text(&mixed, "ann", Role::Staff)), audience);
        assert_eq!(mixed.text_for(None), None);
    }

    #[test]
    fn only_staff_see_the_username_of_the_sender() {
        let frame = frame(&json!({"all": true}), 0, &[]);
        let alert = |text: &ByteString| serde_json::from_str::<Value>(text).unwrap()["alert"].clone();
        let (full, seen) = (alert(&text(&frame, "sam", Role::Staff)), alert(&frame.text_for(None).unwrap()));
        assert_eq!((&full["sender"], &full["sender_name"]), (&json!("sam"), &json!("Sam Reyes")));
        assert_eq!((&seen["sender"], &seen["sender_name"]), (&json!("Sam Reyes"), &Value::Null));
    }

    #[test]
    fn many_memberships_share_no_texts() {
        let names: Vec<(String, String)> =
            (0..=SHARED_GROUPS_MAX).map(|n| (format!("u{n}"), format!("s{n}"))).collect();
        let members: Vec<(&str, &str)> = names.iter().map(|(name, parts)| (name.as_str(), parts.as_str())).collect();
        let sections: Vec<String> = (0..members.len()).map(|n| format!("F-{n}")).collect();
        let frame = frame(&json!({ "sections": sections }), 0, &members);
        assert!(frame.groups.is_empty(), "the memory of texts is bounded");
        for (n, (name, _)) in members.iter().enumerate() {
            assert_eq!(audience_of(&text(&frame, name, Role::Student)), json!({"sections": [format!("F-{n}")]}));
        }
    }
}
