//! The Common Alerting Protocol, version 1.2 (OASIS, 1 July 2010): [`write`](mod@write) writes alerts to everyone as
//! messages, [`read`](mod@read) reads messages of other systems, and [`content`] converts these into requests.
//!
//! Each entry of the sequence of alerts is a message: sending is an `Alert`, a correction an `Update`, a cancellation a
//! `Cancel`. Updates and cancellations refer to the earlier messages.
//!
//! | category of the hub | written as | read from |
//! | --- | --- | --- |
//! | `emergency` | `Safety` | `Safety`, `Geo`, `Met`, `Rescue`, `Fire`, `Health`, `Env`, `Transport`, `CBRNE` |
//! | `security` | `Security` | `Security` |
//! | `system` | `Infra` | `Infra`, `Other` |
//! | `workflow`, `schedule`, `content` | `Other` | |

use crate::domain::alert::{Category, Priority};

pub mod content;
pub mod read;
pub mod write;

/// The media type of a message.
pub const MEDIA_TYPE: &str = "application/cap+xml";
/// The media type of a message that the hub writes, with its encoding.
pub const CONTENT_TYPE: &str = "application/cap+xml; charset=utf-8";
/// The namespace of CAP 1.2.
const NAMESPACE: &str = "urn:oasis:names:tc:emergency:cap:1.2";

/// Returns the severity of a priority.
const fn severity(priority: Priority) -> &'static str {
    match priority {
        Priority::Low => "Minor",
        Priority::Medium => "Moderate",
        Priority::High => "Severe",
        Priority::Critical => "Extreme",
    }
}

/// Returns the priority of a severity; `None` if there is no such severity.
fn priority(severity: &str) -> Option<Priority> {
    match severity {
        "Minor" => Some(Priority::Low),
        "Moderate" | "Unknown" => Some(Priority::Medium),
        "Severe" => Some(Priority::High),
        "Extreme" => Some(Priority::Critical),
        _ => None,
    }
}

/// Returns the category of a message for a category of the hub.
const fn cap_category(category: Category) -> &'static str {
    match category {
        Category::Emergency => "Safety",
        Category::Security => "Security",
        Category::System => "Infra",
        Category::Workflow | Category::Schedule | Category::Content => "Other",
    }
}

/// Returns the category of the hub for a category of a message; `None` if there is no such category.
fn category(name: &str) -> Option<Category> {
    match name {
        "Geo" | "Met" | "Safety" | "Rescue" | "Fire" | "Health" | "Env" | "Transport" | "CBRNE" => {
            Some(Category::Emergency)
        }
        "Security" => Some(Category::Security),
        "Infra" | "Other" => Some(Category::System),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray as _;

    use super::*;

    #[test]
    fn priorities_and_severities_are_converted_both_ways() {
        for own in Priority::VARIANTS {
            assert_eq!(priority(severity(*own)), Some(*own));
        }
        for own in Category::VARIANTS {
            assert!(category(cap_category(*own)).is_some());
        }
        assert_eq!(category(cap_category(Category::Emergency)), Some(Category::Emergency));
        assert_eq!((priority("severe"), category("Weather")), (None, None), "only exact names are converted");
    }
}
