//! The messages between hubs: JSON with a version, the sender and a number.
//!
//! A hub reads only messages of its own version. Hubs of two versions can still run side by side during an upgrade,
//! because each of them reads the changes by the others from the store.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::bus::Event;
use crate::bus::link::Dropped;

/// The version of the encoding. It changes when an older hub would misunderstand a message. New fields and new events
/// do not change it: an older hub ignores the former and counts the latter as unreadable.
const VERSION: u32 = 1;
/// The longest message in bytes. NATS accepts 1 MiB unless it is configured otherwise.
pub(super) const MESSAGE_LEN_MAX: usize = 512 * 1024;

/// A message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Message {
    v: u32,
    /// The hub that sent it. A hub has a new id after each start.
    pub(super) hub: Uuid,
    /// The number of the message among those of the hub, from 1.
    pub(super) n: u64,
    /// The content.
    pub(super) body: Body,
}

/// The content of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Body {
    /// An event.
    Event(Event),
    /// The hub is running. Sent each second. The sender receives it, too, which proves that the connection works.
    Presence,
}

/// The part of a message that every version has.
#[derive(Deserialize)]
struct AnyVersion {
    v: u32,
}

impl Message {
    pub(super) fn new(hub: Uuid, n: u64, body: Body) -> Self {
        Self { v: VERSION, hub, n, body }
    }

    /// Encodes the message; `None` if it is too large.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        // Serialization fails only for maps whose keys are not strings, and there are none.
        serde_json::to_vec(self).ok().filter(|bytes| bytes.len() <= MESSAGE_LEN_MAX)
    }

    /// Decodes a message.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Dropped> {
        if bytes.len() > MESSAGE_LEN_MAX {
            return Err(Dropped::Unreadable);
        }
        let AnyVersion { v } = serde_json::from_slice(bytes).map_err(|_| Dropped::Unreadable)?;
        if v != VERSION {
            return Err(Dropped::OtherVersion);
        }
        serde_json::from_slice(bytes).map_err(|_| Dropped::Unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub() -> Uuid {
        Uuid::from_u128(7)
    }

    #[test]
    fn messages_round_trip() {
        for body in [Body::Presence, Body::Event(Event::AlertsStored { seq: Some(3) })] {
            let message = Message::new(hub(), 9, body);
            assert_eq!(Message::decode(&message.encode().unwrap()), Ok(message));
        }
    }

    #[test]
    fn other_versions_and_other_texts_are_rejected() {
        let id = hub();
        let message = |v: &str, body: &str| format!(r#"{{"v":{v},"hub":"{id}","n":1,"body":{body}}}"#);
        let decode = |text: String| Message::decode(text.as_bytes()).map(|message| message.body);
        assert_eq!(decode(message("1", r#""presence""#)), Ok(Body::Presence));
        for (text, expected) in [
            (message("2", r#"{"something":"new"}"#), Dropped::OtherVersion),
            (message("1", r#"{"event":{"event":"a_new_event"}}"#), Dropped::Unreadable),
            (message("1", r#"{"event":{"event":"tokens_ended","user":"not a name"}}"#), Dropped::Unreadable),
            (r#"{"hub":1}"#.to_owned(), Dropped::Unreadable),
            ("PING".to_owned(), Dropped::Unreadable),
            (" ".repeat(MESSAGE_LEN_MAX) + &message("1", r#""presence""#), Dropped::Unreadable),
        ] {
            assert_eq!(decode(text.clone()), Err(expected), "{text:.100}");
        }
    }

    #[test]
    fn a_field_of_a_newer_hub_is_ignored() {
        let event = r#"{"event":"alerts_stored","seq":4,"new":1}"#;
        let text = format!(r#"{{"v":1,"hub":"{}","n":1,"body":{{"event":{event}}},"x":2}}"#, hub());
        assert_eq!(Message::decode(text.as_bytes()).unwrap().body, Body::Event(Event::AlertsStored { seq: Some(4) }));
    }
}
