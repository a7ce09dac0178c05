//! Sections and their seats: lists, one, the compact seats of a term, and what staff change.

use std::sync::Arc;

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use serde_json::json;

use crate::domain::command::{Command, SectionPatch};
use crate::domain::ids::{SectionId, TermId};
use crate::domain::meeting::Days;
use crate::domain::outcome::Outcome;
use crate::domain::section::SectionStatus;
use crate::identity::audit::Audit;
use crate::registration::pool::RegistrarPool;
use crate::registration::readmodel::{ReadModel, Row, Snapshot};
use crate::registration::section_json::{SectionJson, push_seat_rows};

use crate::http::auth::{Staff, Visitor};
use crate::http::body::read_json;
use crate::http::encoded::Encoded;
use crate::http::error::Problem;
use crate::http::hot::HotAnswers;
use crate::http::query::{Query, path_param};

/// Sections in one list unless asked otherwise.
const LIST_LEN: u32 = 100;
/// Sections in one list at most.
const LIST_LEN_MAX: u32 = 5_000;
/// The longest search, in characters.
const SEARCH_LEN_MAX: usize = 200;
/// The most seats or places that staff may give a section.
pub const SEATS_MAX: u32 = 100_000;
/// Browsers keep an answer, and ask each time whether it still holds.
const REVALIDATE: &str = "no-cache";
const JSON: &str = "application/json";

/// What a list is asked for.
#[derive(Debug, Clone)]
struct Filter {
    term: Option<TermId>,
    words: Vec<String>,
    subject: Option<String>,
    open: bool,
    days: Days,
    limit: usize,
    after: Option<SectionId>,
}

impl Filter {
    fn read(query: &Query) -> Result<Self, Problem> {
        let words = query.string("q", 0..=SEARCH_LEN_MAX)?.unwrap_or_default();
        let mut days = Days::NONE;
        for name in query.get("days")?.unwrap_or_default().split(',').map(str::trim).filter(|d| !d.is_empty()) {
            let day = Days::parse_one(&name.to_ascii_lowercase()).ok_or_else(|| {
                unknown("days", "Days are mon, tue, wed, thu, fri, sat and sun, separated by commas.")
            })?;
            days = Days::from_bits(days.bits() | day.bits());
        }
        Ok(Self {
            term: query.parsed("term", "a term's id", |t| TermId::parse(t).ok())?,
            words: words.split_whitespace().map(str::to_lowercase).collect(),
            subject: query.get("subject")?.map(str::to_uppercase).filter(|s| !s.is_empty()),
            open: query.bool("open")?.unwrap_or(false),
            days,
            limit: query.u32("limit", 1..=LIST_LEN_MAX)?.unwrap_or(LIST_LEN) as usize,
            after: query.parsed("cursor", "the `next` of a list before", |c| SectionId::parse(c).ok())?,
        })
    }

    fn takes(&self, row: &Row) -> bool {
        let section = &row.state.section;
        !section.withdrawn
            && (!self.open || row.state.open() > 0)
            && self.subject.as_ref().is_none_or(|s| section.subject().to_uppercase() == *s)
            && (self.days.is_empty() || meets_on_all(section, self.days))
            && (self.words.is_empty() || {
                let text = searched_text(section);
                self.words.iter().all(|word| text.contains(word.as_str()))
            })
    }
}

/// Whether its meetings together cover all of these days.
fn meets_on_all(section: &crate::domain::section::Section, days: Days) -> bool {
    let on = section.meetings.iter().fold(0, |bits, m| bits | m.days.bits());
    on & days.bits() == days.bits()
}

/// What a search looks through.
fn searched_text(section: &crate::domain::section::Section) -> String {
    let or_empty = |text: &Option<Box<str>>| text.as_deref().unwrap_or("").to_owned();
    [
        section.course.to_string(),
        or_empty(&section.title),
        or_empty(&section.instructor),
        section.id.crn.as_str().to_owned(),
        or_empty(&section.section),
        section.component.to_string(),
    ]
    .join(" ")
    .to_lowercase()
}

