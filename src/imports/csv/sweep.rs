//! Counts overlapping uses of rooms and instructors in one pass, in order of room or instructor and start.

use std::collections::{BTreeSet, HashMap};

use rusqlite::params;

use crate::imports::csv::scratch::{Scratch, signed};
use crate::imports::schedule::ScheduleError;

/// The maximum number of conflicts of one kind that are listed one by one. More are grouped by room or instructor.
const LISTED_PAIRS_MAX: usize = 200;
/// The maximum number of lines that a group cites.
const LINES_MAX: usize = 10;
/// The maximum number of different combinations of end, days and dates that are remembered at once for a room or an
/// instructor. A term has a few hundred.
const GROUPS_MAX: usize = 2_000;
/// The maximum number of exceptions (uses whose overlaps are no conflicts) that are remembered for one section or
/// cross-listed group. Also the maximum number of sections and groups with exceptions at once, for one room or
/// instructor.
const EXCEPTIONS_MAX: usize = 1_000;

/// The use of a room or an instructor by a meeting.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Use {
    /// Its row in the scratch database.
    pub(super) row: i64,
    /// Whether a room (0) or an instructor (1) is used.
    pub(super) kind: i64,
    /// The hash of the room or instructor.
    pub(super) key: i64,
    /// The start, in minutes of the day.
    pub(super) start: i32,
    /// The end, in minutes of the day.
    pub(super) end: i32,
    /// The weekdays.
    pub(super) days: u8,
    /// The first date, as the number `20310120`; `i32::MIN` if it is not known.
    pub(super) starts_on: i32,
    /// The last date; `i32::MAX` if it is not known.
    pub(super) ends_on: i32,
    /// For a room, the hash of the instructors, or 0 if they are not known; for an instructor, the hash of the room, or
    /// that of an empty text if the room is not known.
    /// Uses with the same value at the same time are one class under several CRNs.
    pub(super) class: i64,
    /// The hash of the group of cross-listed sections; 0 for none.
    pub(super) group: i64,
    /// The number of the section.
    pub(super) section: i64,
    /// Whether the section has several uses of this room or instructor.
    pub(super) is_repeated: bool,
    /// The line in the file.
    pub(super) line: i64,
}

impl Use {
    /// Returns whether it overlaps `later`, which does not start earlier.
    const fn overlaps(&self, later: &Self) -> bool {
        later.start < self.end
            && self.days & later.days != 0
            && self.starts_on <= later.ends_on
            && later.starts_on <= self.ends_on
    }

    const fn is_one_class_with(&self, other: &Self) -> bool {
        self.start == other.start && self.end == other.end && self.class != 0 && self.class == other.class
    }

    const fn conflicts_with(&self, later: &Self) -> bool {
        self.overlaps(later)
            && self.section != later.section
            && !self.is_one_class_with(later)
            && !(self.group != 0 && self.group == later.group)
    }

    /// Returns whether every use that starts no earlier than both overlaps either both or neither.
    fn has_same_span(&self, other: &Self) -> bool {
        let span = |it: &Self| (it.end, it.days, it.starts_on, it.ends_on);
        span(self) == span(other)
    }
}

/// Uses with the same end, days and dates.
struct Group {
    first: Use,
    count: u64,
    /// The first of them: as many as can be in pairs that are listed one by one.
    members: Vec<Use>,
}

/// The uses of one room or instructor so far.
#[derive(Default)]
struct Resource {
    first: Use,
    /// Those that have not ended.
    groups: Vec<Group>,
    /// Those with the same start and class as the last one, with their number by span.
    class: Vec<(Use, u64)>,
    /// Those of sections with several uses, by section.
    sections: HashMap<i64, Vec<Use>>,
    /// Those of cross-listed sections, by group.
    cross_listed: HashMap<i64, Vec<Use>>,
    pairs: u64,
    lines: BTreeSet<i64>,
}

/// The conflicts of one kind.
#[derive(Default)]
struct Found {
    total: u64,
    /// The pairs, as long as they are few.
    pairs: Vec<(Use, Use)>,
}

/// A sweep over all uses.
pub(super) struct Sweep<'s> {
    scratch: &'s Scratch,
    resource: Resource,
    found: [Found; 2],
}

impl<'s> Sweep<'s> {
    pub(super) fn new(scratch: &'s Scratch) -> Self {
        Self { scratch, resource: Resource::default(), found: Default::default() }
    }

    /// Adds the next use, in order of kind, key, start, class and line.
    pub(super) fn add(&mut self, new: Use) -> Result<(), ScheduleError> {
        if (self.resource.first.kind, self.resource.first.key) != (new.kind, new.key) {
            self.finish_resource()?;
            self.resource.first = new;
        }
        let Some(found) = usize::try_from(new.kind).ok().and_then(|kind| self.found.get_mut(kind)) else {
            return Ok(());
        };
        let conflicts = self.resource.conflicts(&new);
        if conflicts > 0 {
            found.total += conflicts;
            self.resource.pairs += conflicts;
            self.resource.cite(&new, found);
        }
        self.resource.remember(new);
        Ok(())
    }

