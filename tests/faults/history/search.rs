//! The search for one order that explains a history.
//!
//! It follows Wing and Gong (1993) with the memoization of Lowe (2017): a call may be next when no other open call had
//! ended before it was sent. A response that changed nothing is placed as soon as it fits, which is never wrong. Of the
//! writes that fit, the one that the hub decided first by the time in its response is tried first. That time only
//! guides the search: another order is found if the clock was set. A call without a response is placed only where it
//! can explain the response that has to come next, and is left out once a write of the next server has been placed. If
//! no order is found, a drop without a response is placed at the time that its repetition states. The calls of each
//! plan are ordered before all others.

use std::collections::HashSet;

use super::model::Term;
use super::plans::order_plans;
use super::record::{Call, Millisecond, Request, Source};
use super::repetitions::times_of_repetitions;
use super::responses::{describe_contradiction, read_matches, says_nothing_changed, write_matches};

/// Places that are tried before the search gives up. A history of a correct hub needs few more places than it has
/// calls.
const PLACES_MAX: usize = 200_000;
/// A call without a response is usually executed at most this many moments after it was sent, or never: four clients
/// take two moments for each request, and the numbers of each section are read within a few hundred moments.
const PROMPT_MOMENTS: u64 = 300;
/// Maximum number of calls in a message.
const DESCRIBED_MAX: usize = 6;

/// The choices that a search considers.
#[derive(Clone, Copy)]
struct Choices {
    /// Only choices that can matter to the unexplained response are changed.
    are_directed: bool,
    /// Calls without a response are executed within [`PROMPT_MOMENTS`] or never.
    are_prompt: bool,
    /// Drops without a response are executed at the time that their repetitions state; see [`times_of_repetitions`].
    are_timed: bool,
}

/// The searches, one after another until an order is found. Without the first, the many calls without a response that
/// could still be executed make the search too long. The last considers all choices.
const SEARCHES: [Choices; 5] = [
    Choices { are_directed: false, are_prompt: true, are_timed: false },
    Choices { are_directed: false, are_prompt: true, are_timed: true },
    Choices { are_directed: true, are_prompt: true, are_timed: false },
    Choices { are_directed: true, are_prompt: false, are_timed: false },
    Choices { are_directed: false, are_prompt: false, are_timed: false },
];

/// An order, and how it was found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    /// The executed calls.
    pub(super) order: Vec<usize>,
    /// Calls without a response that were executed.
    pub(crate) executed_without_response: usize,
    /// Choices that turned out wrong.
    pub(crate) undone: usize,
}

/// A step of the order.
struct Step {
    /// The call, and its index in `open`.
    call: usize,
    slot: usize,
    /// Whether the call was left out because its server has ended.
    is_left_out: bool,
    /// The number of calls opened before this step, and the latest moment at which a write placed before it was sent.
    opened: usize,
    latest_write: u64,
    mark: usize,
    /// Other calls to try in this place, the last first.
    alternatives: Vec<usize>,
}

/// Sections and students, as masks.
#[derive(Clone, Copy)]
struct Area(u64, u64);

impl Area {
    const ALL: Self = Self(u64::MAX, u64::MAX);

    const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0 || self.1 & other.1 != 0
    }

    const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0, self.1 | other.1)
    }
}

/// The state of a search.
struct Search<'h> {
    calls: &'h [Call],
    /// The calls by the moment at which they were sent.
    by_sent: Vec<usize>,
    decided_at: Vec<Option<Millisecond>>,
    /// When the hub decided each call, estimated where no response states it.
    rank: Vec<Millisecond>,
    choices: Choices,
    changed_nothing: Vec<bool>,
    term: Term,
    /// Unplaced calls that were sent before the first answered write among them ended.
    open: Vec<usize>,
    opened: usize,
    latest_write: u64,
    placed: Vec<bool>,
    placed_count: usize,
    steps: Vec<Step>,
    /// States from which no order was found.
    failed: HashSet<(u64, u64)>,
    /// A hash of the set of placed calls.
    placed_fingerprint: u64,
    best: usize,
    contradiction: String,
    found: Found,
}

/// Finds an order of the calls that explains every response, from the state of the term that `term` returns.
///
/// # Errors
/// A text that names the calls that no order explains.
pub(crate) fn find_order(term: impl Fn() -> Term, calls: &[Call]) -> Result<Found, String> {
    let ordered = order_plans(&term, calls)?;
    let answered = |calls: &[Call]| calls.iter().filter(|call| call.response.is_some()).count();
    let found = search(&term, &ordered).map(|mut found| {
        found.executed_without_response += answered(&ordered) - answered(calls);
        found
    });
    // A request without a response that registers for a plan may need another order of the plan's calls.
    found.or_else(|contradiction| search(&term, calls).map_err(|_| contradiction))
}

