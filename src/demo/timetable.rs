//! Assigns rooms, times and instructors to sections, without double-booking a room or an instructor.

use std::collections::HashMap;

use jiff::ToSpan;
use jiff::civil::{Date, Time};

use crate::domain::meeting::{Days, Meeting};

use crate::demo::courses::{Course, FAMILY_NAMES, INITIALS, Shape};
use crate::demo::random::Random;

const MON: u8 = 1;
const TUE: u8 = 1 << 1;
const WED: u8 = 1 << 2;
const THU: u8 = 1 << 3;
const FRI: u8 = 1 << 4;
const SAT: u8 = 1 << 5;

/// A weekly time: the set of weekdays, the hour and minute of the start, and the duration in minutes.
type Slot = (u8, i8, i8, i64);

/// Times of most lectures: about two and a half hours a week, mostly in the daytime.
const TWO_OR_THREE_DAYS: [Slot; 18] = [
    (MON | WED | FRI, 8, 0, 50),
    (TUE | THU, 8, 0, 80),
    (MON | WED | FRI, 9, 0, 50),
    (TUE | THU, 9, 30, 80),
    (MON | WED | FRI, 10, 0, 50),
    (TUE | THU, 11, 0, 80),
    (MON | WED | FRI, 11, 0, 50),
    (TUE | THU, 12, 30, 80),
    (MON | WED | FRI, 12, 0, 50),
    (TUE | THU, 14, 0, 80),
    (MON | WED | FRI, 13, 0, 50),
    (TUE | THU, 15, 30, 80),
    (MON | WED, 14, 0, 80),
    (MON | WED, 15, 30, 80),
    (MON | WED, 17, 0, 80),
    (TUE | THU, 17, 0, 80),
    (MON | WED, 18, 30, 80),
    (TUE | THU, 18, 30, 80),
];
/// Times of lectures without a lab that have five or more credits: four days a week, or two evenings.
const FOUR_DAYS: [Slot; 8] = [
    (MON | TUE | WED | THU, 8, 0, 65),
    (MON | TUE | WED | THU, 9, 30, 65),
    (MON | TUE | WED | THU, 11, 0, 65),
    (MON | TUE | WED | THU, 12, 30, 65),
    (MON | TUE | WED | THU, 14, 0, 65),
    (MON | TUE | WED | THU, 15, 30, 65),
    (MON | WED, 18, 0, 130),
    (TUE | THU, 18, 0, 130),
];
/// Times of labs: about three hours on one day a week, mostly in the daytime.
const LAB: [Slot; 16] = [
    (MON, 8, 30, 170),
    (TUE, 8, 30, 170),
    (WED, 8, 30, 170),
    (THU, 8, 30, 170),
    (FRI, 8, 30, 170),
    (MON, 11, 30, 170),
    (TUE, 11, 30, 170),
    (WED, 11, 30, 170),
    (THU, 11, 30, 170),
    (FRI, 11, 30, 170),
    (MON, 14, 30, 170),
    (TUE, 14, 30, 170),
    (WED, 14, 30, 170),
    (THU, 14, 30, 170),
    (FRI, 14, 30, 170),
    (WED, 18, 0, 170),
];
/// Times of evening courses: one evening a week, or Saturday morning.
const EVENING: [Slot; 5] =
    [(MON, 18, 0, 170), (TUE, 18, 0, 170), (WED, 18, 0, 170), (THU, 18, 0, 170), (SAT, 9, 0, 170)];

/// Classrooms with their numbers of seats, smallest first.
const CLASSROOMS: [(&str, u32); 30] = [
    ("Adams 101", 24),
    ("Adams 102", 24),
    ("Adams 103", 26),
    ("Adams 104", 26),
    ("Adams 201", 28),
    ("Adams 202", 30),
    ("Adams 203", 30),
    ("Cedar 110", 32),
    ("Cedar 112", 32),
    ("Cedar 114", 34),
    ("Cedar 116", 36),
    ("Cedar 210", 36),
    ("Cedar 212", 36),
    ("Cedar 214", 38),
    ("Cedar 216", 38),
    ("Cedar 218", 40),
    ("Library 120", 40),
    ("Library 121", 40),
    ("Library 220", 45),
    ("Library 221", 45),
    ("Library 222", 45),
    ("Library 223", 45),
    ("River 100", 48),
    ("River 105", 48),
    ("River 200", 60),
    ("River 205", 60),
    ("River 210", 60),
    ("Theatre", 90),
    ("Main 110", 120),
    ("Main 100", 240),
];
const SCIENCE: [(&str, u32); 10] = [
    ("Science 120", 24),
    ("Science 122", 24),
    ("Science 124", 24),
    ("Science 126", 24),
    ("Science 128", 24),
    ("Science 220", 30),
    ("Science 222", 32),
    ("Science 224", 32),
    ("Science 226", 48),
    ("Science 228", 48),
];
const COMPUTING: [(&str, u32); 3] = [("Cedar 310", 28), ("Cedar 312", 28), ("Cedar 314", 32)];
const WORKSHOPS: [(&str, u32); 4] = [("Shops 10", 16), ("Shops 12", 18), ("Shops 14", 20), ("Health 130", 24)];

