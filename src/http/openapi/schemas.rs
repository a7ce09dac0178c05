//! Schemas of domain types. They are defined here because the domain does not depend on HTTP. The tests compare them
//! with the output of serde.

use serde::Serialize;
use serde_json::Value;
use strum::VariantArray;
use utoipa::openapi::schema::{ArrayBuilder, ArrayItems, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{KnownFormat, Ref, RefOr, Schema, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::alert::{Category, Priority};
use crate::domain::audience::{AUDIENCE_LEN_MAX, Audience, SectionRef, UserRef};
use crate::domain::event::Event;
use crate::domain::ids::{CODE_LEN_MAX, Crn, SectionId, TaskId, TermId, USER_CHARS_MAX, UserName};
use crate::domain::meeting::{Days, Meeting};
use crate::domain::prerequisite::{Expression, Unmet};
use crate::domain::refusal::RefusalCode;
use crate::domain::registration::RegistrationStatus;
use crate::domain::role::Role;
use crate::domain::section::{Credits, SectionStatus};
use crate::registration::section_json::SeatRow;

/// The longest name of a course in an audience, in characters.
const COURSE_LEN_MAX: usize = 40;

/// Implements `ToSchema` for domain types with these schemas, under the name of the type.
macro_rules! schemas {
    ($($type:ty => $schema:expr;)+) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                RefOr::T(Schema::from($schema.build()))
            }
        }
        impl ToSchema for $type {}
    )+};
}

/// Returns the schema of a part of a section's prerequisites: a course, or an expression with parts of its own.
fn requirement(description: &str) -> ObjectBuilder {
    let text = |description| ObjectBuilder::new().schema_type(Type::String).description(Some(description));
    let parts = |description| {
        let part = ObjectBuilder::new().schema_type(SchemaType::AnyValue);
        ArrayBuilder::new().items(part).description(Some(description))
    };
    let concurrent = ObjectBuilder::new().schema_type(Type::Boolean);
    ObjectBuilder::new()
        .description(Some(description))
        .property("text", text("The expression as a college writes it."))
        .property("all", parts("Parts that are all required."))
        .property("any", parts("Parts of which one is sufficient."))
        .property("course", text("A course, such as `MATH 151`."))
        .property("grade", text("The lowest sufficient grade."))
        .property("concurrent", concurrent.description(Some("Whether it may be taken in the same term.")))
}

/// Implements `ToSchema` for types that serialize like another type, with the schema of that type.
macro_rules! same_schema {
    ($($type:ty => $other:ty;)+) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                <$other>::schema()
            }
        }
        impl ToSchema for $type {
            fn name() -> std::borrow::Cow<'static, str> {
                <$other>::name()
            }
        }
    )+};
}

