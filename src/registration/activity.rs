//! What is going on now: which sections are asked for, of the last minute and the last hour. Counting is one relaxed
//! addition to a section's own counters; a window is the difference between now and a reading from its beginning, so
//! that memory is a few readings of the sections that anybody asked for, however much is asked.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use enum_map::EnumMap;

use crate::domain::ids::{Crn, SectionId, TermId};
use crate::domain::outcome::{Outcome, RequestOutcome};
use crate::domain::refusal::RefusalCode;
use crate::domain::registration::Standing;

/// The two windows, and how often a reading is kept for each: a window is too long by less than that.
const WINDOWS: [(Duration, Duration); 2] =
    [(Duration::from_secs(60), Duration::from_secs(5)), (Duration::from_secs(3_600), Duration::from_secs(300))];

/// Number of refusals of each code.
pub type RefusalCounts = EnumMap<RefusalCode, u64>;

/// What became of those who asked for one section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    /// Seats given.
    pub enrolled: u32,
    /// Places in line given.
    pub waitlisted: u32,
    /// Refusals.
    pub refused: u32,
}

impl Asked {
    /// All of them.
    #[must_use]
    pub const fn all(&self) -> u32 {
        self.enrolled.wrapping_add(self.waitlisted).wrapping_add(self.refused)
    }

    /// Since an earlier reading; counters may wrap.
    const fn since(&self, earlier: &Self) -> Self {
        Self {
            enrolled: self.enrolled.wrapping_sub(earlier.enrolled),
            waitlisted: self.waitlisted.wrapping_sub(earlier.waitlisted),
            refused: self.refused.wrapping_sub(earlier.refused),
        }
    }
}

/// What happened in a window.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recent {
    /// The sections that were asked for, most asked first; as many as were wanted.
    pub hottest: Vec<(SectionId, Asked)>,
    /// Refusals.
    pub refusals: RefusalCounts,
}

/// The counters of a section.
#[derive(Debug)]
struct Section {
    /// Its place in readings: sections get one as they are first asked for.
    index: usize,
    enrolled: AtomicU32,
    waitlisted: AtomicU32,
    refused: AtomicU32,
}

