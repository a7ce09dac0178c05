//! What is read of the college's content: searches, sections, events, news.

use jiff::Timestamp;
use serde_json::Value;

use crate::domain::event::Event;
use crate::plone::port::{
    Catalogue, ContentKind, Hit, HitPage, NewsItem, PAGE_LEN, PloneError, PloneFuture, PloneSection, Viewer,
};
use crate::plone::rest::client::{PloneClient, unreadable};
use crate::plone::rest::html;
use crate::plone::rest::options::PloneOptions;
use crate::plone::rest::paths;
use crate::plone::rest::transport::Call;
use crate::plone::rest::values;
use crate::text::percent;

impl Catalogue for PloneClient {
    fn search(&self, viewer: Viewer, kind: ContentKind, since: Option<Timestamp>, start: u32) -> PloneFuture<HitPage> {
        let path = search_path(&self.inner.options, kind, since, start);
        self.run(|inner, deadline| async move {
            let answer = inner.ask(&viewer, Call::get(path?), deadline).await?;
            page_of(&inner.options, &answer)
        })
    }

    fn section(&self, path: &str) -> PloneFuture<PloneSection> {
        let path = paths::encode(path);
        self.run(|inner, deadline| async move {
            let item = inner.ask(&Viewer::Hub, Call::get(path?), deadline).await?;
            section_of(&inner.options, &item)
        })
    }

    fn event(&self, path: &str) -> PloneFuture<Event> {
        let path = paths::encode(path);
        self.run(|inner, deadline| async move {
            let item = inner.ask(&Viewer::Hub, Call::get(path?), deadline).await?;
            event_of(&item)
        })
    }

    fn news(&self, viewer: Viewer, path: &str) -> PloneFuture<NewsItem> {
        let path = paths::encode(path);
        self.run(|inner, deadline| async move {
            let item = inner.ask(&viewer, Call::get(path?), deadline).await?;
            news_of(&inner.options, &item)
        })
    }
}

/// The folder of the sections, as a request has it.
pub(super) fn context(options: &PloneOptions) -> Result<String, PloneError> {
    paths::encode(&options.sections_path)
}

fn search_path(
    options: &PloneOptions,
    kind: ContentKind,
    since: Option<Timestamp>,
    start: u32,
) -> Result<String, PloneError> {
    let (context, of_type, order) = match kind {
        ContentKind::Section => (context(options)?, options.section_type.as_str(), "sort_on=getId"),
        ContentKind::Event => (String::new(), "Event", "sort_on=getId"),
        ContentKind::News => (String::new(), "News Item", "sort_on=effective&sort_order=descending"),
    };
    let mut path = format!(
        "{context}/@search?portal_type={}&{order}&b_size={PAGE_LEN}&b_start={start}\
         &metadata_fields=UID&metadata_fields=modified",
        percent::piece(of_type),
    );
    if let Some(since) = since {
        let since = since.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string();
        path += &format!("&modified.query={}&modified.range=min", percent::piece(&since));
    }
    Ok(path)
}

fn page_of(options: &PloneOptions, answer: &Value) -> Result<HitPage, PloneError> {
    let items = answer.get("items").and_then(Value::as_array).ok_or_else(|| unreadable("no items"))?;
    let total = answer.get("items_total").and_then(Value::as_u64).ok_or_else(|| unreadable("no total"))?;
    let hits: Vec<Hit> = items.iter().filter_map(|item| hit_of(options, item).ok()).collect();
    Ok(HitPage { unreadable: items.len() - hits.len(), items: hits, total })
}

fn hit_of(options: &PloneOptions, item: &Value) -> Result<Hit, PloneError> {
    Ok(Hit { uid: need(item, "UID")?.to_owned(), path: path(options, item)?, modified: time(item, "modified")? })
}

/// A section of its whole representation.
pub(super) fn section_of(options: &PloneOptions, item: &Value) -> Result<PloneSection, PloneError> {
    Ok(PloneSection {
        uid: need(item, "UID")?.to_owned(),
        path: path(options, item)?,
        modified: time(item, "modified")?,
        fields: values::read(options, item),
    })
}

fn event_of(item: &Value) -> Result<Event, PloneError> {
    let program = item.get("subjects").and_then(Value::as_array).and_then(|list| list.first()?.as_str());
    Ok(Event {
        id: format!("plone-{}", need(item, "UID")?),
        title: text(item, "title").unwrap_or_default(),
        program: program.unwrap_or_default().trim().to_owned(),
        starts_at: time(item, "start")?,
        ends_at: time(item, "end").ok(),
        location: text(item, "location"),
        instructor: text(item, "contact_name"),
        description: text(item, "description"),
    })
}

