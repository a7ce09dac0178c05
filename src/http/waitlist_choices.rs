//! Waitlist choices in requests and responses: `with`, `any_of` and `drop`.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::choices::{CHOICES_MAX, ChoiceField, WaitlistChoices};
use crate::domain::ids::{Crn, SectionId, TermId};
use crate::domain::outcome::ChoiceProblem;

use crate::http::body::{Fields, RequestBody};
use crate::http::error::Problem;
use crate::http::registrations::SECTION_LEN_MAX;

/// Waitlist choices: a bundle, alternatives, or a section to drop. All sections must be in the term of the requested
/// one. A request with choices needs `waitlist`, and is granted as a whole or not at all.
#[derive(Debug, Default, ToSchema)]
#[schema(as = WaitlistChoicesRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct ChoicesRequest {
    /// A bundle: sections in which the student gets seats together with the requested one, or in none of them.
    #[schema(value_type = Option<BTreeSet<SectionId>>, max_items = 8)]
    with: Vec<SectionId>,
    /// Alternatives: the student waits in each, and the first seat ends the others. Cannot be combined with `with`.
    #[schema(value_type = Option<BTreeSet<SectionId>>, max_items = 8)]
    any_of: Vec<SectionId>,
    /// A section in which the student is enrolled, to drop in the decision that grants the seat.
    #[schema(value_type = Option<SectionId>)]
    drop: Option<SectionId>,
    /// The path of the members, for problems.
    #[schema(ignore)]
    path: String,
}

impl RequestBody for ChoicesRequest {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let mut sections = |name: &str| {
            let texts = fields.maybe_strings(name, CHOICES_MAX, 1..=SECTION_LEN_MAX)?;
            texts.unwrap_or_default().iter().map(|text| section_id(&fields.path_of(name), text)).collect()
        };
        let (with, any_of): (Result<_, Problem>, Result<_, Problem>) = (sections("with"), sections("any_of"));
        let (with, any_of) = (with?, any_of?);
        let drop = fields.maybe_string("drop", 1..=SECTION_LEN_MAX)?;
        let drop = drop.map(|text| section_id(&fields.path_of("drop"), &text)).transpose()?;
        Ok(Self { with, any_of, drop, path: fields.path_of("") })
    }
}

/// Parses the id of a section in the member `field`.
pub(super) fn section_id(field: &str, text: &str) -> Result<SectionId, Problem> {
    let detail = "A section's id is TERM-CRN, such as 202209-10001.";
    SectionId::parse(text).map_err(|_| Problem::invalid(field, detail))
}

impl ChoicesRequest {
    fn sections(&self) -> impl Iterator<Item = (&'static str, &SectionId)> {
        let with = self.with.iter().map(|id| ("with", id));
        with.chain(self.any_of.iter().map(|id| ("any_of", id))).chain(self.drop.iter().map(|id| ("drop", id)))
    }

    /// Returns the choices of a request for the section `own`; `None` without any.
    pub(super) fn check(self, own: &SectionId, waitlist: bool) -> Result<Option<WaitlistChoices>, Problem> {
        let invalid = |field: &str, detail: String| Err(Problem::invalid(format!("{}{field}", self.path), detail));
        let mut known = vec![own];
        for (field, id) in self.sections() {
            if !waitlist {
                return invalid(field, format!("{field} is only possible with waitlist=true."));
            }
            if id.term != own.term {
                return invalid(field, format!("{id} is not in the term of {own}."));
            }
            if known.contains(&id) {
                return invalid(field, format!("{id} is named twice."));
            }
            known.push(id);
        }
        if !self.with.is_empty() && !self.any_of.is_empty() {
            return invalid("any_of", "with and any_of cannot be combined.".to_owned());
        }
        let crns = |list: Vec<SectionId>| list.into_iter().map(|id| id.crn).collect();
        let drop = self.drop.map(|id| id.crn);
        let choices = WaitlistChoices { with: crns(self.with), any_of: crns(self.any_of), drop };
        Ok(Some(choices).filter(|choices| !choices.is_empty()))
    }
}

/// A section to add: its id, or an object with waitlist choices.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes `AddedSection`")]
pub(super) enum AddEntry {
    /// The section.
    Section(SectionId),
    /// A section with waitlist choices.
    WithChoices(AddEntryWithChoices),
}

/// A section to add with waitlist choices.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes `AddedSection`")]
pub(super) struct AddEntryWithChoices {
    section: SectionId,
    /// A bundle; see `WaitlistChoicesRequest`.
    #[schema(value_type = Option<BTreeSet<SectionId>>, max_items = 8)]
    with: Vec<SectionId>,
    /// Alternatives.
    #[schema(value_type = Option<BTreeSet<SectionId>>, max_items = 8)]
    any_of: Vec<SectionId>,
    /// A section to drop when the seat is granted.
    #[schema(value_type = Option<SectionId>)]
    drop: Option<SectionId>,
}

/// A section to add that was read from a request.
#[derive(Debug)]
pub(super) struct AddedSection {
    pub(super) section: SectionId,
    pub(super) choices: Option<WaitlistChoices>,
}

/// A section to add whose choices are not checked yet.
pub(super) type UncheckedAdd = (SectionId, ChoicesRequest);

