//! The vocabulary of the Common Alerting Protocol (OASIS CAP 1.2) that alerts keep.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};

/// The longest identifier or sender, in characters. CAP has no bound; identifiers in use have at most 120.
pub const NAME_CHARS_MAX: usize = 250;

/// The identity of a message, by which later messages refer to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CapId {
    /// The sender, globally unique.
    pub sender: String,
    /// The identifier, unique for the sender.
    pub identifier: String,
    /// When the message was sent.
    pub sent: Timestamp,
}

impl CapId {
    /// Parses an entry of `references`: `sender,identifier,sent`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        let (sender, identifier, sent) = (parts.next()?, parts.next()?, parts.next()?);
        let is_valid = parts.next().is_none() && is_name(sender) && is_name(identifier);
        Some(Self { sender: sender.to_owned(), identifier: identifier.to_owned(), sent: sent.parse().ok()? })
            .filter(|_| is_valid)
    }

    /// Returns the id of the alert that the hub itself published as this message; `None` if another system did.
    #[must_use]
    pub fn own_alert(&self, own_sender: &str) -> Option<&str> {
        let (alert, seq) = self.identifier.rsplit_once('.').filter(|_| self.sender == own_sender)?;
        seq.parse::<u64>().is_ok().then_some(alert)
    }
}

/// Returns whether a text may be a sender or an identifier: 1 to [`NAME_CHARS_MAX`] characters, without spaces, control
/// characters and the characters that CAP forbids.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let is_forbidden = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | '<' | '&');
    (1..=NAME_CHARS_MAX).contains(&text.chars().count()) && !text.contains(is_forbidden)
}

/// How soon people should respond (CAP 1.2, section 3.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, EnumString, IntoStaticStr)]
pub enum Urgency {
    /// Immediately.
    Immediate,
    /// Within the next hour.
    Expected,
    /// In the near future.
    Future,
    /// A response is no longer required.
    Past,
    /// Not known.
    #[default]
    Unknown,
}

/// How certain the event is (CAP 1.2, section 3.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, EnumString, IntoStaticStr)]
pub enum Certainty {
    /// It has occurred or is occurring.
    Observed,
    /// It is likely: more than about 50%.
    Likely,
    /// It is possible, but not likely.
    Possible,
    /// It is not expected to occur.
    Unlikely,
    /// Not known.
    #[default]
    Unknown,
}

/// What a message of the Common Alerting Protocol states besides the other fields of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct CapValues {
    /// How soon people should respond.
    pub urgency: Urgency,
    /// How certain the event is.
    pub certainty: Certainty,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_parsed_strictly() {
        let sent = "2026-07-01T08:00:00-04:00".parse().unwrap();
        let id = CapId { sender: "weather.example".to_owned(), identifier: "A-1".to_owned(), sent };
        assert_eq!(CapId::parse("weather.example,A-1,2026-07-01T12:00:00-00:00"), Some(id.clone()));
        for bad in ["", "a,b", "a,b,c", "a,b,2026-07-01T12:00:00-00:00,d", ",b,2026-07-01T12:00:00-00:00"] {
            assert_eq!(CapId::parse(bad), None, "{bad}");
        }
        assert_eq!(id.own_alert("weather.example"), None);
        let own = CapId { identifier: "01a21ff4-d74b-786e-bc76-49578d044a8e.17".to_owned(), ..id };
        assert_eq!(own.own_alert("weather.example"), Some("01a21ff4-d74b-786e-bc76-49578d044a8e"));
        assert_eq!(own.own_alert("hub.example"), None);
    }
}
