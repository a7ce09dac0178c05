//! The activity of the last minute and the last hour: the most requested sections, and the refusals.
//!
//! Counting is one or two relaxed additions to a section's own counters. A window is the difference between the
//! counters now and a sample of them from its beginning, so memory is bounded by the number of requested sections, not
//! by the number of requests.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use enum_map::EnumMap;
use parking_lot::Mutex;

use crate::domain::ids::{Crn, SectionId, TermId};
use crate::domain::outcome::{ChoiceProblem, Outcome, RequestOutcome};
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::registration::RegistrationStatus;

/// The length of each window, and the interval of its samples. A window begins at a sample, so it exceeds its length by
/// up to about one interval. Until the hub has run for that length, the window begins at the start of the hub.
const WINDOWS: [(Duration, Duration); 2] =
    [(Duration::from_secs(60), Duration::from_secs(5)), (Duration::from_secs(3_600), Duration::from_secs(300))];

/// The maximum number of sections in [`RecentActivity::turned_away`]: more than a term has.
pub const TURNED_AWAY_MAX: usize = 5_000;

/// Number of refusals of each code.
pub type RefusalCounts = EnumMap<RefusalCode, u64>;

/// Numbers of requests for one section, by outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestCounts {
    /// Requests that got a seat.
    pub enrolled: u32,
    /// Requests that got a waitlist position.
    pub waitlisted: u32,
    /// Requests that were refused.
    pub refused: u32,
    /// Refused requests for which the section or its waitlist was full.
    pub full: u32,
}

impl RequestCounts {
    /// Returns the number of all requests.
    #[must_use]
    pub const fn total(&self) -> u32 {
        self.enrolled.wrapping_add(self.waitlisted).wrapping_add(self.refused)
    }

    /// Returns the numbers of requests since an earlier reading. The counters may have wrapped.
    const fn since(&self, earlier: &Self) -> Self {
        Self {
            enrolled: self.enrolled.wrapping_sub(earlier.enrolled),
            waitlisted: self.waitlisted.wrapping_sub(earlier.waitlisted),
            refused: self.refused.wrapping_sub(earlier.refused),
            full: self.full.wrapping_sub(earlier.full),
        }
    }
}

/// What happened in a window.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecentActivity {
    /// The requested sections, most requested first, at most the number that the caller asked for.
    pub most_requested: Vec<(SectionId, RequestCounts)>,
    /// The sections that refused requests because they or their waitlists were full, and the number of these requests:
    /// the highest first, at most [`TURNED_AWAY_MAX`].
    pub turned_away: Vec<(SectionId, u32)>,
    /// The refusals.
    pub refusals: RefusalCounts,
}

/// The counters of a section.
#[derive(Debug)]
struct SectionCounters {
    /// Its index in [`Sample::sections`], assigned with the first request.
    index: usize,
    enrolled: AtomicU32,
    waitlisted: AtomicU32,
    refused: AtomicU32,
    full: AtomicU32,
}

impl SectionCounters {
    fn read(&self) -> RequestCounts {
        RequestCounts {
            enrolled: self.enrolled.load(Ordering::Relaxed),
            waitlisted: self.waitlisted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            full: self.full.load(Ordering::Relaxed),
        }
    }
}

/// All counters at one moment.
#[derive(Debug)]
struct Sample {
    at: Instant,
    sections: Vec<RequestCounts>,
    refusals: RefusalCounts,
}

/// The counters of all sections, and the samples at which windows begin.
#[derive(Debug)]
pub struct Activity {
    /// Bounded by the number of sections, because only requests for existing sections are counted.
    sections: DashMap<SectionId, Arc<SectionCounters>>,
    next_index: Mutex<usize>,
    windows: Mutex<[VecDeque<Sample>; WINDOWS.len()]>,
}

