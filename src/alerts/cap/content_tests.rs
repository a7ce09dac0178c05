//! Tests of the alerts that CAP messages become.

use super::*;
use crate::domain::alert::Priority;
use crate::domain::cap::{CapId, Certainty, Urgency};

const NOW: &str = "2026-07-01T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn id(identifier: &str) -> CapId {
    CapId { sender: "weather.example".to_owned(), identifier: identifier.to_owned(), sent: now() }
}

fn info() -> CapInfo {
    let some = |text: &str| Some(text.to_owned());
    CapInfo {
        categories: vec!["Met".to_owned()],
        event: some("Hail"),
        severity: some("Severe"),
        urgency: some("Immediate"),
        certainty: some("Observed"),
        headline: some("Hail at the college"),
        description: some("Large hail."),
        instruction: some("Go inside."),
        expires: Some("2026-07-01T13:00:00Z".parse().unwrap()),
        ..CapInfo::default()
    }
}

fn message(info: CapInfo) -> CapMessage {
    CapMessage {
        id: id("A-1"),
        status: "Actual".to_owned(),
        kind: "Alert".to_owned(),
        scope: "Public".to_owned(),
        references: Vec::new(),
        infos: vec![info],
    }
}

fn sent(message: &CapMessage) -> AlertContent {
    match message.request("en", now()) {
        Ok(CapRequest::Send(content)) => *content,
        other => panic!("{other:?}"),
    }
}

fn field_of(message: &CapMessage) -> &'static str {
    match message.request("en", now()) {
        Err(CapError::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_actual_public_message_is_an_alert_to_everyone() {
    let content = sent(&message(info()));
    assert_eq!(
        (content.title.as_str(), content.message.as_str()),
        ("Hail at the college", "Large hail.\n\nGo inside.")
    );
    assert_eq!((content.priority, content.category), (Priority::High, Category::Emergency));
    assert_eq!((content.audience, content.starts_at), (Audience::everyone(), None));
    assert_eq!(content.expires_at, Some("2026-07-01T13:00:00Z".parse().unwrap()));
    let cap = Some(CapValues { urgency: Urgency::Immediate, certainty: Certainty::Observed });
    assert_eq!(content.cap, cap);
}

#[test]
fn absent_parts_have_defaults_and_later_alerts_are_scheduled() {
    let later = "2026-07-01T12:30:00Z".parse().ok();
    let bare = CapInfo { event: Some("Hail".into()), severity: Some("Unknown".into()), ..CapInfo::default() };
    let content = sent(&message(CapInfo { effective: later, ..bare.clone() }));
    assert_eq!((content.title.as_str(), content.message.as_str(), content.starts_at), ("Hail", "Hail", later));
    assert_eq!((content.priority, content.category), (Priority::Medium, Category::System));
    assert_eq!(content.cap, Some(CapValues::default()));
    let earlier = "2026-07-01T11:30:00Z".parse().ok();
    assert_eq!(sent(&message(CapInfo { effective: earlier, ..bare })).starts_at, None);
}

#[test]
fn only_actual_public_messages_are_sent() {
    for status in ["Exercise", "System", "Test", "Draft", "actual"] {
        assert_eq!(field_of(&CapMessage { status: status.to_owned(), ..message(info()) }), "status");
    }
    for scope in ["Restricted", "Private", "public"] {
        assert_eq!(field_of(&CapMessage { scope: scope.to_owned(), ..message(info()) }), "scope");
    }
    let of_kind = |kind: &str, references| CapMessage { kind: kind.to_owned(), references, ..message(info()) };
    for kind in ["Ack", "Error", "Delete"] {
        assert_eq!(field_of(&of_kind(kind, vec![id("A-0")])), "msgType");
    }
    for kind in ["Update", "Cancel"] {
        assert_eq!(field_of(&of_kind(kind, Vec::new())), "references");
    }
    assert_eq!(of_kind("Cancel", vec![id("A-0")]).request("en", now()), Ok(CapRequest::Cancel));
    assert!(matches!(of_kind("Update", vec![id("A-0")]).request("en", now()), Ok(CapRequest::Correct(_))));
}

#[test]
fn texts_that_are_too_long_and_unknown_values_are_refused_by_field() {
    let some = |text: &str| Some(text.to_owned());
    let long = |chars: usize| Some("ñ".repeat(chars));
    assert_eq!(sent(&message(CapInfo { headline: long(200), ..info() })).title.chars().count(), 200);
    for (info, field) in [
        (CapInfo { headline: long(201), ..info() }, "info.headline"),
        (CapInfo { headline: None, event: long(201), ..info() }, "info.event"),
        (CapInfo { headline: None, event: None, ..info() }, "info.headline"),
        (CapInfo { description: long(1_995), ..info() }, "info.description"),
        (CapInfo { severity: None, ..info() }, "info.severity"),
        (CapInfo { severity: some("severe"), ..info() }, "info.severity"),
        (CapInfo { urgency: some("Now"), ..info() }, "info.urgency"),
        (CapInfo { certainty: some("Sure"), ..info() }, "info.certainty"),
        (CapInfo { categories: vec!["Weather".into()], ..info() }, "info.category"),
        (CapInfo { expires: Some(now()), ..info() }, "info.expires"),
    ] {
        assert_eq!(field_of(&message(info)), field);
    }
    assert_eq!(field_of(&CapMessage { infos: Vec::new(), ..message(info()) }), "info");
}

#[test]
fn the_block_in_the_colleges_language_or_else_the_first_is_used() {
    let in_language = |tag: Option<&str>| CapInfo {
        language: tag.map(str::to_owned),
        headline: Some(tag.unwrap_or("none").to_owned()),
        ..info()
    };
    let message =
        CapMessage { infos: ["fr", "es-MX", "en-US"].map(|tag| in_language(Some(tag))).to_vec(), ..message(info()) };
    let title = |message: &CapMessage, language: &str| message.info_in(language).and_then(|info| info.headline.clone());
    for (language, expected) in [("es", "es-MX"), ("ES-us", "es-MX"), ("en", "en-US"), ("de", "fr")] {
        assert_eq!(title(&message, language).as_deref(), Some(expected), "{language}");
    }
    let unnamed = CapMessage { infos: vec![in_language(Some("es")), in_language(None)], ..message };
    assert_eq!(title(&unnamed, "en").as_deref(), Some("none"), "a block without a language is in English");
}
