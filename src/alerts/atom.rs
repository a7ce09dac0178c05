//! The feed of public alerts (Atom, RFC 4287), with a link to each as a CAP message.

use jiff::Timestamp;

use crate::alerts::cap::MEDIA_TYPE;
use crate::alerts::publisher::Publisher;
use crate::alerts::xml::Document;
use crate::domain::alert::AlertContent;
use crate::store::alerts::PublicAlert;

/// The media type of the feed, with its encoding.
pub const CONTENT_TYPE: &str = "application/atom+xml; charset=utf-8";
/// The largest number of alerts in the feed, cancelled and expired ones included: more than a college sends in a month.
/// With the longest texts, the feed is about 150 kB long.
pub const ENTRIES_MAX: usize = 50;

/// Writes the feed that the hub serves at `path`. `alerts` must be in the order of their last messages, newest first.
/// Alerts that are not for everyone are left out.
#[must_use]
pub fn write(alerts: &[PublicAlert], publisher: &Publisher, path: &str) -> String {
    let url = format!("{}{path}", publisher.origin);
    let alerts = || alerts.iter().filter(|public| public.alert.content.audience.all).take(ENTRIES_MAX);
    // A feed without alerts has never changed.
    let updated = alerts().filter_map(last_message).max().unwrap_or(Timestamp::UNIX_EPOCH);
    let attributes = [("xmlns", "http://www.w3.org/2005/Atom"), ("xml:lang", publisher.language.as_str())];
    let mut feed = Document::new("feed", &attributes);
    feed.text("id", &url);
    feed.text("title", &publisher.feed_title());
    feed.text("updated", &publisher.rfc_3339_time(updated));
    feed.open("author", &[]);
    feed.text("name", &publisher.college);
    feed.close();
    feed.empty("link", &[("rel", "self"), ("type", "application/atom+xml"), ("href", &url)]);
    let pages = format!("{}/", publisher.origin);
    feed.empty("link", &[("rel", "alternate"), ("type", "text/html"), ("href", &pages)]);
    feed.text("generator", "EduHub");
    for public in alerts() {
        write_entry(&mut feed, public, publisher);
    }
    feed.finish()
}

fn last_message(public: &PublicAlert) -> Option<Timestamp> {
    public.messages.last().map(|message| message.at)
}

fn write_entry(feed: &mut Document, public: &PublicAlert, publisher: &Publisher) {
    let PublicAlert { alert, messages } = public;
    let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return };
    let AlertContent { title, message, priority, category, .. } = &alert.content;
    let title = if last.is_cancellation { publisher.cancelled_title(title) } else { title.clone() };
    feed.open("entry", &[]);
    feed.text("id", &format!("urn:uuid:{}", alert.id));
    feed.text_with("title", &[("type", "text")], &title);
    feed.text("updated", &publisher.rfc_3339_time(last.at));
    feed.text("published", &publisher.rfc_3339_time(first.at));
    feed.open("author", &[]);
    feed.text("name", &alert.sender);
    feed.close();
    let link = publisher.cap_url(&alert.id);
    feed.empty("link", &[("rel", "alternate"), ("type", MEDIA_TYPE), ("href", &link)]);
    let scheme = |name: &str| format!("{}/alerts/{name}", publisher.origin);
    let labels = [
        (category.name(), "categories", publisher.category(*category)),
        (priority.name(), "priorities", publisher.priority(*priority)),
    ];
    for (term, name, label) in labels {
        feed.empty("category", &[("term", term), ("scheme", &scheme(name)), ("label", label)]);
    }
    if last.is_cancellation {
        feed.empty("category", &[("term", "cancelled"), ("scheme", &scheme("states"))]);
    }
    feed.text_with("content", &[("type", "text")], message);
    feed.close();
}
