//! Parameters that many operations share.

use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::domain::language::Language;
use crate::http::query::{LIST_LEN_DEFAULT, LIST_LEN_MAX};

fn optional(name: &str, location: ParameterIn, description: &str, schema: ObjectBuilder) -> Vec<Parameter> {
    let parameter = ParameterBuilder::new().name(name).parameter_in(location).required(Required::False);
    vec![parameter.description(Some(description)).schema(Some(schema)).build()]
}

/// `limit`: the maximum length of a list.
pub(in crate::http) struct Limit;

impl IntoParams for Limit {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let schema = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(LIST_LEN_MAX))
            .default(Some(LIST_LEN_DEFAULT.into()));
        optional("limit", ParameterIn::Query, "The maximum number of items.", schema)
    }
}

fn flag(name: &str, description: &str) -> Vec<Parameter> {
    let schema = ObjectBuilder::new().schema_type(Type::Boolean).default(Some(false.into()));
    optional(name, ParameterIn::Query, description, schema)
}

/// `waitlist`: whether to join the waitlist of a full section.
pub(in crate::http) struct Waitlist;

impl IntoParams for Waitlist {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        flag("waitlist", "Whether to join the waitlist if the section is full.")
    }
}

/// `lang`: the language of the response.
pub(in crate::http) struct Lang;

impl IntoParams for Lang {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(Language::ALL.map(Language::code)))
            .default(Some(Language::English.code().into()));
        optional("lang", ParameterIn::Query, "The language of the response.", schema)
    }
}

/// `open`: whether to list only sections with an open seat.
pub(in crate::http) struct Open;

impl IntoParams for Open {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        flag("open", "Only sections with an open seat.")
    }
}

/// `If-None-Match`: the ETag of the caller's copy.
pub(in crate::http) struct IfNoneMatch;

impl IntoParams for IfNoneMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let schema = ObjectBuilder::new().schema_type(Type::String);
        optional("If-None-Match", ParameterIn::Header, "The `ETag` of an earlier response.", schema)
    }
}