/// Returns the rooms for labs of a subject.
fn lab_rooms(subject: &str) -> &'static [(&'static str, u32)] {
    match subject {
        "CSCI" => &COMPUTING,
        "WELD" | "CULI" | "NURS" => &WORKSHOPS,
        _ => &SCIENCE,
    }
}

/// The bookings of rooms and instructors in one term.
pub(super) struct Timetable {
    random: Random,
    starts_on: Date,
    ends_on: Date,
    /// Meetings by the name of a room or an instructor.
    bookings: HashMap<String, Vec<Meeting>>,
}

/// The meetings and the instructor of a section.
pub(super) struct Placement {
    pub(super) meetings: Vec<Meeting>,
    pub(super) instructor: Option<String>,
}

impl Timetable {
    pub(super) fn new(seed: u64, starts_on: Date, ends_on: Date) -> Self {
        Self { random: Random::new(seed), starts_on, ends_on, bookings: HashMap::new() }
    }

    pub(super) fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Books a time, a room and an instructor for a section of a course, or for its lab section if `lab` is set. If
    /// there is no free combination, the section has none of them yet. An online section has only an instructor, who is
    /// not booked, and a section to be arranged has none of them.
    pub(super) fn place_section(&mut self, course: &Course, lab: bool) -> Placement {
        let mut instructors = instructors_of(course.code);
        let first = self.random.below(instructors.len());
        instructors.rotate_left(first);
        let dates = Meeting { starts_on: Some(self.starts_on), ends_on: Some(self.ends_on), ..Meeting::default() };
        let slots: &[Slot] = match course.shape {
            Shape::Online | Shape::ToBeArranged => {
                let instructor = (course.shape == Shape::Online).then(|| self.random.pick(&instructors).clone());
                return Placement { meetings: vec![dates], instructor };
            }
            _ if lab => &LAB,
            Shape::Evening => &EVENING,
            Shape::Lecture if course.credits >= 5_000 => &FOUR_DAYS,
            _ => &TWO_OR_THREE_DAYS,
        };
        let dates = if course.shape == Shape::HalfTerm { self.half_term() } else { dates };
        let rooms = if lab { lab_rooms(subject(course.code)) } else { &CLASSROOMS };
        let first = self.random.below(slots.len());
        for offset in 0..slots.len() {
            let meeting = meeting_at(&dates, slots[(first + offset) % slots.len()]);
            instructors.rotate_left(1);
            let Some(instructor) = instructors.iter().find(|name| self.is_free(name, &meeting)) else { continue };
            let mut large_enough = rooms.iter().filter(|(_, seats)| *seats >= course.seats);
            if let Some((room, _)) = large_enough.find(|(room, _)| self.is_free(room, &meeting)) {
                let meeting = Meeting { location: Some((*room).into()), ..meeting };
                for name in [*room, instructor] {
                    self.bookings.entry(name.to_owned()).or_default().push(meeting.clone());
                }
                return Placement { meetings: vec![meeting], instructor: Some(instructor.clone()) };
            }
        }
        Placement { meetings: vec![dates], instructor: None }
    }

    /// Returns whether a room or an instructor has no booking that overlaps `meeting`.
    fn is_free(&self, name: &str, meeting: &Meeting) -> bool {
        self.bookings.get(name).is_none_or(|taken| taken.iter().all(|other| !other.overlaps(meeting)))
    }

    /// Returns a meeting with the dates of the first or the second half of the term, at random.
    fn half_term(&mut self) -> Meeting {
        let middle = self.starts_on.saturating_add(8.weeks());
        let (starts_on, ends_on) = if self.random.chance(50) {
            (self.starts_on, middle.saturating_sub(3.days()))
        } else {
            (middle, self.ends_on)
        };
        Meeting { starts_on: Some(starts_on), ends_on: Some(ends_on), ..Meeting::default() }
    }
}

fn meeting_at(dates: &Meeting, (days, hour, minute, minutes): Slot) -> Meeting {
    let start = Time::constant(hour, minute, 0, 0);
    let end = start.saturating_add(minutes.minutes());
    Meeting { days: Days::from_bits(days), start: Some(start), end: Some(end), ..dates.clone() }
}

/// Returns the subject of a course, such as `MATH` for `MATH 151`.
pub(super) fn subject(code: &str) -> &str {
    code.split(' ').next().unwrap_or(code)
}

/// Returns the eight instructors of a course's subject, which are always the same.
fn instructors_of(code: &str) -> Vec<String> {
    let subject = subject(code);
    let seed = subject.bytes().fold(7_u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
    let mut random = Random::new(seed);
    (0..8).map(|_| format!("{}. {}", random.pick(&INITIALS), random.pick(&FAMILY_NAMES))).collect()
}
