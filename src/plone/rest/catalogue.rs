//! Reads the college's content: searches, sections, events and news items.

use jiff::Timestamp;

use crate::domain::event::Event;
use crate::plone::port::{
    Catalogue, ContentKind, Hit, HitPage, NewsItem, PAGE_LEN, PloneError, PloneFuture, PloneSection, Viewer,
};
use crate::plone::rest::client::{PloneClient, unreadable};
use crate::plone::rest::html;
use crate::plone::rest::options::PloneOptions;
use crate::plone::rest::paths;
use crate::plone::rest::responses::{EventItem, NewsPage, SearchHit, SearchPage, SectionItem};
use crate::plone::rest::transport::Call;
use crate::plone::rest::values;
use crate::text::percent;

impl Catalogue for PloneClient {
    fn search(&self, viewer: Viewer, kind: ContentKind, since: Option<Timestamp>, start: u32) -> PloneFuture<HitPage> {
        let path = search_path(&self.inner.options, kind, since, start);
        self.run(|inner, deadline| async move {
            Ok(page_of(&inner.options, inner.call(&viewer, Call::get(path?), deadline).await?))
        })
    }

    fn section(&self, path: &str) -> PloneFuture<PloneSection> {
        let path = paths::encode(path);
        self.run(|inner, deadline| async move {
            section_of(&inner.options, inner.call(&Viewer::Hub, Call::get(path?), deadline).await?)
        })
    }

    fn event(&self, path: &str) -> PloneFuture<Event> {
        let path = paths::encode(path);
        self.run(
            |inner, deadline| async move { inner.call(&Viewer::Hub, Call::get(path?), deadline).await.map(event_of) },
        )
    }

    fn news(&self, viewer: Viewer, path: &str) -> PloneFuture<NewsItem> {
        let path = paths::encode(path);
        self.run(|inner, deadline| async move {
            news_of(&inner.options, inner.call(&viewer, Call::get(path?), deadline).await?)
        })
    }
}

/// Returns the encoded path of the folder of the sections.
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
        percent::encode_segment(of_type),
    );
    if let Some(since) = since {
        let since = since.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string();
        path += &format!("&modified.query={}&modified.range=min", percent::encode_segment(&since));
    }
    Ok(path)
}

fn page_of(options: &PloneOptions, page: SearchPage) -> HitPage {
    let count = page.items.len();
    let hits: Vec<Hit> = page.items.into_iter().filter_map(|hit| hit_of(options, hit.0?)).collect();
    HitPage { unreadable: count - hits.len(), items: hits, total: page.items_total }
}

fn hit_of(options: &PloneOptions, hit: SearchHit) -> Option<Hit> {
    Some(Hit { path: paths::of_id(&options.url, &hit.address)?, uid: hit.uid, modified: hit.modified })
}

/// Converts an item to a section.
pub(super) fn section_of(options: &PloneOptions, item: SectionItem) -> Result<PloneSection, PloneError> {
    Ok(PloneSection {
        path: path(options, &item.address)?,
        fields: values::read(options, &item.fields),
        uid: item.uid,
        modified: item.modified,
    })
}

fn event_of(item: EventItem) -> Event {
    let program = item.subjects.0.and_then(|subjects| subjects.into_iter().next()).unwrap_or_default();
    Event {
        id: format!("plone-{}", item.uid),
        title: item.title.text().unwrap_or_default(),
        program: program.trim().to_owned(),
        starts_at: item.start,
        ends_at: item.end.0,
        location: item.location.text(),
        instructor: item.contact_name.text(),
        description: item.description.text(),
    }
}

fn news_of(options: &PloneOptions, item: NewsPage) -> Result<NewsItem, PloneError> {
    let path = path(options, &item.address)?;
    let rich = item.text.0.map(|text| text.data).unwrap_or_default();
    let html = html::safe(&rich, &options.url, &path);
    Ok(NewsItem {
        published_at: item.effective.0.or(item.created.0).ok_or_else(|| unreadable("the dates of a news item"))?,
        title: item.title.text().unwrap_or_default(),
        description: item.description.text().unwrap_or_default(),
        id: item.uid,
        modified: item.modified,
        text: html::plain(&html),
        html,
        path,
    })
}

fn path(options: &PloneOptions, address: &str) -> Result<String, PloneError> {
    paths::of_id(&options.url, address).ok_or_else(|| unreadable("the address of an item"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plone::rest::responses::Response;
    use serde_json::{Value, json};

    fn read<T: Response>(json: &Value) -> Result<T, PloneError> {
        T::read(json.to_string().as_bytes())
    }

    #[test]
    fn search_paths_are_encoded() {
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
    fn unreadable_hits_are_counted() {
        let hit = json!({"@id": "http://127.0.0.1:8080/Plone/courses/a", "UID": "u1", "modified": "2026-11-24T00:12:32+00:00"});
        let (mut nameless, mut timeless, mut elsewhere) = (hit.clone(), hit.clone(), hit.clone());
        nameless["UID"] = json!(null);
        timeless["modified"] = json!("None");
        elsewhere["@id"] = json!("http://127.0.0.1:8080/other");
        let json = json!({"items": [nameless, hit, timeless, 7, elsewhere], "items_total": 7});
        let page = page_of(&PloneOptions::fixture(), read(&json).unwrap());
        assert_eq!((page.total, page.items.len(), page.unreadable), (7, 1, 4));
        assert_eq!((page.items[0].path.as_str(), page.items[0].uid.as_str()), ("/courses/a", "u1"));
        for broken in [json!({}), json!({"items": []}), json!({"items": 7, "items_total": 1})] {
            assert!(read::<SearchPage>(&broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn the_first_keyword_of_an_event_is_its_program() {
        let item = json!({
            "UID": "97", "title": "Open day", "start": "2027-01-01T10:00:00+00:00", "end": null, "location": " L1 ",
            "contact_name": "", "subjects": ["Nursing", "b"], "description": "Come."
        });
        let event = event_of(read(&item).unwrap());
        assert_eq!((event.id.as_str(), event.program.as_str()), ("plone-97", "Nursing"));
        assert_eq!((event.location.as_deref(), event.instructor, event.ends_at), (Some("L1"), None, None));
    }

    #[test]
    fn news_items_are_read_with_safe_html() {
        let item = json!({
            "@id": "http://127.0.0.1:8080/Plone/news/a", "UID": "n1", "title": "T", "description": null,
            "modified": "2026-11-24T00:12:32+00:00", "created": "2026-11-23T00:12:32+00:00", "effective": null,
            "text": {"content-type": "text/html", "data": "<p>Hi <script>alert(1)</script><a href='b'>b</a></p>"}
        });
        let news = news_of(&PloneOptions::fixture(), read(&item).unwrap()).unwrap();
        assert_eq!(news.published_at.to_string(), "2026-11-23T00:12:32Z");
        assert_eq!(news.html, "<p>Hi <a href=\"/plone/news/b\" rel=\"noopener noreferrer\">b</a></p>");
        assert_eq!(news.text, "Hi b");
    }
}
