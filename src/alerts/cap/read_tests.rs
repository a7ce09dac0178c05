//! Tests of the reader: what is read, and what is refused.

use super::*;

/// Returns a message with these elements after `scope`.
pub(super) fn message(rest: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
         <cap:alert xmlns:cap=\"{NAMESPACE}\">
           <cap:identifier>A-1</cap:identifier><cap:sender>weather.example</cap:sender>
           <cap:sent>2026-07-01T08:00:00-04:00</cap:sent><cap:status>Actual</cap:status>
           <cap:msgType>Alert</cap:msgType><cap:scope>Public</cap:scope>{rest}
         </cap:alert>"
    )
}

fn refused(text: &str) -> String {
    match read(text.as_bytes()).unwrap_err() {
        CapError::Malformed(detail) => detail,
        CapError::Invalid { field, .. } => field.to_owned(),
    }
}

#[test]
fn a_message_is_read_with_references_escapes_and_foreign_elements() {
    let rest = "<cap:references>a,b,2026-07-01T00:00:00-00:00
          c,d,2026-07-01T00:00:00-00:00</cap:references>
        <cap:info><cap:language>es</cap:language><cap:category>Met</cap:category><cap:category>Geo</cap:category>
          <cap:event> Hail &amp; <![CDATA[<wind>]]> &#x26; &#8364; </cap:event><cap:urgency/>
          <cap:parameter><cap:valueName>event</cap:valueName><cap:value>not the event</cap:value></cap:parameter>
          <other xmlns=\"urn:other\"><headline>not the headline</headline></other>
          <cap:area><cap:areaDesc>Town</cap:areaDesc></cap:area></cap:info><cap:info/>";
    let read = read(message(rest).as_bytes()).unwrap();
    assert_eq!((read.id.sender.as_str(), read.id.identifier.as_str()), ("weather.example", "A-1"));
    assert_eq!(read.id.sent, "2026-07-01T12:00:00Z".parse::<Timestamp>().unwrap());
    assert_eq!((read.status.as_str(), read.kind.as_str(), read.scope.as_str()), ("Actual", "Alert", "Public"));
    let names: Vec<&str> = read.references.iter().map(|id| id.identifier.as_str()).collect();
    assert_eq!(names, ["b", "d"]);
    let [info, empty] = read.infos.as_slice() else { panic!("{:?}", read.infos) };
    assert_eq!(info.event.as_deref(), Some("Hail & <wind> & €"));
    assert_eq!((info.categories.len(), info.language.as_deref(), &info.urgency), (2, Some("es"), &None));
    assert_eq!((&info.headline, empty), (&None, &CapInfo::default()));
}

#[test]
fn documents_that_attack_their_reader_are_refused() {
    let laughs = "<!DOCTYPE a [<!ENTITY l \"lol\"><!ENTITY m \"&l;&l;\">]>";
    let external = "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>";
    for doctype in [laughs, external, "<!DOCTYPE alert>", "<!DOCTYPE alert SYSTEM \"http://evil.example/cap.dtd\">"] {
        let text = message("").replace("?>", &format!("?>{doctype}"));
        assert!(refused(&text).contains("document type"), "{doctype}");
    }
    assert!(refused(&message("<cap:note>&x;</cap:note>")).contains("entities"));
    assert!(refused(&message("<cap:note>&#0;</cap:note>")).contains("entities"), "not a character of XML");
    let deep = format!("{}{}", "<a>".repeat(DEPTH_MAX), "</a>".repeat(DEPTH_MAX));
    assert!(refused(&message(&deep)).contains("levels"));
}

proptest::proptest! {
    #[test]
    fn no_document_makes_the_reader_panic(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        cut in 0..700usize,
        at in 0..700usize,
    ) {
        let whole = message("<cap:info><cap:event>x &amp; y</cap:event></cap:info>").into_bytes();
        let mut text = whole[..cut.min(whole.len())].to_vec();
        text.splice(at.min(text.len())..at.min(text.len()), bytes.iter().copied());
        let _ = read(&text);
        let _ = read(&bytes);
    }
}

#[test]
fn documents_that_are_not_cap_messages_are_refused() {
    for text in [
        "",
        "{}",
        "<alert/>",
        "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.1\"/>",
        "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\">",
        &message("<cap:note>"),
        &message("").replace("UTF-8", "ISO-8859-1"),
        &format!("{}<a/>", message("")),
    ] {
        assert!(matches!(read(text.as_bytes()), Err(CapError::Malformed(_))), "{text}");
    }
    assert!(matches!(read(b"\xff\xfe<\0"), Err(CapError::Malformed(_))));
}

#[test]
fn missing_repeated_and_invalid_elements_are_named() {
    let whole = message("");
    for (old, new, field) in [
        ("<cap:identifier>A-1</cap:identifier>", "", "identifier"),
        ("A-1", "A 1", "identifier"),
        ("A-1", "A,1", "identifier"),
        ("A-1", "A&amp;1", "identifier"),
        ("weather.example", "", "sender"),
        ("weather.example", "a&lt;b", "sender"),
        ("2026-07-01T08:00:00-04:00", "2026-07-01T08:00:00", "sent"),
        ("2026-07-01T08:00:00-04:00", "yesterday", "sent"),
        ("<cap:status>Actual</cap:status>", "", "status"),
        ("<cap:msgType>Alert</cap:msgType>", "", "msgType"),
        ("<cap:scope>Public</cap:scope>", "<cap:scope>Public</cap:scope><cap:scope>Public</cap:scope>", "scope"),
    ] {
        let text = whole.replacen(old, new, 1);
        assert_ne!(text, whole, "{field}");
        assert_eq!(refused(&text), field, "{new}");
    }
    assert_eq!(refused(&message("<cap:references>a,b</cap:references>")), "references");
    let many = "a,b,2026-07-01T00:00:00-00:00 ".repeat(REFERENCES_MAX + 1);
    assert_eq!(refused(&message(&format!("<cap:references>{many}</cap:references>"))), "references");
    let info = "<cap:info><cap:expires>soon</cap:expires></cap:info>";
    assert_eq!(refused(&message(info)), "info.expires");
}
