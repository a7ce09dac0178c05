//! A recorded history: the requests of clients, the responses, and the moments before and after each.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// A student, by the index of the token.
pub(crate) type Student = usize;
/// A section, by its index in the schedule.
pub(crate) type Section = usize;
/// A time that the hub states, in milliseconds since 1970.
pub(crate) type Millisecond = i64;

/// The counter from which all moments of a history are taken. It orders events of all threads of the test.
#[derive(Debug, Default)]
pub(crate) struct Moments(AtomicU64);

impl Moments {
    /// Returns the next moment.
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// Whether a section accepts students.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Status {
    Open,
    Closed,
    Cancelled,
}

/// A change to a section by staff.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) capacity: Option<usize>,
    pub(crate) waitlist_capacity: Option<usize>,
    pub(crate) status: Option<Status>,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    Register {
        student: Student,
        section: Section,
        waitlist: bool,
    },
    Drop {
        student: Student,
        section: Section,
    },
    Batch {
        student: Student,
        add: Vec<Section>,
        drop: Vec<Section>,
        swap: bool,
        waitlist: bool,
    },
    PutPlan {
        student: Student,
        plan: Vec<Section>,
    },
    /// Registers for all sections of the plan.
    RegisterPlan {
        student: Student,
        waitlist: bool,
    },
    Edit {
        section: Section,
        edit: Edit,
    },
    ReadSection {
        section: Section,
    },
    ReadSeats,
    /// One row of a read of all seats.
    ReadRow {
        section: Section,
    },
    ReadOwn {
        student: Student,
    },
    ReadRoster {
        section: Section,
    },
    ReadPlan {
        student: Student,
    },
}

/// Where the hub reads the content of a response. Each source follows the one order of writes; one source may lag
/// behind another while a commit is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The published counts of the term.
    Counts,
    /// The published registrations of each student.
    Registrations,
    /// The store.
    Store,
}

impl Request {
    /// Returns the source of a read; `None` for a write.
    pub(crate) fn source(&self) -> Option<Source> {
        match self {
            Self::ReadSection { .. } | Self::ReadSeats | Self::ReadRow { .. } => Some(Source::Counts),
            Self::ReadOwn { .. } => Some(Source::Registrations),
            Self::ReadRoster { .. } | Self::ReadPlan { .. } => Some(Source::Store),
            Self::Register { .. }
            | Self::Drop { .. }
            | Self::Batch { .. }
            | Self::PutPlan { .. }
            | Self::RegisterPlan { .. }
            | Self::Edit { .. } => None,
        }
    }
}

/// What a student holds in a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Enrolled,
    /// With the position, starting at 1.
    Waitlisted(usize),
}

/// The result for one section of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// The student holds the section. `is_new` is known only for a single registration (201 or 200).
    Held {
        is_new: Option<bool>,
        standing: Standing,
        at: Millisecond,
    },
    Dropped {
        at: Millisecond,
    },
    /// Nothing was changed, for the reason with this code.
    Problem(String),
}

/// The public state of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SectionView {
    pub(crate) seats: SeatRow,
    pub(crate) waitlist_capacity: usize,
    pub(crate) status: Status,
}

/// Capacity, enrolled, waitlisted, open.
pub(crate) type SeatRow = [usize; 4];

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Response {
    /// One result for each section of the request: adds before drops.
    Items(Vec<Item>),
    /// A plan or a section was changed.
    Done,
    Section(SectionView),
    Seats {
        seq: u64,
        rows: Vec<SeatRow>,
    },
    Row(SeatRow),
    /// What a student holds, and since when. Positions are `None` when they may belong to another commit than the rest.
    Own(Vec<(Section, OwnStanding, Millisecond)>),
    /// Enrolled students in order of index, and the waitlist in its order.
    Roster {
        enrolled: Vec<Student>,
        waitlist: Vec<Student>,
    },
    Plan(Vec<Section>),
}

/// The state of a registration in the student's own list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnStanding {
    Enrolled,
    Waitlisted(Option<usize>),
}