fn unknown(field: &'static str, detail: &'static str) -> Problem {
    Problem::invalid(field, detail)
}

/// `GET /api/v1/sections`
pub async fn list(
    request: HttpRequest,
    _visitor: Visitor,
    model: Data<ReadModel>,
    hot: Data<HotAnswers>,
) -> Result<HttpResponse, Problem> {
    let filter = Filter::read(&Query::of(&request)?)?;
    let model = model.into_inner();
    let snapshots = snapshots(&model, filter.term.as_ref())?;
    if let Some(after) = &filter.after
        && !snapshots.iter().any(|s| s.term.id == after.term && s.row(&after.crn).is_some())
    {
        return Err(unknown("cursor", "This cursor is not one of ours."));
    }
    let question = format!("sections {filter:?}");
    let build = move || {
        let snapshots = match &filter.term {
            Some(term) => model.term(term).map(|t| vec![t.snapshot()]).unwrap_or_default(),
            None => model.terms().values().map(|t| t.snapshot()).collect(),
        };
        let tag = tag(&snapshots);
        (version(&snapshots), Encoded::new(&tag, JSON, REVALIDATE, list_json(&filter, &snapshots)))
    };
    Ok(hot.get(&question, version(&snapshots), build).await?.respond(&request).await)
}

/// The snapshots that a list is made of: one term's, or all.
fn snapshots(model: &ReadModel, term: Option<&TermId>) -> Result<Vec<Arc<Snapshot>>, Problem> {
    match term {
        Some(term) => match model.term(term) {
            Some(term) => Ok(vec![term.snapshot()]),
            None => Err(unknown("term", "There is no such term.")),
        },
        None => Ok(model.terms().values().map(|t| t.snapshot()).collect()),
    }
}

/// Grows with every commit of every term.
fn version(snapshots: &[Arc<Snapshot>]) -> u64 {
    snapshots.iter().map(|s| s.seq + 1).sum()
}

fn tag(snapshots: &[Arc<Snapshot>]) -> String {
    let parts: Vec<String> = snapshots.iter().map(|s| format!("{}.{}", s.term.id, s.seq)).collect();
    format!("{}-{}", crate::http::encoded::start_tag(), parts.join("_"))
}

fn list_json(filter: &Filter, snapshots: &[Arc<Snapshot>]) -> Bytes {
    let rows = snapshots.iter().flat_map(|s| s.rows_in_order());
    let mut out = b"{\"items\":[".to_vec();
    let (mut total, mut given, mut next) = (0_u64, 0_usize, None);
    let mut started = filter.after.is_none();
    let mut last = None;
    for row in rows {
        let id = &row.state.section.id;
        let (taken, behind) = (filter.takes(row), started);
        // The cursor's own section may no longer be taken (`open=true`): the list goes on behind it all the same.
        started |= filter.after.as_ref() == Some(id);
        total += u64::from(taken);
        if !taken || !behind {
            continue;
        }
        if given == filter.limit {
            next = last.take().or(next);
            continue;
        }
        if given > 0 {
            out.push(b',');
        }
        // A section serializes into a vector without fail.
        let _ = serde_json::to_writer(&mut out, &SectionJson(&row.state));
        given += 1;
        last = Some(id.to_string());
    }
    out.extend_from_slice(format!("],\"next\":{},\"total\":{total}", json!(next)).as_bytes());
    // Whoever listens to the seats of the term from here on needs no snapshot of them.
    if let (Some(_), [one]) = (&filter.term, snapshots) {
        out.extend_from_slice(format!(",\"seq\":{}", one.seq).as_bytes());
    }
    out.push(b'}');
    out.into()
}

/// `GET /api/v1/sections/{id}`
pub async fn one(request: HttpRequest, visitor: Visitor, model: Data<ReadModel>) -> Result<HttpResponse, Problem> {
    let id = SectionId::parse(&path_param(&request, "id")?).map_err(|_| no_such_section())?;
    let who = visitor.0.as_ref().map(|caller| (&caller.user, caller.role));
    let (row, _) = model.section_for(&id, who).ok_or_else(no_such_section)?;
    Ok(section_response(&row))
}

