//! Sections and their seats: search, a single section, the compact seats of a term, and changes by staff.

use std::sync::Arc;

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::config::Privacy;
use crate::domain::command::{Command, SectionPatch};
use crate::domain::ids::{SectionId, TermId};
use crate::domain::meeting::Days;
use crate::domain::outcome::Outcome;
use crate::domain::rights::Scope;
use crate::domain::role::Role;
use crate::domain::section::Section;
use crate::identity::audit::Audit;
use crate::registration::pool::RegistrarPool;
use crate::registration::readmodel::{ReadModel, Row, Snapshot};
use crate::registration::section_json::{SeatRow, SectionView};
use crate::registration::shown_counts::ShownCounts;
use crate::registration::submitted::Submitted;
use crate::store::terms::Lineage;

use crate::http::auth::{SubjectStaff, Visitor};
use crate::http::body::read_body;
use crate::http::build_threads::{PartedVec, in_parts};
use crate::http::encoded::{Encoded, not_modified};
use crate::http::error::Problem;
use crate::http::hot::HotResponses;
use crate::http::openapi::params::{IfNoneMatch, Limit, Open};
use crate::http::openapi::responses::{
    BadBody, BadPath, BadQuery, BadRole, BadToken, NotFound, NotModified, StoreFailed,
};
use crate::http::query::{Query, path_param};
use crate::http::request_id::PRIVATE;
use crate::http::section_request::{SectionRequest, describe};
use crate::http::uncached::{Requester, UncachedResponses};

/// The longest search, in characters.
const SEARCH_LEN_MAX: usize = 200;
/// The lengths of the pages of a list that are cached: those of the hub's pages (60, then 500), the default, and the
/// longest. Clients choose other lengths and filters freely, so lists with these are built for each request.
const CACHED_LIMITS: [usize; 4] = [FIRST_PAGE_LEN, 100, 500, 5_000];
/// The number of sections that the student's page requests first, which shifts its later pages.
const FIRST_PAGE_LEN: usize = 60;
/// `Cache-Control` of lists and seats: browsers store the response and revalidate it each time.
const REVALIDATE: &str = "no-cache";
const JSON: &str = "application/json";

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(list, one, patch, seats))]
pub(super) struct Api;

/// The filters of a list, its length and its start.
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
                Problem::invalid("days", "days must be mon, tue, wed, thu, fri, sat or sun, separated by commas.")
            })?;
            days = Days::from_bits(days.bits() | day.bits());
        }
        Ok(Self {
            term: query.parsed("term", "a term's id", |t| TermId::parse(t).ok())?,
            words: words.split_whitespace().map(str::to_lowercase).collect(),
            subject: query.get("subject")?.map(str::to_uppercase).filter(|s| !s.is_empty()),
            open: query.bool("open")?.unwrap_or(false),
            days,
            limit: query.limit()? as usize,
            after: query.parsed("cursor", "the `next` of an earlier page", |c| SectionId::parse(c).ok())?,
        })
    }

    /// Returns whether many clients send this query: it requests an unfiltered list from the beginning, or the page
    /// that follows pages of a cached length.
    fn is_canonical(&self, snapshots: &[Arc<Snapshot>]) -> bool {
        let is_filtered = self.open || self.subject.is_some() || !self.words.is_empty() || !self.days.is_empty();
        if is_filtered || !CACHED_LIMITS.contains(&self.limit) {
            return false;
        }
        let Some(after) = &self.after else { return true };
        let [snapshot] = snapshots else { return false };
        let mut listed = snapshot.rows_in_order().filter(|row| !row.state.section.withdrawn);
        let before = listed.position(|row| row.state.section.id == *after).map(|index| index + 1);
        before.is_some_and(|before| [0, FIRST_PAGE_LEN].contains(&(before % self.limit)))
    }

    fn matches(&self, row: &Row) -> bool {
        let section = &row.state.section;
        !section.withdrawn
            && (!self.open || row.state.open_seats() > 0)
            && self.subject.as_ref().is_none_or(|s| section.subject().to_uppercase() == *s)
            && (self.days.is_empty() || meets_on_all(section, self.days))
            && (self.words.is_empty() || {
                let text = searched_text(section);
                self.words.iter().all(|word| text.contains(word.as_str()))
            })
    }
}

/// Returns whether the section meets on all of these days.
fn meets_on_all(section: &Section, days: Days) -> bool {
    let on = section.meetings.iter().fold(0, |bits, m| bits | m.days.bits());
    on & days.bits() == days.bits()
}

