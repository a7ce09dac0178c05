//! The OpenAPI 3.1 document, generated from the types that the handlers read and write.
//!
//! Each resource describes its operations next to its handlers (`#[utoipa::path]`) and collects them in a type `Api`;
//! [`RESOURCES`] lists those types. This module contains what operations share: [`responses`], [`params`] and, for
//! domain types, [`schemas`] and [`mirrors`]. `tests/it/openapi.rs` checks that the document agrees with the routes.

mod mirrors;
pub(super) mod params;
#[cfg(test)]
pub(super) mod request_tests;
pub(super) mod responses;
pub(super) mod schemas;

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
use crate::http::encoded::{Encoded, tag_of};
use crate::http::problem::ProblemDocument;

use params::IfNoneMatch;
use responses::{NotModified, Other, RateLimited};

/// The operations of each resource.
const RESOURCES: &[fn() -> utoipa::openapi::OpenApi] = &[
    super::sign_in::Api::openapi,
    super::own_account::Api::openapi,
    super::sso::Api::openapi,
    super::terms::Api::openapi,
    super::sections::Api::openapi,
    super::roster::Api::openapi,
    super::teaching::Api::openapi,
    super::student_imports::Api::openapi,
    super::students::Api::openapi,
    super::student_lookup::Api::openapi,
    super::student_registrations::Api::openapi,
    super::section_moves::Api::openapi,
    super::permits::Api::openapi,
    super::guardian_links::Api::openapi,
    super::schedule_calendar::Api::openapi,
    super::schedule_export::Api::openapi,
    super::oneroster_export::Api::openapi,
    super::activity::Api::openapi,
    super::demand::Api::openapi,
    super::rehearsals::Api::openapi,
    super::events::Api::openapi,
    super::registrations::Api::openapi,
    super::plan::Api::openapi,
    super::plan_check::Api::openapi,
    super::attempts::Api::openapi,
    super::imports::Api::openapi,
    super::import_profiles::Api::openapi,
    super::alerts::Api::openapi,
    super::alert_feeds::Api::openapi,
    super::receipts::Api::openapi,
    super::live::Api::openapi,
    super::stream::Api::openapi,
    super::sessions::Api::openapi,
    super::hubs::Api::openapi,
    super::announcements::Api::openapi,
    super::dashboard::Api::openapi,
    super::plone_admin::Api::openapi,
    super::proxy::Api::openapi,
    super::demo::Api::openapi,
    super::demo_reports::Api::openapi,
    super::users::Api::openapi,
    super::erasure::Api::openapi,
    super::my_data::Api::openapi,
    super::health::Api::openapi,
    super::charts::Api::openapi,
];

/// The parts of the document that belong to no resource: its head, and types that no operation references directly.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "EduHub",
        description = "Course registration: catalogue, seats, registration, alerts, imports and administration.\n\n\
            A request is authenticated by `Authorization: Bearer TOKEN` or by the cookie `eduhub_session`; with both, \
            the Bearer token takes precedence. A request that is authenticated by cookie and changes something must \
            have an `Origin` of the hub. Every operation that identifies its caller rejects an invalid Bearer token \
            with 401.\n\n\
            HEAD is supported wherever GET is, except on the WebSocket. Every response has `X-Request-Id`. Errors are \
            problem documents (RFC 9457); `/docs/problems` explains each code. JSON bodies have at most 64 KiB, and \
            unknown members are rejected with 422. Responses may gain members. Times are in RFC 3339 format."
    ),
    servers((url = "/")),
    security(("bearer" = []), ("cookie" = [])),
    tags(
        (name = "identity", description = "Sign-in, sign-out, and the caller's own account, data and schedule links"),
        (name = "catalogue", description = "Terms, sections, seats, rosters, exports and events"),
        (name = "registration", description = "A student's own registrations and plans, and demand for sections"),
        (name = "alerts", description = "Alerts, the alert feed, the WebSocket and the stream of events"),
        (name = "imports", description = "Imports of schedules and of facts about students"),
        (name = "plone", description = "Plone: announcements, the dashboard, the proxy and the connection"),
        (name = "administration", description = "Students, users, the audit trail, live sessions and demonstrations"),
        (name = "operation", description = "Health and metrics for operators"),
    ),
    // utoipa does not collect types that only parameters reference.
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
    let cookie = ApiKeyValue::with_description(
        SESSION_COOKIE,
        "Set by a sign-in. Its name is `__Host-eduhub_session` when the hub's `public_url` is https.",
    );
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
            // Under `/plone/`, statuses of Plone are passed through.
            if is_own {
                responses.extend(Other::responses());
            }
        }
    }
    document
}

/// A modifier that adds the members that the hub sets itself to the schema of a request body, as `readOnly`.
pub(super) struct ReadOnlyMembers<T>(PhantomData<T>);

impl<T: RequestBody> ReadOnlyMembers<T> {
    pub(super) const NEW: Self = Self(PhantomData);
}

impl<T: RequestBody> Modify for ReadOnlyMembers<T> {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let Some(RefOr::T(Schema::Object(body))) = components.schemas.get_mut(T::name().as_ref()) else { return };
        for name in T::SET_BY_HUB {
            let ignored = ObjectBuilder::new()
                .schema_type(SchemaType::AnyValue)
                .read_only(true)
                .description(Some("Set by the hub. Ignored in a request, so that clients can send a response back."));
            body.properties.insert((*name).to_owned(), ignored.into());
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
    all.into_iter().filter_map(Option::as_mut)
}

/// Returns this document.
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
        // Serializing strings, numbers and maps with strings as keys cannot fail.
        let bytes = Bytes::from(serde_json::to_vec(&document()).unwrap_or_default());
        Arc::new(Encoded::lasting(&tag_of(&bytes), "application/json", "no-cache", bytes))
    });
    DOCUMENT.clone().respond(&request).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn schema_names_are_unique_across_resources() {
        let mut known = BTreeMap::new();
        for resource in RESOURCES {
            for (name, schema) in resource().components.unwrap_or_default().schemas {
                let same = known.entry(name.clone()).or_insert_with(|| schema.clone());
                assert!(*same == schema, "two different schemas have the name {name}");
            }
        }
    }
}
