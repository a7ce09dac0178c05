//! `[privacy]`: how long data about people is stored, and which counts are shown.

use crate::config::settings::Setting;

/// The longest retention, in days: a hundred years.
const DAYS_MAX: u32 = 36_500;
/// The largest value of `small_counts`. A larger one would hide the waitlists of ordinary sections.
const SMALL_COUNTS_MAX: u32 = 100;

/// `[privacy]`: retention of data about people, and small counts. 0 is off.
#[derive(Debug, Clone, Copy, Default)]
pub struct Privacy {
    /// Days for which entries of the audit trail are stored; 0 to store them forever.
    pub audit_days: u32,
    /// Days for which attempts to register are stored; 0 to store them forever.
    pub attempts_days: u32,
    /// Numbers of enrolled or waiting people below this are hidden from visitors; 0 to show all.
    pub small_counts: u32,
}

/// The settings of this section.
pub(super) const SETTINGS: [Setting; 3] = [
    Setting {
        name: "privacy.audit_days",
        about: "Days for which the audit trail is stored. 0: forever.",
        show: |c| c.privacy.audit_days.to_string(),
        set: |c, v| v.integer(0..=DAYS_MAX).map(|value| c.privacy.audit_days = value),
    },
    Setting {
        name: "privacy.attempts_days",
        about:
            "Days for which attempts to register are stored. 0: forever. Older ones are deleted, and the rest of their
chain can still be verified.",
        show: |c| c.privacy.attempts_days.to_string(),
        set: |c, v| v.integer(0..=DAYS_MAX).map(|value| c.privacy.attempts_days = value),
    },
    Setting {
        name: "privacy.small_counts",
        about:
            "Numbers of enrolled or waiting people below this are hidden from visitors: pages show \"fewer than\" this number,
and the API states this number minus 1. 0: all numbers are shown. Users see exact numbers (docs/SECURITY.md).",
        show: |c| c.privacy.small_counts.to_string(),
        set: |c, v| v.integer(0..=SMALL_COUNTS_MAX).map(|value| c.privacy.small_counts = value),
    },
];
