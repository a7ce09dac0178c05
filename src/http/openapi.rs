//! The OpenAPI 3.1 document, generated from the types that the handlers read and write.
//!
//! Each resource describes its operations beside its handlers (`#[utoipa::path]`) and collects them in a type `Api`;
//! [`RESOURCES`] lists those types. What operations share is here: [`responses`], [`params`] and, for domain types,
//! [`schemas`] and [`mirrors`]. `tests/openapi.rs` holds the document to the routes.

mod mirrors;
pub(super) mod params;
#[cfg(test)]
pub(super) mod request_tests;
pub(super) mod responses;
pub(super) mod schemas;

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::marker::PhantomData;
use std::sync::{Arc, LazyLock};

use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoResponses, Modify, OpenApi};

use crate::domain::ids::{SectionId, TermId, UserName};
use crate::domain::meeting::Days;
use crate::domain::role::Role;
use crate::http::auth::{SESSION_COOKIE, UNLIMITED_PATHS};
use crate::http::body::RequestBody;
use crate::http::encoded::Encoded;
use crate::http::problem::ProblemDocument;

use params::IfNoneMatch;
use responses::{NotModified, Other, RateLimited};

/// The operations of each resource.
const RESOURCES: &[fn() -> utoipa::openapi::OpenApi] = &[
    super::session::Api::openapi,
    super::terms::Api::openapi,
    super::sections::Api::openapi,
    super::roster::Api::openapi,
    super::activity::Api::openapi,
    super::events::Api::openapi,
    super::registrations::Api::openapi,
    super::plan::Api::openapi,
    super::imports::Api::openapi,
    super::alerts::Api::openapi,
    super::receipts::Api::openapi,
    super::live::Api::openapi,
    super::sessions::Api::openapi,
    super::announcements::Api::openapi,
    super::dashboard::Api::openapi,
    super::plone_desk::Api::openapi,
    super::proxy::Api::openapi,
    super::demo::Api::openapi,
    super::users::Api::openapi,
    super::health::Api::openapi,
    super::charts::Api::openapi,
];

/// What belongs to no resource: the head of the document, and types that no operation names itself.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "EduHub",
        description = "Course registration: catalogue, seats, registration, alerts, imports and administration.\n\n\
            A request carries `Authorization: Bearer TOKEN` or the cookie `eduhub_session`; with both, Bearer counts. A \
            request that changes something and is authenticated by cookie must have an `Origin` that is the hub's. An \
            invalid Bearer token is answered with 401 by every operation that reads who calls.\n\n\
            Wherever GET is supported, HEAD is too (except on the WebSocket). Every response carries `X-Request-Id`. \
            Errors are problem documents (RFC 9457); `/docs/problems` explains each code. JSON bodies have at most 64 \
            KiB, and a member that is not described is rejected with 422; responses may gain members. Times are RFC \
            3339."
    ),
    servers((url = "/")),
    security(("bearer" = []), ("cookie" = [])),
    tags(
        (name = "identity", description = "Signing in and out"),
        (name = "catalogue", description = "Terms, sections, seats and events"),
        (name = "registration", description = "A student's own seats and plan"),
        (name = "alerts", description = "Alerts and the WebSocket"),
        (name = "imports", description = "Schedules from files"),
        (name = "plone", description = "The college's Plone: announcements, the dashboard, and the connection to it"),
        (name = "administration", description = "Connections, measurements, users and the audit trail"),
        (name = "operation", description = "Health and measurements for operators"),
    ),
    // Besides the problem document: types that parameters refer to, which utoipa does not collect.
    components(schemas(ProblemDocument, TermId, SectionId, UserName, Role, Days)),
    paths(serve)
)]
struct Api;

/// Builds the document.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = Api::openapi();
    for resource in RESOURCES {
        document.merge(resource());
    }
    let components = document.components.get_or_insert_default();
    components.responses.extend(responses::components());
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("The `token` of a sign-in, or one that `eduhub token` minted."));
    let cookie = ApiKeyValue::with_description(SESSION_COOKIE, "Set by a sign-in.");
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
    components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    for (path, item) in &mut document.paths.paths {
        let is_limited = !UNLIMITED_PATHS.contains(&path.as_str());
        let is_own = !path.starts_with("/plone/");
        for operation in operations(item) {
            let responses = &mut operation.responses.responses;
            if is_limited {
                responses.extend(RateLimited::responses());
            }
            // Plone's own statuses pass through.
            if is_own {
                responses.extend(Other::responses());
            }
        }
    }
    document
}

/// Adds to the schema of a request body the members that the hub sets itself, which are ignored when they are sent.
pub(super) struct SentBack<T>(PhantomData<T>);

impl<T: RequestBody> SentBack<T> {
    pub(super) const NEW: Self = Self(PhantomData);
}

impl<T: RequestBody> Modify for SentBack<T> {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let Some(RefOr::T(Schema::Object(body))) = components.schemas.get_mut(T::name().as_ref()) else { return };
        for name in T::SET_BY_HUB {
            let ignored = ObjectBuilder::new()
                .schema_type(SchemaType::AnyValue)
                .read_only(true)
                .description(Some("Set by the hub; ignored in a request, so that a response can be sent back."));
            body.properties.insert((*name).to_owned(), ignored.into());
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
    all.into_iter().filter_map(Option::as_mut)
}

/// This document.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    operation_id = "openapi",
    tag = "operation",
    security(()),
    params(IfNoneMatch),
    responses(
        (status = 200, description = "OpenAPI 3.1.", body = Object, headers(
            ("ETag" = String, description = "Weak, the same for every content coding."),
            ("Vary" = String),
            ("Cache-Control" = String),
        )),
        NotModified,
    )
)]
pub async fn serve(request: HttpRequest) -> HttpResponse {
    static DOCUMENT: LazyLock<Arc<Encoded>> = LazyLock::new(|| {
        // The document is made of strings, numbers and maps with text as keys: it serializes without fail.
        let bytes = Bytes::from(serde_json::to_vec(&document()).unwrap_or_default());
        let tag = format!("{:016x}", BuildHasherDefault::<DefaultHasher>::default().hash_one(&bytes));
        Arc::new(Encoded::lasting(&tag, "application/json", "no-cache", bytes))
    });
    DOCUMENT.clone().respond(&request).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn resources_do_not_share_a_schema_name_for_different_types() {
        let mut known = BTreeMap::new();
        for resource in RESOURCES {
            for (name, schema) in resource().components.unwrap_or_default().schemas {
                let same = known.entry(name.clone()).or_insert_with(|| schema.clone());
                assert!(*same == schema, "two different schemas are called {name}");
            }
        }
    }
}