/// Finds an order of the calls as they are.
///
/// # Errors
/// A text that names the calls that no order explains.
pub(super) fn search(term: impl Fn() -> Term, calls: &[Call]) -> Result<Found, String> {
    let mut searches = SEARCHES.iter().map(|choices| Search::new(term(), calls, *choices).run());
    let first = searches.next().expect("a search");
    first.or_else(|contradiction| searches.find_map(Result::ok).ok_or(contradiction))
}

/// Returns when the hub decided each call: as its response states, or the latest time stated before it ended.
fn ranks(calls: &[Call]) -> Vec<Millisecond> {
    let mut by_end: Vec<usize> = (0..calls.len()).collect();
    by_end.sort_by_key(|call| calls[*call].ended);
    let (mut ranks, mut latest) = (vec![0; calls.len()], 0);
    for call in by_end {
        let stated = calls[call].decided_at();
        latest = stated.unwrap_or(latest).max(latest);
        ranks[call] = stated.unwrap_or(latest);
    }
    ranks
}

fn area_of(call: &Call) -> Area {
    let (sections, students) = call.names();
    Area(sections, students)
}

const fn mix(number: usize) -> u64 {
    let mut z = (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z ^ (z >> 31)
}

/// The moments before which the next call must have been sent.
#[derive(Clone, Copy)]
struct Limits {
    writes: u64,
    all: u64,
    by_source: [u64; 3],
}

impl Limits {
    /// Returns the limit of a write, or of a read of this source.
    ///
    /// A write is ordered by time with all calls. A read is ordered only with the writes and with the reads of its own
    /// source, because one source may lag behind another.
    fn of(&self, source: Option<Source>) -> u64 {
        source.map_or(self.all, |source| self.writes.min(self.by_source[source as usize]))
    }
}

impl<'h> Search<'h> {
    fn new(term: Term, calls: &'h [Call], choices: Choices) -> Self {
        let mut by_sent: Vec<usize> = (0..calls.len()).collect();
        by_sent.sort_by_key(|call| (calls[*call].sent, *call));
        let mut decided_at: Vec<_> = calls.iter().map(Call::decided_at).collect();
        let mut rank = ranks(calls);
        if choices.are_timed {
            for (index, at) in times_of_repetitions(calls).into_iter().enumerate() {
                decided_at[index] = decided_at[index].or(at);
                rank[index] = at.unwrap_or(rank[index]);
            }
        }
        Self {
            calls,
            by_sent,
            decided_at,
            rank,
            choices,
            changed_nothing: calls
                .iter()
                .map(|call| call.response.as_ref().is_some_and(says_nothing_changed))
                .collect(),
            term,
            open: Vec::new(),
            opened: 0,
            latest_write: 0,
            placed: vec![false; calls.len()],
            placed_count: 0,
            steps: Vec::new(),
            failed: HashSet::new(),
            placed_fingerprint: 0,
            best: 0,
            contradiction: String::new(),
            found: Found::default(),
        }
    }

    fn run(mut self) -> Result<Found, String> {
        let must = self.calls.iter().filter(|call| call.response.is_some()).count();
        self.open_more();
        for _ in 0..PLACES_MAX {
            let limits = self.limits();
            if self.place_without_effect(&limits) {
                continue;
            }
            if self.placed_count == must {
                let executed = self.steps.iter().filter(|step| self.is_execution_without_response(step));
                self.found.executed_without_response = executed.count();
                let executed = self.steps.iter().filter(|step| !step.is_left_out);
                self.found.order = executed.map(|step| step.call).collect();
                return Ok(self.found);
            }
            let mut fitting = self.fitting_writes(&limits);
            if let Some(slot) = fitting.pop() {
                self.place(slot, fitting);
                if self.placed_count > self.best || !self.has_failed() {
                    continue;
                }
            } else {
                self.note_contradiction(&limits);
            }
            let area = if self.choices.are_directed { self.blocking_area(&limits) } else { Area::ALL };
            if !self.try_alternative(area) {
                return Err(format!("no order of the requests explains all responses. {}", self.contradiction));
            }
        }
        Err(format!("no order was found in {PLACES_MAX} places. {}", self.contradiction))
    }

    fn is_execution_without_response(&self, step: &Step) -> bool {
        !step.is_left_out && self.calls[step.call].response.is_none()
    }

    fn limits(&self) -> Limits {
        let mut limits = Limits { writes: u64::MAX, all: u64::MAX, by_source: [u64::MAX; 3] };
        for call in self.open.iter().map(|call| &self.calls[*call]).filter(|call| call.response.is_some()) {
            let limit = match call.request.source() {
                None => &mut limits.writes,
                Some(source) => &mut limits.by_source[source as usize],
            };
            *limit = call.ended.min(*limit);
            limits.all = call.ended.min(limits.all);
        }
        limits
    }

    /// Opens the calls that were sent before the first open write ended.
    fn open_more(&mut self) {
        let open_writes = self.open.iter().map(|call| &self.calls[*call]);
        let writes = open_writes.filter(|call| call.response.is_some() && call.request.source().is_none());
        let mut limit = writes.map(|call| call.ended).min().unwrap_or(u64::MAX);
        while let Some(index) = self.by_sent.get(self.opened).copied() {
            let call = &self.calls[index];
            if call.sent > limit {
                break;
            }
            if call.response.is_some() && call.request.source().is_none() {
                limit = call.ended.min(limit);
            }
            self.open.push(index);
            self.opened += 1;
        }
    }

    fn may_be_next(&self, call: usize, limits: &Limits) -> bool {
        let Call { request, sent, after, .. } = &self.calls[call];
        *sent < limits.of(request.source()) && after.is_none_or(|before| self.placed[before])
    }

    /// Places a call that fits and changed nothing, or leaves out one whose server has ended. Returns whether there was
    /// one.
    fn place_without_effect(&mut self, limits: &Limits) -> bool {
        for slot in 0..self.open.len() {
            let index = self.open[slot];
            let call = &self.calls[index];
            let Some(response) = &call.response else {
                if call.ended < self.latest_write {
                    self.push_step(slot, true, Vec::new());
                    return true;
                }
                continue;
            };
            if !self.changed_nothing[index] || !self.may_be_next(index, limits) {
                continue;
            }
            let fits = if call.request.source().is_some() {
                read_matches(&self.term, &call.request, response)
            } else {
                let mark = self.term.mark();
                let outcomes = self.term.execute(&call.request, self.decided_at[index]);
                let fits = write_matches(&outcomes, response, self.decided_at[index]);
                let changes = self.term.has_changed_since(mark);
                self.term.undo(mark);
                fits && !changes
            };
            if fits {
                self.push_step(slot, false, Vec::new());
                return true;
            }
        }
        false
    }

    /// Returns the slots of the open writes that fit here, the best last.
    fn fitting_writes(&mut self, limits: &Limits) -> Vec<usize> {
        let (mut fitting, blocking) = (Vec::new(), self.blocking_area(limits));
        for slot in 0..self.open.len() {
            let index = self.open[slot];
            let call = &self.calls[index];
            if self.changed_nothing[index] || !self.may_be_next(index, limits) {
                continue;
            }
            let mark = self.term.mark();
            let outcomes = self.term.execute(&call.request, self.decided_at[index]);
            let fits = match &call.response {
                Some(response) => write_matches(&outcomes, response, self.decided_at[index]),
                // Without a response and without an effect, it is as good as not executed.
                None => self.term.has_changed_since(mark) && self.may_be_executed(call, limits),
            };
            let touched = self.touched_since(mark);
            self.term.undo(mark);
            // A call whose response states no time, or that has no response, is placed where another response needs it.
            let is_timed = self.decided_at[index].is_some();
            let is_due = call.response.is_some() && call.ended == limits.all;
            if fits && (is_timed || is_due || !self.choices.are_directed || touched.meets(blocking)) {
                // Of the calls without a response, the one that was sent last is the most likely.
                let is_open = call.response.is_none() && !is_timed;
                let rank = if is_open { Millisecond::MAX - call.sent.cast_signed() } else { self.rank[index] };
                fitting.push((!is_timed, is_open, rank, call.ended, slot));
            }
        }
        fitting.sort_unstable_by(|a, b| b.cmp(a));
        fitting.into_iter().map(|(.., slot)| slot).collect()
    }

    /// Returns what matters to the calls that have to come next.
    fn blocking_area(&self, limits: &Limits) -> Area {
        let open = self.open.iter().map(|call| &self.calls[*call]);
        let blocking = open.filter(|call| call.response.is_some() && call.ended == limits.all);
        blocking.map(area_of).fold(Area(0, 0), Area::with)
    }

    /// Returns whether a call without a response, which was just executed, is considered here, and could have been
    /// executed before its server ended: it must be consistent with what was read from the next server.
    fn may_be_executed(&self, call: &Call, limits: &Limits) -> bool {
        // A changed plan may be read long after the change, and little else depends on it.
        let is_plan = matches!(call.request, Request::PutPlan { .. });
        if self.choices.are_prompt && !is_plan && limits.all.min(call.ended) > call.sent + PROMPT_MOMENTS {
            return false;
        }
        let placed = self.steps.iter().rev().filter(|step| !step.is_left_out).map(|step| &self.calls[step.call]);
        let mut later = placed.filter(|placed| placed.response.is_some()).take_while(|placed| placed.sent > call.ended);
        later.all(|read| {
            let response = read.response.as_ref();
            read.request.source().is_some() && response.is_some_and(|it| read_matches(&self.term, &read.request, it))
        })
    }

    fn place(&mut self, slot: usize, alternatives: Vec<usize>) {
        let alternatives = alternatives.into_iter().map(|slot| self.open[slot]).collect();
        self.push_step(slot, false, alternatives);
    }

    fn push_step(&mut self, slot: usize, is_left_out: bool, alternatives: Vec<usize>) {
        let index = self.open.swap_remove(slot);
        let (opened, latest_write, mark) = (self.opened, self.latest_write, self.term.mark());
        self.steps.push(Step { call: index, slot, is_left_out, opened, latest_write, mark, alternatives });
        if is_left_out {
            return;
        }
        let call = &self.calls[index];
        if call.request.source().is_none() {
            self.term.execute(&call.request, self.decided_at[index]);
        }
        self.placed[index] = true;
        self.placed_count += usize::from(call.response.is_some());
        self.placed_fingerprint ^= mix(index);
        if call.request.source().is_none() {
            self.latest_write = call.sent.max(self.latest_write);
        }
        self.open_more();
    }

    fn pop_step(&mut self) -> Option<Step> {
        let step = self.steps.pop()?;
        self.open.truncate(self.open.len() - (self.opened - step.opened));
        self.opened = step.opened;
        self.latest_write = step.latest_write;
        self.term.undo(step.mark);
        if !step.is_left_out {
            self.placed[step.call] = false;
            self.placed_count -= usize::from(self.calls[step.call].response.is_some());
            self.placed_fingerprint ^= mix(step.call);
        }
        self.open.push(step.call);
        let last = self.open.len() - 1;
        self.open.swap(step.slot, last);
        Some(step)
    }

    /// Returns whether no order was found from this state before. It is too slow to be called at every place.
    fn has_failed(&self) -> bool {
        !self.failed.is_empty() && self.failed.contains(&(self.placed_fingerprint, self.term.fingerprint()))
    }

    fn touched_since(&self, mark: usize) -> Area {
        let (sections, students) = self.term.touched_since(mark);
        Area(sections, students)
    }

    /// Goes back to the last place with another call that was not tried and that can matter to `area`, and places that
    /// one. Returns false when there is none.
    fn try_alternative(&mut self, mut area: Area) -> bool {
        loop {
            self.failed.insert((self.placed_fingerprint, self.term.fingerprint()));
            let Some(mark) = self.steps.last().map(|step| step.mark) else { return false };
            let touched = self.touched_since(mark);
            let Some(mut step) = self.pop_step() else { return false };
            self.found.undone += 1;
            let matters = !step.is_left_out && touched.meets(area);
            while let Some(call) = step.alternatives.pop() {
                if !matters && !area_of(&self.calls[call]).meets(area) {
                    continue;
                }
                let slot = self.open.iter().position(|open| *open == call).expect("an open call");
                self.push_step(slot, false, Vec::new());
                if self.has_failed() {
                    self.pop_step();
                    continue;
                }
                self.steps.last_mut().expect("a step").alternatives = std::mem::take(&mut step.alternatives);
                return true;
            }
            if matters {
                area = area.with(touched).with(area_of(&self.calls[step.call]));
            }
        }
    }

    /// Keeps the description of the contradiction that was met after the most calls were explained.
    fn note_contradiction(&mut self, limits: &Limits) {
        if self.placed_count < self.best || (self.placed_count == self.best && !self.contradiction.is_empty()) {
            return;
        }
        self.best = self.placed_count;
        let calls = self.calls;
        let open = self.open.iter().copied().filter(|call| calls[*call].response.is_some());
        let mut blocked: Vec<usize> = open.filter(|call| self.may_be_next(*call, limits)).collect();
        blocked.sort_by_key(|call| calls[*call].ended);
        let texts: Vec<String> = blocked
            .iter()
            .take(DESCRIBED_MAX)
            .map(|call| describe_contradiction(&mut self.term, &calls[*call]))
            .collect();
        self.contradiction =
            format!("{} responses are explained; then none of these fits:\n  {}", self.best, texts.join("\n  "));
    }
}