schemas! {
    TermId => text(&format!("^[A-Za-z0-9._-]{{1,{CODE_LEN_MAX}}}$"), "A term's id, such as `202209`.");
    Crn => text(&format!("^[A-Za-z0-9._]{{1,{CODE_LEN_MAX}}}$"), "A course reference number, unique within its term.");
    SectionId => text(
        &format!("^[A-Za-z0-9._-]{{1,{CODE_LEN_MAX}}}-[A-Za-z0-9._]{{1,{CODE_LEN_MAX}}}$"),
        "A section's id, `TERM-CRN`, such as `202209-10001`.",
    ).max_length(Some(2 * CODE_LEN_MAX + 1));
    TaskId => any_text().description(Some("The id of an import."));
    UserName => text(r"^\S+$", "A username: 1 to 120 characters without spaces or invisible characters, normalized by PRECIS (RFC 8265).")
        .min_length(Some(1)).max_length(Some(USER_CHARS_MAX));
    Credits => ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0)).description(Some("A number of credits."));
    Role => one_of(&Role::NAMED, "The role of a user. Each role includes the permissions of the previous one, except \
        that only a `student` can register.");
    SectionStatus => one_of(
        SectionStatus::VARIANTS,
        "`closed` accepts no new students but keeps those enrolled; `cancelled` will not be taught.",
    );
    RegistrationStatus => names(
        RegistrationStatus::VARIANTS.iter().map(|status| status.as_str()),
        "A student's status in a section.",
    );
    Expression<'_> => requirement("What a student must have completed: `all` or `any` of the parts. Null if nothing is required.")
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null])).required("text");
    Unmet => ArrayBuilder::new().items(requirement("A course or an expression."))
        .description(Some("The parts of the section's prerequisites that are not met."));
    RefusalCode => names(
        RefusalCode::VARIANTS.iter().map(|code| code.as_str()),
        "The reason why a registration rule refuses a request.",
    );
    Priority => one_of(
        Priority::VARIANTS,
        "How urgent an alert is.",
    );
    Category => one_of(
        Category::VARIANTS,
        "What an alert is about.",
    );
    Days => ArrayBuilder::new().items(names(Days::from_bits(0x7f).names(), "A weekday."))
        .description(Some("Weekdays, starting with Monday; empty while they are unknown."));
    Meeting => ObjectBuilder::new()
        .description(Some("A weekly meeting, in the college's time zone. Unknown values are null, unknown days empty."))
        .property("days", Days::schema()).required("days")
        .property("start", maybe(hour_minute()).description(Some("The start time on each of its days."))).required("start")
        .property("end", maybe(hour_minute()).description(Some("The end time, on the same day."))).required("end")
        .property("starts_on", maybe(day()).description(Some("The first date on which it may meet."))).required("starts_on")
        .property("ends_on", maybe(day()).description(Some("The last date on which it may meet."))).required("ends_on")
        .property("location", maybe(any_text()).description(Some("The room."))).required("location");
    SeatRow<'_> => ArrayBuilder::new()
        .description(Some("A section's seats, `[id, capacity, enrolled, waitlisted, open]`; all 0 after it is withdrawn."))
        .prefix_items(seat_row_items())
        .items(ArrayItems::False)
        .min_items(Some(5))
        .max_items(Some(5));
    Event => ObjectBuilder::new()
        .description(Some("A one-off event of the college."))
        .property("id", any_text().description(Some("The same after each import of the event."))).required("id")
        .property("title", any_text()).required("title")
        .property("program", any_text().description(Some("The program that organizes it."))).required("program")
        .property("starts_at", time()).required("starts_at")
        .property("ends_at", maybe(time()).description(Some("Null when the duration is unknown."))).required("ends_at")
        .property("location", maybe(any_text())).required("location")
        .property("instructor", maybe(any_text())).required("instructor")
        .property("description", maybe(any_text())).required("description");
    Audience => ObjectBuilder::new()
        .description(Some("Everyone, or the union of the named recipients; at least one member is required. The \
            students of sections and courses are determined when the alert is sent."))
        .property("all", ObjectBuilder::new().schema_type(Type::Boolean)
            .description(Some("Everyone, including visitors who have not signed in.")))
        .property("roles", list(reference::<Role>(), Role::NAMED.len()))
        .property("sections", list(reference::<SectionId>(), AUDIENCE_LEN_MAX))
        .property("courses", list(
            any_text().min_length(Some(1)).max_length(Some(COURSE_LEN_MAX)).build().into(),
            AUDIENCE_LEN_MAX,
        ).description(Some("Courses in terms that have not ended.")))
        .property("users", list(reference::<UserName>(), AUDIENCE_LEN_MAX))
        .additional_properties(Some(utoipa::openapi::schema::AdditionalProperties::FreeForm(false)));
}

same_schema! {
    SectionRef => SectionId;
    UserRef => UserName;
}

fn seat_row_items() -> Vec<Schema> {
    let numbers = ["capacity", "enrolled", "waitlisted", "open"].map(|name| {
        let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
        number.description(Some(name)).into()
    });
    // A tuple's items are inline: utoipa has no references here.
    let id = match SectionId::schema() {
        RefOr::T(schema) => schema,
        RefOr::Ref(_) => any_text().into(),
    };
    std::iter::once(id).chain(numbers).collect()
}

/// Returns the schema of a member that is always true.
pub(in crate::http) fn always_true() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true]))
}

fn any_text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn text(pattern: &str, description: &str) -> ObjectBuilder {
    any_text().pattern(Some(pattern)).description(Some(description))
}

fn hour_minute() -> ObjectBuilder {
    any_text().pattern(Some("^[0-2][0-9]:[0-5][0-9]$"))
}

