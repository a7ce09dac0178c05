//! What is written into the college's content.

use actix_web::http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::domain::fields::{Fields, SectionField};
use crate::plone::port::{PloneError, PloneFuture, PloneSection, Viewer, Writer};
use crate::plone::rest::catalogue::{context, section_of};
use crate::plone::rest::client::{Inner, PloneClient};
use crate::plone::rest::paths;
use crate::plone::rest::transport::Call;
use crate::plone::rest::values;
use crate::text::percent;

impl Writer for PloneClient {
    fn write_section(&self, path: &str, fields: &Fields) -> PloneFuture<()> {
        let path = paths::encode(path);
        let body = Value::Object(values::written(&self.inner.options, fields));
        self.run(|inner, deadline| async move {
            let call = Call::new(Method::PATCH, path?, &body);
            inner.ask(&Viewer::Hub, call, deadline).await.map(drop)
        })
    }

    fn create_section(&self, short_name: &str, fields: &Fields) -> PloneFuture<PloneSection> {
        let path = paths::encode(&format!("{}/{short_name}", self.inner.options.sections_path));
        let mut body = values::written(&self.inner.options, fields);
        body.insert("@type".to_owned(), json!(self.inner.options.section_type));
        body.insert("id".to_owned(), json!(short_name));
        self.run(|inner, deadline| async move { inner.create(&path?, &Value::Object(body), deadline).await })
    }

    fn can_read(&self, viewer: Viewer, path: &str, field: SectionField) -> PloneFuture<bool> {
        let path = paths::encode(path);
        self.run(|inner, deadline| async move {
            // A token that is not good any more would be answered as a visitor is.
            if let Viewer::Member(token) = &viewer
                && !inner.is_good(token, deadline).await?
            {
                return Err(PloneError::Unauthenticated);
            }
            let (path, name) = (path?, inner.options.field_name(field));
            match inner.ask(&viewer, Call::get(path.as_str()), deadline).await {
                Ok(item) if item.get(name).is_some() => return Ok(true),
                Ok(_) | Err(PloneError::Forbidden | PloneError::NotFound) => {}
                Err(error) => return Err(error),
            }
            match &viewer {
                // Only whether there is such a field is asked for the hub itself.
                Viewer::Hub => Ok(false),
                Viewer::Visitor => inner.is_shown_elsewhere(None, &path, name).await,
                Viewer::Member(token) => inner.is_shown_elsewhere(Some(token), &path, name).await,
            }
        })
    }
}

impl Inner {
    async fn create(&self, path: &str, body: &Value, deadline: Instant) -> Result<PloneSection, PloneError> {
        let folder = context(&self.options)?;
        let created = self.ask(&Viewer::Hub, Call::new(Method::POST, folder, body), deadline).await;
        let item = match created {
            Ok(item) => item,
            // Plone says so in words only: look whether it is there.
            Err(PloneError::Refused(words)) => {
                match self.ask(&Viewer::Hub, Call::get(path), self.transport.deadline()).await {
                    Ok(item) if item.get("@type").and_then(Value::as_str) == Some(&self.options.section_type) => item,
                    Ok(_) | Err(PloneError::NotFound | PloneError::Forbidden) => {
                        return Err(PloneError::Refused(words));
                    }
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        };
        let Some(transition) = self.options.publish.as_deref().filter(|_| never_published(&item)) else {
            return section_of(&self.options, &item);
        };
        let publish = format!("{path}/@workflow/{}", percent::piece(transition));
        let publish = Call::new(Method::POST, publish, &json!({}));
        match self.ask(&Viewer::Hub, publish, self.transport.deadline()).await {
            Ok(_) => {}
            // A type without this workflow is as visible as its college wants it.
            Err(PloneError::Refused(words)) => log::warn!("a section that was made in Plone is not published: {words}"),
            Err(error) => return Err(error),
        }
        // Publishing changed when it was modified.
        let item = self.ask(&Viewer::Hub, Call::get(path), self.transport.deadline()).await?;
        section_of(&self.options, &item)
    }
}

/// Whether an item has never been published: it is new, or its making was broken off. What was published and taken back
/// was somebody's decision.
fn never_published(item: &Value) -> bool {
    item.get("effective").is_none_or(Value::is_null)
        && item.get("review_state").and_then(Value::as_str) != Some("published")
}