    /// Stores the conflicts of the room or instructor.
    fn finish_resource(&mut self) -> Result<(), ScheduleError> {
        let Resource { first, pairs, lines, .. } = std::mem::take(&mut self.resource);
        if pairs > 0 {
            let lines: Vec<String> = lines.iter().map(i64::to_string).collect();
            let sql = "INSERT INTO conflict VALUES(?,?,NULL,?,?)";
            let values = params![first.kind, first.row, signed(pairs), lines.join(",")];
            self.scratch.db.prepare_cached(sql)?.execute(values)?;
        }
        Ok(())
    }

    /// Stores the conflicts of each kind one by one, if they are few. Returns the number of all conflicts.
    pub(super) fn finish(mut self) -> Result<u64, ScheduleError> {
        self.finish_resource()?;
        for (kind, found) in (0_i64..).zip(&self.found) {
            if found.total > LISTED_PAIRS_MAX as u64 {
                continue;
            }
            self.scratch.db.execute("DELETE FROM conflict WHERE kind = ?", [kind])?;
            for (a, b) in &found.pairs {
                let (a, b) = if a.line <= b.line { (a, b) } else { (b, a) };
                let sql = "INSERT INTO conflict VALUES(?,?,?,1,'')";
                self.scratch.db.prepare_cached(sql)?.execute(params![kind, a.row, b.row])?;
            }
        }
        Ok(self.found.iter().map(|found| found.total).sum())
    }
}

impl Resource {
    /// Returns the number of earlier uses with which a use conflicts, and forgets those that have ended.
    fn conflicts(&mut self, new: &Use) -> u64 {
        self.groups.retain(|group| group.first.end > new.start);
        let overlapping: u64 =
            self.groups.iter().filter(|group| group.first.overlaps(new)).map(|group| group.count).sum();
        if overlapping == 0 {
            return 0;
        }
        let counted_as_class = |earlier: &Use| earlier.overlaps(new) && earlier.is_one_class_with(new);
        let of_class: u64 = self.class.iter().filter(|(it, _)| counted_as_class(it)).map(|(_, count)| count).sum();
        let listed = |of: &HashMap<i64, Vec<Use>>, id: i64, is_exception: &dyn Fn(&Use) -> bool| {
            let is_counted = |it: &&Use| it.overlaps(new) && !it.is_one_class_with(new) && is_exception(it);
            of.get(&id).map_or(0, |uses| uses.iter().filter(is_counted).count() as u64)
        };
        let own = if new.is_repeated { listed(&self.sections, new.section, &|_| true) } else { 0 };
        let cross_listed =
            if new.group == 0 { 0 } else { listed(&self.cross_listed, new.group, &|it| it.section != new.section) };
        overlapping.saturating_sub(of_class + own + cross_listed)
    }

    /// Cites the lines of a use that has conflicts, and lists its pairs as long as they are few.
    fn cite(&mut self, new: &Use, found: &mut Found) {
        let is_listed = found.total <= LISTED_PAIRS_MAX as u64;
        if !is_listed && self.lines.len() == LINES_MAX && self.lines.last().is_some_and(|last| *last < new.line) {
            return;
        }
        let mut cited = false;
        for group in self.groups.iter().filter(|group| group.first.overlaps(new)) {
            let mut conflicting = group.members.iter().filter(|member| member.conflicts_with(new));
            if is_listed {
                for member in conflicting {
                    found.pairs.push((*member, *new));
                    self.lines.insert(member.line);
                    cited = true;
                }
            } else if let Some(member) = conflicting.next() {
                self.lines.insert(member.line);
                cited = true;
            }
        }
        if !is_listed {
            found.pairs = Vec::new();
        }
        if cited {
            self.lines.insert(new.line);
        }
        while self.lines.len() > LINES_MAX {
            self.lines.pop_last();
        }
    }

    fn remember(&mut self, new: Use) {
        let is_full = self.groups.len() >= GROUPS_MAX;
        match self.groups.iter_mut().find(|group| group.first.has_same_span(&new)) {
            Some(group) => {
                group.count += 1;
                if group.members.len() <= LISTED_PAIRS_MAX {
                    group.members.push(new);
                }
            }
            None if !is_full => {
                self.groups.push(Group { first: new, count: 1, members: vec![new] });
            }
            // Not remembered, so it must not count as an exception either.
            None => return,
        }
        if self.class.first().is_some_and(|(it, _)| (it.start, it.class) != (new.start, new.class)) {
            self.class.clear();
        }
        match self.class.iter_mut().find(|(it, _)| it.has_same_span(&new)) {
            Some((_, count)) => *count += 1,
            None => self.class.push((new, 1)),
        }
        if new.is_repeated {
            keep(&mut self.sections, new.section, new);
        }
        if new.group != 0 {
            keep(&mut self.cross_listed, new.group, new);
        }
    }
}

/// Adds an exception, and forgets those that have ended if there are too many.
fn keep(exceptions: &mut HashMap<i64, Vec<Use>>, id: i64, new: Use) {
    let has_not_ended = |it: &Use| it.end > new.start;
    if exceptions.len() >= EXCEPTIONS_MAX {
        exceptions.retain(|_, uses| uses.iter().any(has_not_ended));
    }
    if exceptions.len() < EXCEPTIONS_MAX || exceptions.contains_key(&id) {
        let uses = exceptions.entry(id).or_default();
        uses.retain(has_not_ended);
        if uses.len() < EXCEPTIONS_MAX {
            uses.push(new);
        }
    }
}