fn section_response(row: &Row) -> HttpResponse {
    // Who may see a section that is withdrawn is personal.
    let cache = if row.state.section.withdrawn { "private, no-store" } else { REVALIDATE };
    HttpResponse::Ok().insert_header(("Cache-Control", cache)).json(SectionJson(&row.state))
}

fn find(model: &ReadModel, id: &str) -> Result<(Row, SectionId), Problem> {
    let id = SectionId::parse(id).map_err(|_| no_such_section())?;
    let (row, _) = model.section(&id).ok_or_else(no_such_section)?;
    Ok((row, id))
}

/// 404 for a section.
pub(super) fn no_such_section() -> Problem {
    Problem::not_found("There is no such section.")
}

/// `GET /api/v1/seats?term=`
pub async fn seats(
    request: HttpRequest,
    visitor: Visitor,
    model: Data<ReadModel>,
    hot: Data<HotAnswers>,
) -> Result<HttpResponse, Problem> {
    let term = Query::of(&request)?.parsed("term", "a term's id", |t| TermId::parse(t).ok())?;
    let term = term.ok_or_else(|| unknown("term", "Say which term: ?term=…"))?;
    let realm = visitor.0.map(|caller| caller.realm).unwrap_or_default();
    let term = model.term_in(&realm, &term);
    let term = term.ok_or_else(|| unknown("term", "There is no such term."))?;
    let snapshot = term.snapshot();
    let build = move || {
        let snapshot = term.snapshot();
        let mut out = format!("{{\"seq\":{},\"seats\":", snapshot.seq).into_bytes();
        push_seat_rows(&mut out, snapshot.listed_rows().map(|row| &row.state));
        out.push(b'}');
        (snapshot.seq, Encoded::new(&tag(&[snapshot]), JSON, REVALIDATE, out.into()))
    };
    let question = format!("seats {}", snapshot.term.id);
    Ok(hot.get(&question, snapshot.seq, build).await?.respond(&request).await)
}

/// What staff changed, for the audit trail.
fn in_words(patch: &SectionPatch) -> String {
    let numbers = [
        ("capacity", patch.capacity),
        ("waitlist_capacity", patch.waitlist_capacity),
        ("outside_enrolled", patch.outside_enrolled),
        ("outside_waitlisted", patch.outside_waitlisted),
    ];
    let numbers = numbers.into_iter().filter_map(|(name, value)| Some(format!("{name}: {}", value?)));
    let status = patch.status.map(|status| format!("status: {}", status.as_str()));
    numbers.chain(status).collect::<Vec<_>>().join(", ")
}

/// `PATCH /api/v1/sections/{id}`
pub async fn patch(
    request: HttpRequest,
    staff: Staff,
    payload: web::Payload,
    model: Data<ReadModel>,
    pool: Data<RegistrarPool>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let mut fields = read_json(&request, payload).await?;
    let (_, id) = find(&model, &path_param(&request, "id")?)?;
    let seats = 0..=SEATS_MAX;
    let patch = SectionPatch {
        capacity: fields.maybe_u32("capacity", seats.clone())?,
        waitlist_capacity: fields.maybe_u32("waitlist_capacity", seats.clone())?,
        status: fields.maybe_parsed("status", "open, closed or cancelled", SectionStatus::parse)?,
        outside_enrolled: fields.maybe_u32("outside_enrolled", seats.clone())?,
        outside_waitlisted: fields.maybe_u32("outside_waitlisted", seats)?,
    };
    fields.finish()?;
    let detail = in_words(&patch);
    let command = Command::PatchSection { crn: id.crn.clone(), patch };
    let answer = pool.submit(&id.term, command).await.ok_or_else(no_such_section)??;
    if answer == Outcome::NoSuchSection {
        return Err(no_such_section());
    }
    audit.record(&request, Some(&staff.0), "section.change", None, Some(&id), &detail);
    let (row, _) = model.section(&id).ok_or_else(no_such_section)?;
    Ok(section_response(&row))
}
