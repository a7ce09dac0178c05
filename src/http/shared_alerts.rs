//! Alerts that cached lists share. The lists of two users often differ only in their acknowledgements, so each alert is
//! in memory once, however many lists contain it.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::domain::alert::{Alert, AlertContent};
use crate::domain::audience::Audience;
use crate::domain::ids::{SectionId, UserName};

/// The number of entries past which alerts that are no longer in any list are removed.
const ENTRIES: usize = 1_000;

/// The alerts of all lists, by their number in the sequence and whether they have the field `sender_name`, which only
/// staff see. If other readers see different versions of an alert, the last one is shared.
#[derive(Default)]
pub(super) struct SharedAlerts(Mutex<HashMap<(u64, bool), Weak<Alert>>>);

impl SharedAlerts {
    /// Returns the shared alert that is equal to `alert`, which becomes the shared one if there is none.
    pub(super) fn share(&self, alert: Arc<Alert>) -> Arc<Alert> {
        let Some(seq) = alert.seq else { return alert };
        let key = (seq, alert.sender_name.is_some());
        let mut shared = self.0.lock();
        if let Some(known) = shared.get(&key).and_then(Weak::upgrade).filter(|known| *known == alert) {
            return known;
        }
        if shared.len() >= ENTRIES {
            shared.retain(|_, alert| alert.strong_count() > 0);
        }
        shared.insert(key, Arc::downgrade(&alert));
        alert
    }

    /// Returns the memory of the shared alerts and their texts, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        let shared = self.0.lock();
        shared.values().filter_map(Weak::upgrade).map(|alert| alert_byte_size(&alert) as u64).sum()
    }
}

/// Returns the memory of an alert with its texts and audience, in bytes.
pub(super) fn alert_byte_size(alert: &Alert) -> usize {
    let AlertContent { title, message, audience, .. } = &alert.content;
    let Audience { roles, sections, courses, users, .. } = audience;
    let texts = [&alert.id, &alert.source, &alert.sender, title, message].map(String::len).iter().sum::<usize>()
        + alert.sender_name.as_ref().map_or(0, String::len);
    let sections = sections.len() * size_of::<SectionId>()
        + sections.iter().map(|id| id.0.term.as_str().len() + id.0.crn.as_str().len()).sum::<usize>();
    let courses = courses.iter().map(|course| size_of::<String>() + course.len()).sum::<usize>();
    let users = users.iter().map(|user| size_of::<UserName>() + user.0.as_str().len()).sum::<usize>();
    size_of::<Alert>() + texts + size_of_val(roles.as_slice()) + sections + courses + users
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::alert::{Category, Priority};

    fn alert(seq: u64, title: &str) -> Arc<Alert> {
        let content = AlertContent {
            title: title.to_owned(),
            message: "A message".to_owned(),
            priority: Priority::Low,
            category: Category::System,
            audience: Audience::default(),
            starts_at: None,
            expires_at: None,
            requires_ack: false,
            notice: None,
            cap: None,
        };
        let created_at = "2026-09-01T08:00:00Z".parse().unwrap();
        Arc::new(Alert {
            id: seq.to_string(),
            seq: Some(seq),
            content,
            source: "staff".into(),
            sender: "sam".into(),
            sender_name: None,
            created_at,
        })
    }

    #[test]
    fn equal_alerts_are_in_memory_once() {
        let shared = SharedAlerts::default();
        let first = shared.share(alert(1, "Payment is due"));
        assert!(Arc::ptr_eq(&shared.share(alert(1, "Payment is due")), &first));
        let other = shared.share(alert(2, "The library is closed"));
        assert!(!Arc::ptr_eq(&other, &first));
        assert_eq!(shared.share(alert(1, "Another text")).content.title, "Another text");
    }

    #[test]
    fn alerts_that_no_list_contains_are_removed() {
        let shared = SharedAlerts::default();
        let kept = shared.share(alert(0, "kept"));
        for seq in 1..=3 * ENTRIES as u64 {
            shared.share(alert(seq, "dropped"));
        }
        assert!(shared.0.lock().len() <= ENTRIES + 1);
        assert!(Arc::ptr_eq(&shared.share(alert(0, "kept")), &kept));
    }
}