/// Returns the text in which search words are looked up, in lower case.
fn searched_text(section: &Section) -> String {
    let or_empty = |text: &Option<Box<str>>| text.as_deref().unwrap_or("").to_owned();
    [
        section.course.to_string(),
        or_empty(&section.title),
        or_empty(&section.instructor),
        section.id.crn.as_str().to_owned(),
        or_empty(&section.original_crn),
        or_empty(&section.section),
        section.component.to_string(),
    ]
    .join(" ")
    .to_lowercase()
}

/// Sections that match a search.
#[derive(Debug, Serialize, ToSchema)]
struct SectionList<'a> {
    items: Vec<SectionView<'a>>,
    /// The `cursor` of the next page; null at the end.
    #[schema(required)]
    next: Option<&'a SectionId>,
    /// The number of matching sections, including those beyond `limit`.
    total: u64,
    /// Only with `term`: the seats sequence of the term in this response. As `seats_since` of a subscription, it avoids
    /// a snapshot of these sections.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    seq: Option<u64>,
}

impl<'a> SectionList<'a> {
    fn new(filter: &Filter, snapshots: &'a [Arc<Snapshot>], shown: ShownCounts) -> Self {
        let seq = match (&filter.term, snapshots) {
            (Some(_), [one]) => Some(one.seq),
            _ => None,
        };
        let mut list = Self { items: Vec::new(), next: None, total: 0, seq };
        let mut started = filter.after.is_none();
        let mut last = None;
        for row in in_parts(snapshots.iter().flat_map(|snapshot| snapshot.rows_in_order())) {
            let id = &row.state.section.id;
            let (matches, is_after_cursor) = (filter.matches(row), started);
            // Checked even if the cursor's own section no longer matches, such as with `open=true`.
            started |= filter.after.as_ref() == Some(id);
            list.total += u64::from(matches);
            if !matches || !is_after_cursor {
                continue;
            }
            if list.items.len() == filter.limit {
                list.next = last.take().or(list.next);
                continue;
            }
            list.items.push(SectionView::with_counts(&row.state, shown));
            last = Some(id);
        }
        list
    }

    fn to_json(&self) -> Bytes {
        let mut json = PartedVec::default();
        // Serializing strings, numbers and lists to memory cannot fail.
        let _ = serde_json::to_writer(&mut json, self);
        json.into_inner().into()
    }
}

/// The seats of a term.
#[derive(Debug, Serialize, ToSchema)]
struct Seats<'a> {
    /// The seats sequence of the term, for `seats_since` of a subscription.
    seq: u64,
    seats: Vec<SeatRow<'a>>,
    /// Only for visitors: a number of enrolled or waiting people that is greater than 0 and less than this number is
    /// replaced with this number minus 1 or, for enrolled people, with at most the capacity (`[privacy] small_counts`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    fewer_than: Option<u32>,
}

/// Searches sections.
#[utoipa::path(
    get,
    path = "/api/v1/sections",
    operation_id = "listSections",
    tag = "catalogue",
    security((), ("bearer" = []), ("cookie" = [])),
    params(
        ("term" = Option<TermId>, Query, description = "Only sections of this term."),
        ("q" = Option<String>, Query, max_length = 200, description = "Only sections with each of these words in \
            course, title, instructor, CRN, section or component."),
        ("subject" = Option<String>, Query, description = "Only sections of this subject, such as `MATH`; case does \
            not matter."),
        Open,
        ("days" = Option<Days>, Query, style = Form, explode = false, description = "Only sections that meet on all of \
            these days, such as `mon,wed`."),
        Limit,
        ("cursor" = Option<SectionId>, Query, description = "The `next` of an earlier page."),
        IfNoneMatch,
    ),
    responses(
        (status = 200, description = "Sections, ordered by term, course and CRN.", body = SectionList, headers(
            ("ETag" = String, description = "Weak, the same for every content coding."),
            ("Vary" = String),
            ("Cache-Control" = String),
        )),
        NotModified, BadQuery, BadToken,
    )
)]
pub async fn list(
    request: HttpRequest,
    visitor: Visitor,
    model: Data<ReadModel>,
    hot: Data<HotResponses>,
    uncached: Data<UncachedResponses>,
    privacy: Data<Privacy>,
    lineage: Data<Lineage>,
) -> Result<HttpResponse, Problem> {
    let lineage = **lineage;
    let filter = Filter::read(&Query::of(&request)?)?;
    let model = model.into_inner();
    let snapshots = snapshots(&model, filter.term.as_ref())?;
    if let Some(after) = &filter.after
        && !snapshots.iter().any(|s| s.term.id == after.term && s.row(&after.crn).is_some())
    {
        return Err(Problem::invalid("cursor", "cursor must be the `next` of an earlier page."));
    }
    let shown = shown_to(&visitor, &privacy);
    let (is_canonical, key) = (filter.is_canonical(&snapshots), format!("sections {} {filter:?}", kind(shown)));
    let build = move || {
        let snapshots = match &filter.term {
            Some(term) => model.term(term).map(|t| vec![t.snapshot()]).unwrap_or_default(),
            None => model.terms().values().map(|t| t.snapshot()).collect(),
        };
        let json = SectionList::new(&filter, &snapshots, shown).to_json();
        (version(&snapshots), Encoded::new(&tag(lineage, &snapshots, shown), JSON, REVALIDATE, json))
    };
    if is_canonical {
        return Ok(hot.respond(&request, &key, version(&snapshots), build).await?);
    }
    if let Some(unchanged) = not_modified(&request, &tag(lineage, &snapshots, shown), REVALIDATE) {
        return Ok(unchanged);
    }
    let by = if visitor.0.is_some() { Requester::User } else { Requester::Visitor };
    uncached.respond(&request, by, move || build().1).await
}