/// Reads the sections to add. None may be listed twice.
pub(super) fn read_adds(fields: &mut Fields, name: &str, count_max: usize) -> Result<Vec<UncheckedAdd>, Problem> {
    let of_text = |text| (text, ChoicesRequest::default());
    let of_object =
        |entry: &mut Fields| Ok((entry.string("section", 1..=SECTION_LEN_MAX)?, ChoicesRequest::read(entry)?));
    let entries = fields.maybe_texts_or_objects(name, count_max, 1..=SECTION_LEN_MAX, of_text, of_object)?;
    let mut adds: Vec<UncheckedAdd> = Vec::new();
    for (text, choices) in entries.unwrap_or_default() {
        let id = section_id(name, &text)?;
        if adds.iter().any(|(other, _)| *other == id) {
            return Err(Problem::invalid(name, format!("{id} is listed twice.")));
        }
        adds.push((id, choices));
    }
    Ok(adds)
}

/// Checks the choices of the sections to add. No section among the choices may be in another list of the request.
pub(super) fn check_adds(
    adds: Vec<UncheckedAdd>,
    drop: &[SectionId],
    waitlist: bool,
) -> Result<Vec<AddedSection>, Problem> {
    let mut others: Vec<SectionId> = adds.iter().map(|(id, _)| id.clone()).chain(drop.iter().cloned()).collect();
    let mut checked = Vec::with_capacity(adds.len());
    for (section, choices) in adds {
        let chosen: Vec<SectionId> = choices.sections().map(|(_, id)| id.clone()).collect();
        let path = format!("{}{}", choices.path, choices.sections().next().map_or("", |(field, _)| field));
        let choices = choices.check(&section, waitlist)?;
        if let Some(twice) = chosen.iter().find(|id| others.contains(id)) {
            return Err(Problem::invalid(path, format!("{twice} is in two parts of the request.")));
        }
        others.extend(chosen);
        checked.push(AddedSection { section, choices });
    }
    Ok(checked)
}

/// Waitlist choices in a response.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = WaitlistChoices)]
pub(super) struct ChoicesResponse {
    /// While waitlisted or offered: the other sections of the bundle.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Option<Vec<SectionId>>, nullable = false)]
    with: Vec<SectionId>,
    /// While waitlisted or offered: the alternatives, in which the student waits, too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Option<Vec<SectionId>>, nullable = false)]
    any_of: Vec<SectionId>,
    /// While waitlisted or offered: the section that is dropped when the student gets the seat.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    drop: Option<SectionId>,
}

impl ChoicesResponse {
    pub(super) fn new(term: &TermId, choices: Option<&WaitlistChoices>) -> Self {
        let Some(WaitlistChoices { with, any_of, drop }) = choices else { return Self::default() };
        let id = |crn: &Crn| SectionId { term: term.clone(), crn: crn.clone() };
        let ids = |crns: &[Crn]| crns.iter().map(id).collect();
        Self { with: ids(with), any_of: ids(any_of), drop: drop.as_ref().map(id) }
    }
}

/// Returns the problem of a section among the waitlist choices.
pub(super) fn choice_problem(term: &TermId, crn: Crn, problem: ChoiceProblem) -> Problem {
    let id = SectionId { term: term.clone(), crn };
    match problem {
        ChoiceProblem::Refused(refusal) => Problem::from(refusal).in_section(id),
        ChoiceProblem::NotFound(field) => {
            let detail = match field {
                ChoiceField::With | ChoiceField::AnyOf => format!("There is no section {id}."),
                ChoiceField::Drop => format!("You are not enrolled in {id}, so you cannot drop it."),
            };
            Problem::invalid(field.as_str(), detail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    use crate::http::openapi::request_tests::assert_reader_matches_schema;

    #[test]
    fn reader_and_schema_of_the_request_agree() {
        assert_reader_matches_schema::<ChoicesRequest>(&[("drop", json!("202209-10001"))]);
    }

    fn id(text: &str) -> SectionId {
        SectionId::parse(text).unwrap()
    }

    fn checked(json: &str, waitlist: bool) -> Result<Option<WaitlistChoices>, String> {
        let request = ChoicesRequest::read(&mut Fields::parse(json.as_bytes()).unwrap()).unwrap();
        let problem = |problem: Problem| problem.into_document().field.unwrap_or_default();
        request.check(&id("T-1"), waitlist).map_err(problem)
    }

    #[test]
    fn contradictory_choices_are_invalid() {
        let table = [
            (r#"{"with":["T-2"]}"#, false, "with"),
            (r#"{"with":["T-2","T-2"]}"#, true, "with"),
            (r#"{"with":["T-1"]}"#, true, "with"),
            (r#"{"with":["U-2"]}"#, true, "with"),
            (r#"{"with":["T-2"],"any_of":["T-3"]}"#, true, "any_of"),
            (r#"{"any_of":["T-2"],"drop":"T-2"}"#, true, "drop"),
            (r#"{"drop":"T-2"}"#, false, "drop"),
        ];
        for (json, waitlist, field) in table {
            assert_eq!(checked(json, waitlist), Err(field.to_owned()), "{json}");
        }
        for json in ["{}", r#"{"with":[],"drop":null}"#] {
            assert_eq!(checked(json, false), Ok(None), "{json}");
        }
        let drop = checked(r#"{"drop":"T-2"}"#, true).unwrap().unwrap();
        assert_eq!(drop.drop.unwrap().as_str(), "2");
    }
}