/// One request of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) client: usize,
    pub(crate) request: Request,
    /// The moment before it was sent.
    pub(crate) sent: u64,
    /// The moment after its response had arrived. Without a response, a moment after its server had ended; by then,
    /// the request had been executed once or never.
    pub(crate) ended: u64,
    pub(crate) response: Option<Response>,
    /// The index of a call that was executed before this one, although both were in flight at the same time.
    pub(crate) after: Option<usize>,
}

impl Call {
    /// Returns the time at which the hub decided the request, as far as the response states it.
    pub(crate) fn decided_at(&self) -> Option<Millisecond> {
        let Some(Response::Items(items)) = &self.response else { return None };
        let times = items.iter().filter_map(|item| match item {
            Item::Held { at, .. } | Item::Dropped { at } => Some(*at),
            Item::Problem(_) => None,
        });
        times.max()
    }
}

/// Appends an answered request. A response with several parts is split into calls that are checked separately: an edit
/// is answered with a later read of its section, and a read of all seats has a row for each section.
pub(crate) fn append(calls: &mut Vec<Call>, mut call: Call) {
    if let Some(Response::Seats { rows, .. }) = &call.response {
        let rows = rows.iter().enumerate().map(|(section, row)| Call {
            request: Request::ReadRow { section },
            response: Some(Response::Row(*row)),
            ..call.clone()
        });
        calls.extend(rows);
    }
    let read = match (&call.request, &call.response) {
        (Request::Edit { section, .. }, Some(Response::Section(_))) => {
            Some(Call { request: Request::ReadSection { section: *section }, after: Some(calls.len()), ..call.clone() })
        }
        _ => None,
    };
    if read.is_some() {
        call.response = Some(Response::Done);
    }
    calls.push(call);
    calls.extend(read);
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Register { student, section, waitlist } => {
                let waitlist = if *waitlist { ", or its waitlist" } else { "" };
                write!(f, "student {student} registers for section {section}{waitlist}")
            }
            Self::Drop { student, section } => write!(f, "student {student} drops section {section}"),
            Self::Batch { student, add, drop, swap, waitlist } => {
                let kind = if *swap { "swaps" } else { "changes" };
                write!(f, "student {student} {kind}: adds {add:?}, drops {drop:?}, waitlist: {waitlist}")
            }
            Self::PutPlan { student, plan } => write!(f, "student {student} plans {plan:?}"),
            Self::RegisterPlan { student, waitlist } => {
                write!(f, "student {student} registers for the plan, waitlist: {waitlist}")
            }
            Self::Edit { section, edit } => write!(f, "staff change section {section}: {edit:?}"),
            Self::ReadSection { section } => write!(f, "a read of section {section}"),
            Self::ReadSeats => write!(f, "a read of the seats of all sections"),
            Self::ReadRow { section } => write!(f, "a read of the seats of all sections, row {section}"),
            Self::ReadOwn { student } => write!(f, "student {student} reads their own registrations"),
            Self::ReadRoster { section } => write!(f, "staff read the roster of section {section}"),
            Self::ReadPlan { student } => write!(f, "student {student} reads the plan"),
        }
    }
}

impl Call {
    /// Returns the sections and the students that the request, or the student's own list, names, as masks.
    pub(crate) fn names(&self) -> (u64, u64) {
        let mask = |sections: &[Section]| sections.iter().fold(0, |set, section| set | 1 << section);
        match &self.request {
            Request::Register { student, section, .. } | Request::Drop { student, section } => {
                (1 << section, 1 << student)
            }
            Request::Batch { student, add, drop, .. } => (mask(add) | mask(drop), 1 << student),
            Request::PutPlan { student, .. }
            | Request::RegisterPlan { student, .. }
            | Request::ReadPlan { student }
            | Request::ReadOwn { student } => {
                let Some(Response::Own(items)) = &self.response else { return (0, 1 << student) };
                (items.iter().fold(0, |set, (section, ..)| set | 1 << section), 1 << student)
            }
            Request::Edit { section, .. }
            | Request::ReadSection { section }
            | Request::ReadRow { section }
            | Request::ReadRoster { section } => (1 << section, 0),
            // Its rows are separate calls.
            Request::ReadSeats => (0, 0),
        }
    }
}