/// Returns the snapshot of a term, or those of all terms.
fn snapshots(model: &ReadModel, term: Option<&TermId>) -> Result<Vec<Arc<Snapshot>>, Problem> {
    match term {
        Some(term) => match model.term(term) {
            Some(term) => Ok(vec![term.snapshot()]),
            None => Err(Problem::invalid("term", "There is no such term.")),
        },
        None => Ok(model.terms().values().map(|t| t.snapshot()).collect()),
    }
}

/// Returns a number that increases with each commit that changes one of the terms.
fn version(snapshots: &[Arc<Snapshot>]) -> u64 {
    snapshots.iter().map(|s| s.seq + 1).sum()
}

/// Returns the tag of a response with these snapshots. It is the same on all hubs of one version, so that a client can
/// move between them.
fn tag(lineage: Lineage, snapshots: &[Arc<Snapshot>], shown: ShownCounts) -> String {
    let parts: Vec<String> = snapshots.iter().map(|s| format!("{}.{}", s.term.id, s.seq)).collect();
    format!("{}-{lineage}-{}{}", env!("CARGO_PKG_VERSION"), parts.join("_"), kind(shown))
}

/// Returns the counts that a caller sees: visitors see no small ones.
fn shown_to(visitor: &Visitor, privacy: &Privacy) -> ShownCounts {
    match visitor.0 {
        Some(_) => ShownCounts::EXACT,
        None => ShownCounts::hidden_below(privacy.small_counts),
    }
}

/// Returns the part of cache keys and ETags that distinguishes responses with these counts from others.
fn kind(shown: ShownCounts) -> &'static str {
    if shown.bound().is_some() { "-v" } else { "" }
}

/// Returns one section. For a signed-in student it has `mine`.
#[utoipa::path(
    get,
    path = "/api/v1/sections/{id}",
    operation_id = "section",
    tag = "catalogue",
    security((), ("bearer" = []), ("cookie" = [])),
    params(("id" = SectionId, Path, description = "The section.")),
    responses((status = 200, description = "The section.", body = SectionView), BadPath, BadToken, NotFound)
)]
pub async fn one(
    request: HttpRequest,
    visitor: Visitor,
    model: Data<ReadModel>,
    privacy: Data<Privacy>,
) -> Result<HttpResponse, Problem> {
    let id = SectionId::parse(&path_param(&request, "id")?).map_err(|_| no_such_section())?;
    let who = visitor.0.as_ref().map(|caller| (&caller.user, caller.role));
    // Limited staff see the withdrawn sections of their subjects, too: they edit them and read their rosters.
    let limit = visitor.0.as_ref().and_then(|caller| caller.subjects.as_ref());
    let within_limit = || limit.and_then(|limit| model.section_within(&id, limit));
    let found = model.section_for(&id, who).or_else(within_limit);
    let (row, _) = found.ok_or_else(no_such_section)?;
    let student = visitor.0.as_ref().filter(|caller| caller.role == Role::Student);
    if let Some(student) = student {
        let facts = model.term(&id.term).and_then(|term| term.facts(&student.user));
        let view = SectionView::for_student(&row.state, facts.as_deref());
        return Ok(HttpResponse::Ok().insert_header(PRIVATE).json(view));
    }
    Ok(section_response(&row, shown_to(&visitor, &privacy)))
}

