//! The request to add, drop or swap several sections.

use utoipa::ToSchema;

use crate::domain::command::BATCH_LEN_MAX;
use crate::domain::ids::SectionId;

use crate::http::body::{Fields, RequestBody};
use crate::http::error::Problem;
use crate::http::registrations::SECTION_LEN_MAX;
use crate::http::waitlist_choices::{AddEntry, AddedSection, UncheckedAdd, check_adds, read_adds, section_id};

/// Sections to add and to drop.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchRequest {
    /// Waitlist choices need `waitlist`. Sections with choices are decided after the others.
    #[schema(value_type = Option<Vec<AddEntry>>, max_items = 50)]
    add: Vec<UncheckedAdd>,
    /// No section may be in both lists.
    #[schema(value_type = Option<BTreeSet<SectionId>>, max_items = 50)]
    drop: Vec<SectionId>,
    /// Whether to evaluate the adds as if the drops had happened, and to apply all changes or none. If so, all sections
    /// must be in the same term.
    #[schema(value_type = Option<bool>, default = false)]
    swap: bool,
    /// Whether to join the waitlist of sections that are full.
    #[schema(value_type = Option<bool>, default = false)]
    waitlist: bool,
}

impl RequestBody for BatchRequest {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let drop = |fields: &mut Fields| {
            let texts = fields.maybe_strings("drop", BATCH_LEN_MAX, 1..=SECTION_LEN_MAX)?;
            distinct_sections("drop", texts.unwrap_or_default())
        };
        Ok(Self {
            add: read_adds(fields, "add", BATCH_LEN_MAX)?,
            drop: drop(fields)?,
            swap: fields.maybe_bool("swap")?.unwrap_or(false),
            waitlist: fields.maybe_bool("waitlist")?.unwrap_or(false),
        })
    }
}

impl BatchRequest {
    /// Returns the request if no section is in more than one part of it, and if a swap is within one term.
    pub(super) fn check(self) -> Result<CheckedBatch, Problem> {
        let add = || self.add.iter().map(|(id, _)| id);
        if let Some(both) = self.drop.iter().find(|id| add().any(|added| added == *id)) {
            return Err(Problem::invalid("drop", format!("{both} is in both add and drop.")));
        }
        let mut terms = add().chain(&self.drop).map(|id| &id.term);
        let first = terms.next();
        if self.swap && terms.any(|term| Some(term) != first) {
            return Err(Problem::invalid("add", "All sections of a swap must be in one term."));
        }
        let Self { add, drop, swap, waitlist } = self;
        Ok(CheckedBatch { add: check_adds(add, &drop, waitlist)?, drop, swap, waitlist })
    }
}

/// A [`BatchRequest`] without contradictions.
#[derive(Debug)]
pub(super) struct CheckedBatch {
    pub(super) add: Vec<AddedSection>,
    pub(super) drop: Vec<SectionId>,
    pub(super) swap: bool,
    pub(super) waitlist: bool,
}

fn distinct_sections(field: &str, texts: Vec<String>) -> Result<Vec<SectionId>, Problem> {
    let mut ids: Vec<SectionId> = Vec::new();
    for text in texts {
        let id = section_id(field, &text)?;
        if ids.contains(&id) {
            return Err(Problem::invalid(field, format!("{id} is listed twice.")));
        }
        ids.push(id);
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    use crate::http::openapi::request_tests::assert_reader_matches_schema;

    #[test]
    fn reader_and_schema_of_the_request_agree() {
        let add = json!(["202209-10001", {"section": "202209-10002", "with": ["202209-10003"]}]);
        assert_reader_matches_schema::<BatchRequest>(&[("add", add)]);
    }
}
