//! Writes sections to Plone, and finds out who can read a field.

use actix_web::http::Method;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::domain::fields::{Fields, SectionField};
use crate::plone::port::{PloneError, PloneFuture, PloneSection, Viewer, Writer};
use crate::plone::rest::catalogue::{context, section_of};
use crate::plone::rest::client::{Inner, PloneClient};
use crate::plone::rest::paths;
use crate::plone::rest::responses::{FieldNames, Ignored, SectionItem};
use crate::plone::rest::transport::Call;
use crate::plone::rest::values;
use crate::text::percent;

/// Body of the request that creates a section.
#[derive(Serialize)]
struct NewSection {
    #[serde(rename = "@type")]
    portal_type: String,
    id: String,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

/// Body of the request for a workflow transition.
#[derive(Serialize)]
struct Transition {}

impl Writer for PloneClient {
    fn write_section(&self, path: &str, fields: &Fields) -> PloneFuture<()> {
        let path = paths::encode(path);
        let body = values::write(&self.inner.options, fields);
        self.run(|inner, deadline| async move {
            let call = Call::json(Method::PATCH, path?, &body)?;
            inner.call::<Ignored>(&Viewer::Hub, call, deadline).await.map(drop)
        })
    }

    fn create_section(&self, short_name: &str, fields: &Fields) -> PloneFuture<PloneSection> {
        let path = paths::encode(&format!("{}/{short_name}", self.inner.options.sections_path));
        let section = NewSection {
            portal_type: self.inner.options.section_type.clone(),
            id: short_name.to_owned(),
            fields: values::write(&self.inner.options, fields),
        };
        self.run(|inner, deadline| async move { inner.create(&path?, &section, deadline).await })
    }

    fn can_read(&self, viewer: Viewer, path: &str, field: SectionField) -> PloneFuture<bool> {
        let path = paths::encode(path);
        self.run(|inner, deadline| async move {
            // Plone would treat a member with an invalid token as a visitor.
            if let Viewer::Member(token) = &viewer
                && !inner.is_valid(token, deadline).await?
            {
                return Err(PloneError::Unauthenticated);
            }
            let (path, name) = (path?, inner.options.field_name(field));
            match inner.call::<FieldNames>(&viewer, Call::get(path.as_str()), deadline).await {
                Ok(item) if item.0.contains_key(name) => return Ok(true),
                Ok(_) | Err(PloneError::Forbidden | PloneError::NotFound) => {}
                Err(error) => return Err(error),
            }
            match &viewer {
                // For the hub's user, the result only says whether the type has the field.
                Viewer::Hub => Ok(false),
                Viewer::Visitor => inner.is_exposed(None, &path, name).await,
                Viewer::Member(token) => inner.is_exposed(Some(token), &path, name).await,
            }
        })
    }
}

impl Inner {
    async fn create(&self, path: &str, section: &NewSection, deadline: Instant) -> Result<PloneSection, PloneError> {
        let create = Call::json(Method::POST, context(&self.options)?, section)?;
        let item: SectionItem = match self.call(&Viewer::Hub, create, deadline).await {
            Ok(item) => item,
            // Plone reports a taken name only in the text of the error, so check whether the item exists.
            Err(PloneError::Refused(reason)) => {
                match self.call::<SectionItem>(&Viewer::Hub, Call::get(path), self.transport.deadline()).await {
                    Ok(item) if item.portal_type.0.as_deref() == Some(&self.options.section_type) => item,
                    Ok(_) | Err(PloneError::NotFound | PloneError::Forbidden) => {
                        return Err(PloneError::Refused(reason));
                    }
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        };
        let Some(transition) = self.options.publish.as_deref().filter(|_| never_published(&item)) else {
            return section_of(&self.options, item);
        };
        let publish = format!("{path}/@workflow/{}", percent::encode_segment(transition));
        let publish = Call::json(Method::POST, publish, &Transition {})?;
        match self.call::<Ignored>(&Viewer::Hub, publish, self.transport.deadline()).await {
            Ok(_) => {}
            // The type's workflow may have no such transition. The section then stays in its initial state.
            Err(PloneError::Refused(reason)) => log::warn!("could not publish a new section in Plone: {reason}"),
            Err(error) => return Err(error),
        }
        // The first publication changes the item's time of modification.
        let item = self.call(&Viewer::Hub, Call::get(path), self.transport.deadline()).await?;
        section_of(&self.options, item)
    }
}

/// Returns true if an item was never published: it is new, or its creation was interrupted. An item that was published
/// before must not be published again, because an editor has retracted it.
fn never_published(item: &SectionItem) -> bool {
    item.effective.is_none() && item.review_state.0.as_deref() != Some("published")
}