fn section_response(row: &Row, shown: ShownCounts) -> HttpResponse {
    // Only some callers may see a withdrawn section, so the response must not be cached.
    let cache = if row.state.section.withdrawn { "private, no-store" } else { REVALIDATE };
    HttpResponse::Ok().insert_header(("Cache-Control", cache)).json(SectionView::with_counts(&row.state, shown))
}

/// Returns the problem for a section that does not exist.
pub(super) fn no_such_section() -> Problem {
    Problem::not_found("There is no such section.")
}

/// Returns the seats of all sections of a term in compact form.
#[utoipa::path(
    get,
    path = "/api/v1/seats",
    operation_id = "seats",
    tag = "catalogue",
    security((), ("bearer" = []), ("cookie" = [])),
    params(("term" = TermId, Query, description = "The term."), IfNoneMatch),
    responses(
        (status = 200, description = "The seats of each section.", body = Seats, headers(
            ("ETag" = String, description = "Weak, the same for every content coding."),
            ("Vary" = String),
            ("Cache-Control" = String),
        )),
        NotModified, BadQuery, BadToken,
    )
)]
pub async fn seats(
    request: HttpRequest,
    visitor: Visitor,
    model: Data<ReadModel>,
    hot: Data<HotResponses>,
    privacy: Data<Privacy>,
    lineage: Data<Lineage>,
) -> Result<HttpResponse, Problem> {
    let (shown, lineage) = (shown_to(&visitor, &privacy), **lineage);
    let term = Query::of(&request)?.parsed("term", "a term's id", |t| TermId::parse(t).ok())?;
    let term = term.ok_or_else(|| Problem::invalid("term", "term is missing; add ?term= and a term's id."))?;
    let realm = visitor.0.map(|caller| caller.realm).unwrap_or_default();
    let term = model.term_in(&realm, &term);
    let term = term.ok_or_else(|| Problem::invalid("term", "There is no such term."))?;
    let snapshot = term.snapshot();
    let build = move || {
        let snapshot = term.snapshot();
        let seats = snapshot.listed_rows().map(|row| SeatRow::with_counts(&row.state, shown)).collect();
        // Serializing strings, numbers and lists cannot fail.
        let json =
            serde_json::to_vec(&Seats { seq: snapshot.seq, seats, fewer_than: shown.bound() }).unwrap_or_default();
        (
            snapshot.seq,
            Encoded::new(&tag(lineage, std::slice::from_ref(&snapshot), shown), JSON, REVALIDATE, json.into()),
        )
    };
    let key = format!("seats {} {}", kind(shown), snapshot.term.id);
    Ok(hot.respond(&request, &key, snapshot.seq, build).await?)
}

/// Changes a section: its seats, its status, and who can register (staff of its subject).
#[utoipa::path(
    patch,
    path = "/api/v1/sections/{id}",
    operation_id = "patchSection",
    tag = "catalogue",
    params(("id" = SectionId, Path, description = "The section.")),
    request_body = SectionRequest,
    responses(
        (status = 200, description = "The changed section.", body = SectionView),
        BadRole, NotFound, BadBody, StoreFailed,
    )
)]
pub async fn patch(
    request: HttpRequest,
    staff: SubjectStaff,
    payload: web::Payload,
    model: Data<ReadModel>,
    pool: Data<RegistrarPool>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let patch = SectionPatch::from(read_body::<SectionRequest>(&request, payload).await?);
    let id = SectionId::parse(&path_param(&request, "id")?).map_err(|_| no_such_section())?;
    if patch.linked.iter().flatten().any(|linked| linked.term != id.term || *linked == id) {
        return Err(Problem::invalid("linked", "Linked sections must be other sections of the same term."));
    }
    let (row, _) = model.section(&id).ok_or_else(no_such_section)?;
    let caller = staff.concerning([Scope::Subject(row.state.section.subject())])?;
    let detail = describe(&patch);
    let entry = audit.entry_in_commit(&request, &caller, "section.change", None, Some(&id), detail);
    let command = Submitted::from(Command::PatchSection { crn: id.crn.clone(), patch }).audited(entry);
    let outcome = pool.submit(&id.term, command).await.ok_or_else(no_such_section)??;
    if outcome == Outcome::NoSuchSection {
        return Err(no_such_section());
    }
    let (row, _) = model.section(&id).ok_or_else(no_such_section)?;
    Ok(section_response(&row, ShownCounts::EXACT))
}
