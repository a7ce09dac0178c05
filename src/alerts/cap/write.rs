//! Writes alerts to everyone as CAP messages.

use crate::alerts::cap::{NAMESPACE, cap_category, severity};
use crate::alerts::publisher::Publisher;
use crate::alerts::xml::Document;
use crate::domain::alert::AlertContent;
use crate::domain::cap::CapValues;
use crate::store::alerts::{PublicAlert, PublicMessage};

/// The name of the parameter that states the category of the hub. Several of its categories share one category of CAP.
const CATEGORY_PARAMETER: &str = "eduhub:category";

/// Returns the identifier of a message: unique for each alert and each of its entries.
fn identifier(alert: &str, message: &PublicMessage) -> String {
    format!("{alert}.{}", message.seq)
}

/// Returns the last message of an alert as a CAP document; `None` if the alert has no message, or is not for everyone.
#[must_use]
pub fn write(public: &PublicAlert, publisher: &Publisher) -> Option<String> {
    let PublicAlert { alert, messages } = public;
    let (last, earlier) = messages.split_last().filter(|_| alert.content.audience.all)?;
    let kind = match (last.is_cancellation, earlier.is_empty()) {
        (true, _) => "Cancel",
        (false, true) => "Alert",
        (false, false) => "Update",
    };
    let sender = publisher.sender();
    let mut document = Document::new("alert", &[("xmlns", NAMESPACE)]);
    document.text("identifier", &identifier(&alert.id, last));
    document.text("sender", sender);
    document.text("sent", &publisher.cap_time(last.at));
    document.text("status", "Actual");
    document.text("msgType", kind);
    document.text("scope", "Public");
    if !earlier.is_empty() {
        let reference =
            |it: &PublicMessage| format!("{sender},{},{}", identifier(&alert.id, it), publisher.cap_time(it.at));
        document.text("references", &earlier.iter().map(reference).collect::<Vec<_>>().join(" "));
    }
    document.open("info", &[]);
    write_info(&mut document, public, last, publisher);
    Some(document.finish())
}

/// Writes the elements of the `info` block, in the order of the schema.
fn write_info(document: &mut Document, public: &PublicAlert, last: &PublicMessage, publisher: &Publisher) {
    let AlertContent { title, message, priority, category, expires_at, cap, .. } = &public.alert.content;
    let CapValues { urgency, certainty } = cap.unwrap_or_default();
    document.text("language", &publisher.language);
    document.text("category", cap_category(*category));
    document.text("event", publisher.category(*category));
    document.text("urgency", urgency.into());
    document.text("severity", severity(*priority));
    document.text("certainty", certainty.into());
    document.text("effective", &publisher.cap_time(last.at));
    if let Some(expires_at) = expires_at {
        document.text("expires", &publisher.cap_time(*expires_at));
    }
    document.text("senderName", &public.alert.sender);
    document.text("headline", title);
    document.text("description", message);
    document.text("web", &format!("{}/", publisher.origin));
    document.open("parameter", &[]);
    document.text("valueName", CATEGORY_PARAMETER);
    document.text("value", category.name());
    document.close();
    document.open("area", &[]);
    document.text("areaDesc", &publisher.college);
    document.close();
}