impl Section {
    fn read(&self) -> Asked {
        Asked {
            enrolled: self.enrolled.load(Ordering::Relaxed),
            waitlisted: self.waitlisted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}

/// Everything at one moment.
#[derive(Debug)]
struct Taken {
    at: Instant,
    sections: Vec<Asked>,
    refusals: RefusalCounts,
}

/// The counters, and the readings that windows begin with.
#[derive(Debug)]
pub struct Activity {
    /// Only sections that exist are counted, so it is bounded by them.
    sections: DashMap<SectionId, Arc<Section>>,
    next: Mutex<usize>,
    windows: Mutex<[VecDeque<Taken>; WINDOWS.len()]>,
}

impl Activity {
    /// Nothing was asked before `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        let begin = || VecDeque::from([Taken { at: now, sections: Vec::new(), refusals: RefusalCounts::default() }]);
        Self { sections: DashMap::new(), next: Mutex::new(0), windows: Mutex::new([begin(), begin()]) }
    }

    /// Counts an answer. `wanted` is the section of a command that names one. What is held already, drops, and what was
    /// undone with a swap are no new wishes.
    pub(super) fn count(&self, term: &TermId, wanted: Option<&Crn>, answer: &Outcome) {
        match (answer, wanted) {
            (Outcome::Request(outcome), Some(crn)) => self.count_wish(term, crn, outcome),
            (Outcome::Batch(results), _) => {
                results.iter().for_each(|(crn, outcome)| self.count_wish(term, crn, outcome));
            }
            _ => {}
        }
    }

    fn count_wish(&self, term: &TermId, crn: &Crn, outcome: &RequestOutcome) {
        let counter: fn(&Section) -> &AtomicU32 = match outcome {
            RequestOutcome::Refused(_) => |section| &section.refused,
            RequestOutcome::Done(receipt) if receipt.fresh => match receipt.standing {
                Standing::Enrolled => |section| &section.enrolled,
                Standing::Waitlisted => |section| &section.waitlisted,
                Standing::Dropped => return,
            },
            RequestOutcome::Done(_) | RequestOutcome::NotFound | RequestOutcome::SwapUndone { .. } => return,
        };
        let id = SectionId { term: term.clone(), crn: crn.clone() };
        let section = self.sections.get(&id).map(|known| known.value().clone()).unwrap_or_else(|| self.section(id));
        counter(&section).fetch_add(1, Ordering::Relaxed);
    }

    /// The counters of a section that is asked for the first time.
    fn section(&self, id: SectionId) -> Arc<Section> {
        let make = || {
            let mut next = self.next.lock();
            *next += 1;
            let zero = || AtomicU32::new(0);
            Arc::new(Section { index: *next - 1, enrolled: zero(), waitlisted: zero(), refused: zero() })
        };
        self.sections.entry(id).or_insert_with(make).clone()
    }

    /// Keeps readings that are due, and forgets those that no window begins with any more. To be called every few
    /// seconds.
    pub(super) fn turn(&self, now: Instant, refusals: RefusalCounts) {
        let mut windows = self.windows.lock();
        for (taken, (long, step)) in windows.iter_mut().zip(WINDOWS) {
            if taken.back().is_some_and(|last| now.saturating_duration_since(last.at) < step) {
                continue;
            }
            taken.push_back(Taken { at: now, sections: self.read(), refusals });
            while taken.get(1).is_some_and(|second| now.saturating_duration_since(second.at) >= long) {
                taken.pop_front();
            }
        }
    }

    /// All counters, each at its section's place.
    fn read(&self) -> Vec<Asked> {
        let mut sections = Vec::with_capacity(self.sections.len());
        for section in &self.sections {
            if sections.len() <= section.index {
                sections.resize(section.index + 1, Asked::default());
            }
            sections[section.index] = section.read();
        }
        sections
    }

    /// The last minute and the last hour, each with at most `most` sections.
    pub(super) fn recent(&self, refusals: &RefusalCounts, most: usize) -> [Recent; WINDOWS.len()] {
        let windows = self.windows.lock();
        windows.each_ref().map(|taken| {
            let Some(begin) = taken.front() else { return Recent::default() };
            let asked = self.sections.iter().filter_map(|section| {
                let before = begin.sections.get(section.index).copied().unwrap_or_default();
                let asked = section.read().since(&before);
                (asked.all() > 0).then(|| (section.key().clone(), asked))
            });
            let mut hottest: Vec<_> = asked.collect();
            hottest.sort_unstable_by(|(a, one), (b, other)| other.all().cmp(&one.all()).then_with(|| a.cmp(b)));
            hottest.truncate(most);
            let refusals = RefusalCounts::from_fn(|code| refusals[code].saturating_sub(begin.refusals[code]));
            Recent { hottest, refusals }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::Receipt;
    use crate::domain::refusal::Refusal;

    struct Morning {
        activity: Activity,
        start: Instant,
        term: TermId,
    }

    impl Morning {
        fn new() -> Self {
            let start = Instant::now();
            Self { activity: Activity::new(start), start, term: TermId::parse("202209").unwrap() }
        }

        fn ask(&self, crn: &str, outcome: RequestOutcome) {
            let crn = Crn::parse(crn).unwrap();
            self.activity.count(&self.term, Some(&crn), &Outcome::Request(outcome));
        }

        fn turn(&self, second: u64) {
            self.activity.turn(self.start + Duration::from_secs(second), RefusalCounts::default());
        }

        /// Most asked first: the CRN, and how often.
        fn hottest(&self) -> [Vec<(String, u32)>; 2] {
            let recent = self.activity.recent(&RefusalCounts::default(), 2);
            recent.map(|window| window.hottest.iter().map(|(id, n)| (id.crn.to_string(), n.all())).collect())
        }
    }

    fn done(crn: &str, standing: Standing, fresh: bool) -> RequestOutcome {
        let at = jiff::Timestamp::UNIX_EPOCH;
        let credits = crate::domain::section::Credits::default();
        RequestOutcome::Done(Receipt { crn: Crn::parse(crn).unwrap(), standing, position: None, credits, at, fresh })
    }

    #[test]
    fn wishes_for_seats_are_counted_by_what_became_of_them_and_nothing_else_is() {
        let morning = Morning::new();
        morning.ask("1", done("1", Standing::Enrolled, true));
        morning.ask("1", done("1", Standing::Waitlisted, true));
        morning.ask("1", RequestOutcome::Refused(Refusal::SectionClosed));
        morning.ask("1", done("1", Standing::Enrolled, false));
        morning.ask("1", done("1", Standing::Dropped, true));
        morning.ask("9", RequestOutcome::NotFound);
        let crn = |text: &str| Crn::parse(text).unwrap();
        let batch = Outcome::Batch(vec![
            (crn("2"), RequestOutcome::Refused(Refusal::SectionClosed)),
            (crn("3"), RequestOutcome::SwapUndone { because_of: crn("2") }),
        ]);
        morning.activity.count(&morning.term, None, &batch);
        let [minute, hour] = morning.activity.recent(&RefusalCounts::default(), 10);
        let told: Vec<_> = minute.hottest.iter().map(|(id, asked)| (id.crn.as_str(), *asked)).collect();
        let both = Asked { enrolled: 1, waitlisted: 1, refused: 1 };
        assert_eq!(told, [("1", both), ("2", Asked { refused: 1, ..Asked::default() })]);
        assert_eq!(minute, hour);
    }

    #[test]
    fn what_is_older_than_a_minute_counts_for_the_hour_only_and_then_for_neither() {
        let morning = Morning::new();
        let refused = || RequestOutcome::Refused(Refusal::SectionClosed);
        morning.ask("1", refused());
        (1..=65).for_each(|second| morning.turn(second));
        (0..2).for_each(|_| morning.ask("2", refused()));
        let (one, two) = (|| ("1".to_owned(), 1), || ("2".to_owned(), 2));
        assert_eq!(morning.hottest(), [vec![two()], vec![two(), one()]]);
        (66..=3_600).for_each(|second| morning.turn(second));
        assert_eq!(morning.hottest(), [vec![], vec![two(), one()]]);
        (3_601..=4_000).for_each(|second| morning.turn(second));
        assert_eq!(morning.hottest(), [vec![], vec![]]);
        let kept = morning.activity.windows.lock().each_ref().map(VecDeque::len);
        assert!(kept.iter().all(|kept| *kept <= 14), "{kept:?} readings are kept");
    }

    #[test]
    fn of_many_sections_the_most_asked_are_told_and_ties_by_their_ids() {
        let morning = Morning::new();
        for (crn, times) in [("3", 1), ("2", 1), ("1", 1), ("4", 5)] {
            (0..times).for_each(|_| morning.ask(crn, RequestOutcome::Refused(Refusal::SectionClosed)));
        }
        assert_eq!(morning.hottest()[0], [("4".to_owned(), 5), ("1".to_owned(), 1)]);
    }
}