fn day() -> ObjectBuilder {
    any_text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Date)))
}

fn time() -> ObjectBuilder {
    any_text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}

/// Returns a text schema that also allows null.
fn maybe(schema: ObjectBuilder) -> ObjectBuilder {
    schema.schema_type(utoipa::openapi::schema::SchemaType::from_iter([Type::String, Type::Null]))
}

fn list(items: RefOr<Schema>, count_max: usize) -> ArrayBuilder {
    ArrayBuilder::new().items(items).max_items(Some(count_max))
}

fn reference<T: ToSchema>() -> RefOr<Schema> {
    Ref::from_schema_name(T::name()).into()
}

/// Returns the schema of a text that is one of these names.
fn names<'n>(names: impl IntoIterator<Item = &'n str>, description: &str) -> ObjectBuilder {
    any_text().enum_values(Some(names)).description(Some(description))
}

/// Returns the schema of a text that is the serialized form of one of these values.
fn one_of<T: Serialize>(values: &[T], description: &str) -> ObjectBuilder {
    let names = values.iter().map(|value| serde_json::to_value(value).unwrap_or(Value::Null));
    any_text().enum_values(Some(names)).description(Some(description))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    /// Asserts that the serialized `value` conforms to the schema of its type and has exactly the required members.
    pub(in crate::http::openapi) fn assert_conforms<T: Serialize + ToSchema>(value: &T) {
        let name = T::name();
        let mut schema = serde_json::to_value(T::schema()).unwrap();
        let written = serde_json::to_value(value).unwrap();
        if let (Some(described), Some(members)) = (schema["properties"].as_object(), written.as_object()) {
            let required = schema["required"].as_array().map_or(0, Vec::len);
            assert!(members.keys().all(|member| described.contains_key(member)), "{name}: {written}");
            assert!(required == 0 || required == members.len(), "{name}: {written}");
        }
        let document = serde_json::to_value(crate::http::openapi::document()).unwrap();
        schema["components"] = document["components"].clone();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<_> = validator.iter_errors(&written).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {written} does not conform: {errors:?}");
    }

    #[test]
    fn serialized_domain_types_conform_to_their_schemas() {
        let section = SectionId::parse("2026-fall-10001").unwrap();
        assert_conforms(&section.term);
        assert_conforms(&section.crn);
        assert_conforms(&section);
        assert_conforms(&UserName::parse("josé@college.edu").unwrap());
        assert_conforms(&Credits(1_500));
        for role in &Role::NAMED {
            assert_conforms(role);
        }
        assert_conforms(&SectionStatus::Cancelled);
        assert_conforms(&Priority::default());
        assert_conforms(&Category::Emergency);
        assert_conforms(&Days::from_bits(0b101));
        assert_conforms(&Meeting::default());
        assert_conforms(&Meeting {
            days: Days::from_bits(0b1),
            start: Some(jiff::civil::time(9, 30, 0, 0)),
            end: Some(jiff::civil::time(10, 50, 0, 0)),
            starts_on: Some(jiff::civil::date(2026, 1, 12)),
            ends_on: Some(jiff::civil::date(2026, 5, 8)),
            location: Some("A 101".into()),
        });
        assert_conforms(&Audience::everyone());
        assert_conforms(&Audience {
            all: false,
            roles: vec![Role::Staff],
            sections: vec![SectionRef(section)],
            courses: vec!["MATH 151".to_owned()],
            users: vec![UserRef(UserName::parse("ann").unwrap())],
        });
        let event = Event {
            id: "a".to_owned(),
            title: "Orientation".to_owned(),
            program: "Advising".to_owned(),
            starts_at: "2026-01-12T08:00:00Z".parse().unwrap(),
            ends_at: None,
            location: Some("Library".to_owned()),
            instructor: None,
            description: None,
        };
        assert_conforms(&event);
    }

    #[test]
    fn schemas_reject_invalid_values() {
        let validator = jsonschema::validator_for(&serde_json::to_value(Role::schema()).unwrap()).unwrap();
        assert!(!validator.is_valid(&json!("teacher")));
        let validator = jsonschema::validator_for(&serde_json::to_value(SectionId::schema()).unwrap()).unwrap();
        assert!(!validator.is_valid(&json!("202209")));
    }
}