impl Activity {
    /// Creates an `Activity` whose windows begin at `now`, without requests.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        let begin = || VecDeque::from([Sample { at: now, sections: Vec::new(), refusals: RefusalCounts::default() }]);
        Self { sections: DashMap::new(), next_index: Mutex::new(0), windows: Mutex::new([begin(), begin()]) }
    }

    /// Counts the requests of a command. `section` is the section of a single registration. Does not count drops,
    /// repeated registrations, requests for unknown sections, or requests that were undone with their swap.
    pub(super) fn count(&self, term: &TermId, section: Option<&Crn>, outcome: &Outcome) {
        match (outcome, section) {
            (Outcome::Request(outcome), Some(crn)) => self.count_request(term, crn, outcome),
            (Outcome::Batch(results), _) => {
                results.iter().for_each(|(crn, outcome)| self.count_request(term, crn, outcome));
            }
            _ => {}
        }
    }

    fn count_request(&self, term: &TermId, crn: &Crn, outcome: &RequestOutcome) {
        let counter: fn(&SectionCounters) -> &AtomicU32 = match outcome {
            RequestOutcome::Refused(_) | RequestOutcome::InChoices { problem: ChoiceProblem::Refused(_), .. } => {
                |section| &section.refused
            }
            RequestOutcome::Done(current) if current.is_new => match current.status {
                RegistrationStatus::Enrolled => |section| &section.enrolled,
                RegistrationStatus::Offered | RegistrationStatus::Waitlisted => |section| &section.waitlisted,
                RegistrationStatus::Dropped => return,
            },
            RequestOutcome::Done(_)
            | RequestOutcome::NotFound
            | RequestOutcome::InChoices { problem: ChoiceProblem::NotFound(_), .. }
            | RequestOutcome::SwapUndone { .. } => return,
        };
        let id = SectionId { term: term.clone(), crn: crn.clone() };
        let section = self.sections.get(&id).map(|known| known.value().clone()).unwrap_or_else(|| self.section(id));
        counter(&section).fetch_add(1, Ordering::Relaxed);
        if let RequestOutcome::Refused(Refusal::SectionFull { .. } | Refusal::WaitlistFull { .. }) = outcome {
            section.full.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Adds the counters of a section that is requested for the first time.
    fn section(&self, id: SectionId) -> Arc<SectionCounters> {
        let make = || {
            let mut next_index = self.next_index.lock();
            let index = *next_index;
            *next_index += 1;
            let zero = || AtomicU32::new(0);
            Arc::new(SectionCounters { index, enrolled: zero(), waitlisted: zero(), refused: zero(), full: zero() })
        };
        self.sections.entry(id).or_insert_with(make).clone()
    }

    /// Takes the samples that are due, and drops those that are older than the beginning of their window. Must
    /// be called every few seconds.
    pub(super) fn roll_windows(&self, now: Instant, refusals: RefusalCounts) {
        let mut windows = self.windows.lock();
        for (samples, (length, interval)) in windows.iter_mut().zip(WINDOWS) {
            if samples.back().is_some_and(|last| now.saturating_duration_since(last.at) < interval) {
                continue;
            }
            samples.push_back(Sample { at: now, sections: self.read(), refusals });
            while samples.get(1).is_some_and(|second| now.saturating_duration_since(second.at) >= length) {
                samples.pop_front();
            }
        }
    }

    /// Returns all counters, each at its section's index.
    fn read(&self) -> Vec<RequestCounts> {
        let mut sections = Vec::with_capacity(self.sections.len());
        for section in &self.sections {
            if sections.len() <= section.index {
                sections.resize(section.index + 1, RequestCounts::default());
            }
            sections[section.index] = section.read();
        }
        sections
    }

    /// Returns the last minute and the last hour, each with at most `limit` sections.
    pub(super) fn recent(&self, refusals: &RefusalCounts, limit: usize) -> [RecentActivity; WINDOWS.len()] {
        let windows = self.windows.lock();
        windows.each_ref().map(|samples| {
            let Some(begin) = samples.front() else { return RecentActivity::default() };
            let requested = self.sections.iter().filter_map(|section| {
                let before = begin.sections.get(section.index).copied().unwrap_or_default();
                let counts = section.read().since(&before);
                (counts.total() > 0).then(|| (section.key().clone(), counts))
            });
            let mut most_requested: Vec<_> = requested.collect();
            let full = most_requested.iter().filter(|(_, counts)| counts.full > 0);
            let mut turned_away: Vec<_> = full.map(|(id, counts)| (id.clone(), counts.full)).collect();
            turned_away.sort_unstable_by(|(a, one), (b, other)| other.cmp(one).then_with(|| a.cmp(b)));
            turned_away.truncate(TURNED_AWAY_MAX);
            most_requested
                .sort_unstable_by(|(a, one), (b, other)| other.total().cmp(&one.total()).then_with(|| a.cmp(b)));
            most_requested.truncate(limit);
            let refusals = RefusalCounts::from_fn(|code| refusals[code].saturating_sub(begin.refusals[code]));
            RecentActivity { most_requested, turned_away, refusals }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::CurrentRegistration;

    struct Setup {
        activity: Activity,
        start: Instant,
        term: TermId,
    }

    impl Setup {
        fn new() -> Self {
            let start = Instant::now();
            Self { activity: Activity::new(start), start, term: TermId::parse("202209").unwrap() }
        }

        fn count(&self, crn: &str, outcome: RequestOutcome) {
            let crn = Crn::parse(crn).unwrap();
            self.activity.count(&self.term, Some(&crn), &Outcome::Request(outcome));
        }

        fn roll_windows_at(&self, second: u64) {
            self.activity.roll_windows(self.start + Duration::from_secs(second), RefusalCounts::default());
        }

        /// Returns the two most requested sections of each window, with their numbers of requests.
        fn most_requested(&self) -> [Vec<(String, u32)>; 2] {
            let recent = self.activity.recent(&RefusalCounts::default(), 2);
            recent.map(|window| window.most_requested.iter().map(|(id, n)| (id.crn.to_string(), n.total())).collect())
        }
    }

    fn done(crn: &str, status: RegistrationStatus, is_new: bool) -> RequestOutcome {
        let at = jiff::Timestamp::UNIX_EPOCH;
        let (crn, credits) = (Crn::parse(crn).unwrap(), crate::domain::section::Credits::default());
        RequestOutcome::Done(CurrentRegistration {
            crn,
            status,
            position: None,
            expires_at: None,
            credits,
            at,
            is_new,
            choices: None,
        })
    }

    #[test]
    fn only_full_sections_turn_students_away() {
        let setup = Setup::new();
        let refused = RequestOutcome::Refused;
        setup.count("1", refused(Refusal::SectionClosed));
        (0..2).for_each(|_| setup.count("2", refused(Refusal::WaitlistFull { waitlisted: 3 })));
        setup.count("3", refused(Refusal::SectionFull { waitlist_open: true, waitlisted: 0, reserved: false }));
        let [minute, _] = setup.activity.recent(&RefusalCounts::default(), 1);
        assert_eq!(minute.most_requested.len(), 1);
        let found: Vec<_> = minute.turned_away.iter().map(|(id, count)| (id.crn.as_str(), *count)).collect();
        assert_eq!(found, [("2", 2), ("3", 1)]);
    }

    #[test]
    fn new_requests_for_seats_are_counted_by_outcome() {
        let setup = Setup::new();
        setup.count("1", done("1", RegistrationStatus::Enrolled, true));
        setup.count("1", done("1", RegistrationStatus::Waitlisted, true));
        setup.count("1", RequestOutcome::Refused(Refusal::SectionClosed));
        setup.count("1", done("1", RegistrationStatus::Enrolled, false));
        setup.count("1", done("1", RegistrationStatus::Dropped, true));
        setup.count("9", RequestOutcome::NotFound);
        let crn = |text: &str| Crn::parse(text).unwrap();
        let batch = Outcome::Batch(vec![
            (crn("2"), RequestOutcome::Refused(Refusal::SectionClosed)),
            (crn("3"), RequestOutcome::SwapUndone { because_of: crn("2") }),
        ]);
        setup.activity.count(&setup.term, None, &batch);
        let [minute, hour] = setup.activity.recent(&RefusalCounts::default(), 10);
        let counted: Vec<_> = minute.most_requested.iter().map(|(id, counts)| (id.crn.as_str(), *counts)).collect();
        let one_of_each = RequestCounts { enrolled: 1, waitlisted: 1, refused: 1, full: 0 };
        assert_eq!(counted, [("1", one_of_each), ("2", RequestCounts { refused: 1, ..RequestCounts::default() })]);
        assert_eq!(minute, hour);
    }

    #[test]
    fn requests_leave_the_minute_window_and_then_the_hour_window() {
        let setup = Setup::new();
        let refused = || RequestOutcome::Refused(Refusal::SectionClosed);
        setup.count("1", refused());
        (1..=65).for_each(|second| setup.roll_windows_at(second));
        (0..2).for_each(|_| setup.count("2", refused()));
        let (one, two) = (|| ("1".to_owned(), 1), || ("2".to_owned(), 2));
        assert_eq!(setup.most_requested(), [vec![two()], vec![two(), one()]]);
        (66..=3_600).for_each(|second| setup.roll_windows_at(second));
        assert_eq!(setup.most_requested(), [vec![], vec![two(), one()]]);
        (3_601..=4_000).for_each(|second| setup.roll_windows_at(second));
        assert_eq!(setup.most_requested(), [vec![], vec![]]);
        let samples = setup.activity.windows.lock().each_ref().map(VecDeque::len);
        assert!(samples.iter().all(|count| *count <= 14), "{samples:?} samples");
    }

    #[test]
    fn only_the_most_requested_sections_are_listed_ties_by_id() {
        let setup = Setup::new();
        for (crn, times) in [("3", 1), ("2", 1), ("1", 1), ("4", 5)] {
            (0..times).for_each(|_| setup.count(crn, RequestOutcome::Refused(Refusal::SectionClosed)));
        }
        assert_eq!(setup.most_requested()[0], [("4".to_owned(), 5), ("1".to_owned(), 1)]);
    }
}