fn news_of(options: &PloneOptions, item: &Value) -> Result<NewsItem, PloneError> {
    let path = path(options, item)?;
    let rich = item.get("text").and_then(|text| text.get("data")).and_then(Value::as_str).unwrap_or_default();
    let html = html::safe(rich, &options.url, &path);
    Ok(NewsItem {
        id: need(item, "UID")?.to_owned(),
        modified: time(item, "modified")?,
        published_at: time(item, "effective").or_else(|_| time(item, "created"))?,
        title: text(item, "title").unwrap_or_default(),
        description: text(item, "description").unwrap_or_default(),
        text: html::plain(&html),
        html,
        path,
    })
}

fn need<'i>(item: &'i Value, name: &'static str) -> Result<&'i str, PloneError> {
    item.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).ok_or_else(|| unreadable(name))
}

fn text(item: &Value, name: &str) -> Option<String> {
    let text = item.get(name)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn time(item: &Value, name: &'static str) -> Result<Timestamp, PloneError> {
    need(item, name)?.parse().map_err(|_| unreadable(name))
}

fn path(options: &PloneOptions, item: &Value) -> Result<String, PloneError> {
    paths::of_id(&options.url, need(item, "@id")?).ok_or_else(|| unreadable("@id"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_search_is_written_with_everything_encoded() {
        let options = PloneOptions { sections_path: "/course list".to_owned(), ..PloneOptions::fixture() };
        let since = "2026-11-24T00:12:32Z".parse().ok();
        assert_eq!(
            search_path(&options, ContentKind::Section, since, 200).unwrap(),
            "/course%20list/@search?portal_type=course_section&sort_on=getId&b_size=100&b_start=200\
             &metadata_fields=UID&metadata_fields=modified\
             &modified.query=2026-11-24T00%3A12%3A32%2B00%3A00&modified.range=min"
        );
        let news = search_path(&options, ContentKind::News, None, 0).unwrap();
        assert!(news.starts_with("/@search?portal_type=News%20Item&sort_on=effective&sort_order=descending"), "{news}");
    }

    #[test]
    fn of_a_page_of_hits_those_that_cannot_be_read_are_counted() {
        let hit = json!({"@id": "http://127.0.0.1:8080/Plone/courses/a", "UID": "u1", "modified": "2026-11-24T00:12:32+00:00"});
        let (mut nameless, mut timeless) = (hit.clone(), hit.clone());
        nameless["UID"] = json!(null);
        timeless["modified"] = json!("None");
        let answer = json!({"items": [nameless, hit, timeless, 7], "items_total": 7});
        let page = page_of(&PloneOptions::fixture(), &answer).unwrap();
        assert_eq!((page.total, page.items.len(), page.unreadable), (7, 1, 3));
        assert_eq!((page.items[0].path.as_str(), page.items[0].uid.as_str()), ("/courses/a", "u1"));
        for broken in [json!({}), json!({"items": []}), json!({"items": 7, "items_total": 1})] {
            assert!(page_of(&PloneOptions::fixture(), &broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn an_event_is_read() {
        let item = json!({
            "UID": "97", "title": "Open day", "start": "2027-01-01T10:00:00+00:00", "end": null, "location": " L1 ",
            "contact_name": "", "subjects": ["Nursing", "b"], "description": "Come."
        });
        let event = event_of(&item).unwrap();
        assert_eq!((event.id.as_str(), event.program.as_str()), ("plone-97", "Nursing"));
        assert_eq!((event.location.as_deref(), event.instructor, event.ends_at), (Some("L1"), None, None));
    }

    #[test]
    fn news_are_read_safe_to_show() {
        let item = json!({
            "@id": "http://127.0.0.1:8080/Plone/news/a", "UID": "n1", "title": "T", "description": null,
            "modified": "2026-11-24T00:12:32+00:00", "created": "2026-11-23T00:12:32+00:00", "effective": null,
            "text": {"content-type": "text/html", "data": "<p>Hi <script>alert(1)</script><a href='b'>b</a></p>"}
        });
        let news = news_of(&PloneOptions::fixture(), &item).unwrap();
        assert_eq!(news.published_at.to_string(), "2026-11-23T00:12:32Z");
        assert_eq!(news.html, "<p>Hi <a href=\"/plone/news/b\" rel=\"noopener noreferrer\">b</a></p>");
        assert_eq!(news.text, "Hi b");
    }
}
