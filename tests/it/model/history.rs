//! Generated histories of a small term in which students compete for few seats.

use std::collections::BTreeMap;
use std::sync::Arc;

use eduhub::domain::choices::WaitlistChoices;
use eduhub::domain::command::{Batch, Command, SectionEdit, SectionPatch, TermPatch, WaitlistMove};
use eduhub::domain::ids::Crn;
use eduhub::domain::meeting::{Days, Meeting};
use eduhub::domain::offer::WaitlistMode;
use eduhub::domain::pool::CrossListing;
use eduhub::domain::reservation::Reservation;
use eduhub::domain::restriction::Restriction;
use eduhub::domain::section::{Credits, Section, SectionState, SectionStatus};
use eduhub::domain::student::{HeldAction, StudentFacts};
use eduhub::domain::term::GroupWindow;
use jiff::civil::{date, time};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use crate::college::{completed, crn, hold, id, minute, reservation, section, user};

/// The sections of an import file, each with the totals of its row.
pub(crate) type File = Vec<(SectionState, Option<(u32, u32)>)>;

/// One step of a history.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "a history has at most 82 steps")]
pub(crate) enum Step {
    /// A command is decided.
    Run(Command),
    /// A file is imported.
    Import { sections: File, forced: bool },
    /// Minutes pass.
    Wait(i64),
    /// The hub restarts.
    Restart,
}

/// A term with its sections, and the steps that follow.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) credit_limit: u32,
    pub(crate) catalogue: File,
    pub(crate) steps: Vec<Step>,
}

/// Prerequisites of sections.
const PREREQUISITES: [&[&str]; 8] = [
    &[],
    &["ART 1"],
    &["CHEM 1 concurrently"],
    &["ART 1 or LAW 1 with B"],
    &["MATH 1 with C", "LAW 1"],
    &["(MATH 1 and ART 1) or CHEM 1 with C concurrently"],
    &["LAW 1 concurrently", "ART 1 concurrently"],
    &["Permission of the department"],
];

/// The actions that a hold blocks.
const HOLD_BLOCKS: [&[HeldAction]; 4] =
    [&[], &[HeldAction::Register], &[HeldAction::Drop], &[HeldAction::Register, HeldAction::Drop]];

const CRNS: [&str; 7] = ["1", "2", "3", "4", "5", "6", "7"];
const STUDENTS: [&str; 5] = ["ana", "bob", "cyd", "dan", "eve"];

fn any_crn() -> impl Strategy<Value = Crn> {
    // `404` does not exist and must not be found.
    prop_oneof![30 => proptest::sample::select(&CRNS[..]), 1 => Just("404")].prop_map(crn)
}

fn any_student() -> impl Strategy<Value = eduhub::domain::ids::UserName> {
    proptest::sample::select(&STUDENTS[..]).prop_map(user)
}

fn any_meeting() -> impl Strategy<Value = Meeting> {
    let dates = prop_oneof![
        3 => Just((None, None)),
        1 => Just((Some(date(2027, 9, 1)), Some(date(2027, 9, 10)))),
        1 => Just((Some(date(2027, 9, 11)), None)),
        1 => Just((None, Some(date(2027, 9, 12)))),
    ];
    (1u8..4, 9i8..13, 1i8..3, dates, 0u8..12).prop_map(|(days, from, hours, (starts_on, ends_on), unknown)| Meeting {
        days: if unknown == 0 { Days::NONE } else { Days::from_bits(days) },
        start: (unknown != 1).then(|| time(from, 0, 0, 0)),
        end: Some(time(from + hours, 0, 0, 0)),
        starts_on,
        ends_on,
        location: None,
    })
}

fn any_section(number: &'static str) -> impl Strategy<Value = SectionState> {
    let course = proptest::sample::select(&["MATH 1", "CHEM 1", "ART 1", "LAW 1"][..]);
    let component = prop_oneof![3 => Just("lecture"), 1 => Just("lab")];
    let credits = proptest::sample::select(&[0u32, 1_000, 3_000, 3_000, 4_500][..]);
    let prerequisites = prop_oneof![2 => Just(0), 1 => 1..PREREQUISITES.len()];
    let numbers = (0u32..3, 0u32..4, proptest::array::uniform5(0usize..3), prerequisites);
    (course, component, credits, vec(any_meeting(), 0..=2), numbers, any_conditions()).prop_map(
        move |(course, component, credits, meetings, (seats, waitlist, others, prerequisites), conditions)| {
            let (linked, cross_listed, reserved, restrictions, repeat_limit) = conditions;
            let mut made = section(number).course(course).component(component).seats(seats).waitlist(waitlist).0;
            let definition = Arc::make_mut(&mut made.section);
            definition.credits = Credits(credits);
            definition.meetings = meetings;
            // No rule reads these fields yet.
            let text = |at: usize| (others[at] > 0).then(|| others[at].to_string().into());
            definition.section = text(0);
            definition.title = text(1);
            definition.instructor = text(2);
            definition.method = text(3);
            definition.campus = text(4);
            definition.linked = linked.iter().map(|number| id(number)).collect();
            (definition.cross_listed, definition.reserved) = (cross_listed, reserved);
            (definition.restrictions, definition.repeat_limit) = (restrictions, repeat_limit);
            definition.prerequisites = PREREQUISITES[prerequisites].iter().map(Into::into).collect();
            made
        },
    )
}

/// Linked sections, a group of cross-listed sections, reserved seats, restrictions and a repeat limit.
type Conditions = (Vec<&'static str>, Option<CrossListing>, Vec<Reservation>, Vec<Restriction>, Option<u32>);

fn any_conditions() -> impl Strategy<Value = Conditions> {
    let linked = prop_oneof![4 => Just(Vec::new()), 1 => vec(proptest::sample::select(&CRNS[..]), 1..3)];
    let restriction = prop_oneof![
        8 => Just(Vec::new()),
        1 => proptest::sample::select(&["group: honors", "not campus: north", "program: Art, law"][..])
            .prop_map(|text| Restriction::parse(text).into_iter().collect()),
    ];
    let repeat_limit = prop_oneof![4 => Just(None), 1 => (0u32..3).prop_map(Some)];
    (linked, any_cross_listing(), any_reserved(), restriction, repeat_limit)
}

fn any_cross_listing() -> impl Strategy<Value = Option<CrossListing>> {
    let listing = (proptest::sample::select(&["XL", "xl", "YL"][..]), option::weighted(0.7, 0u32..4))
        .prop_map(|(group, capacity)| CrossListing { group: group.into(), capacity });
    option::weighted(0.4, listing)
}

fn any_reserved() -> impl Strategy<Value = Vec<Reservation>> {
    let until = || option::weighted(0.5, 0i64..100);
    let seats = || (0u32..3, until());
    (option::weighted(0.2, seats()), option::weighted(0.15, seats())).prop_map(|(honors, veterans)| {
        let groups = [("honors", honors), ("Veterans", veterans)].into_iter();
        groups.filter_map(|(group, seats)| seats.map(|(seats, until)| reservation(group, seats, until))).collect()
    })
}

fn any_file(sections: usize) -> impl Strategy<Value = File> {
    let numbers = proptest::sample::select(&CRNS[..]);
    let row =
        numbers.prop_flat_map(|number| (Just(number), any_section(number), option::weighted(0.5, (0u32..3, 0u32..2))));
    vec(row, 1..=sections).prop_map(|rows| {
        let by_number: BTreeMap<_, _> = rows.into_iter().map(|(number, s, totals)| (number, (s, totals))).collect();
        by_number.into_values().collect()
    })
}

fn any_catalogue() -> impl Strategy<Value = File> {
    Vec::from(
        CRNS.map(|number| any_section(number).prop_flat_map(|s| (Just(s), option::weighted(0.3, (0u32..3, 0u32..2))))),
    )
}

fn any_batch() -> impl Strategy<Value = Command> {
    let crns = || btree_set(any_crn(), 0..=3);
    let choices = option::weighted(0.3, any_choices());
    (any_student(), crns(), crns(), any::<bool>(), any::<bool>(), choices).prop_map(
        |(student, add, mut drop, swap, waitlist, choices)| {
            drop.retain(|c| !add.contains(c));
            // The first section has the choices.
            let choices = choices.zip(add.first()).filter(|_| waitlist).and_then(|(choices, of)| {
                let unused = |crn: &Crn| !add.contains(crn) && !drop.contains(crn);
                Some((of.clone(), only(choices, unused)?))
            });
            let choices = choices.into_iter().collect();
            let (add, drop) = (add.into_iter().collect(), drop.into_iter().rev().collect());
            Command::Batch(Batch { student, add, drop, swap, waitlist, choices })
        },
    )
}

/// Returns the choices of sections for which `is_used` holds; `None` if none are left.
fn only(mut choices: WaitlistChoices, is_used: impl Fn(&Crn) -> bool) -> Option<WaitlistChoices> {
    choices.with.retain(&is_used);
    choices.any_of.retain(&is_used);
    choices.drop = choices.drop.filter(is_used);
    (!choices.is_empty()).then_some(choices)
}

fn any_choices() -> impl Strategy<Value = WaitlistChoices> {
    let others =
        btree_set(any_crn(), 0..=2).prop_flat_map(|set| Just(set.into_iter().collect::<Vec<_>>()).prop_shuffle());
    (others, any::<bool>(), option::weighted(0.5, any_crn())).prop_map(|(others, is_bundle, drop)| {
        let drop = drop.filter(|crn| !others.contains(crn));
        let (with, any_of) = if is_bundle { (others, Vec::new()) } else { (Vec::new(), others) };
        WaitlistChoices { with, any_of, drop }
    })
}

/// Returns a registration with choices, or without them if only the section itself was chosen.
fn any_registration_with_choices() -> impl Strategy<Value = Command> {
    (any_student(), any_crn(), any_choices()).prop_map(|(student, crn, choices)| {
        match only(choices, |chosen| *chosen != crn) {
            Some(choices) => Command::RegisterWith { student, crn, choices },
            None => Command::Register { student, crn, waitlist: true },
        }
    })
}

fn any_patch() -> impl Strategy<Value = Command> {
    let status = proptest::sample::select(
        &[SectionStatus::Open, SectionStatus::Open, SectionStatus::Closed, SectionStatus::Cancelled][..],
    );
    let number = |weight| option::weighted(weight, 0u32..4);
    let shared = (option::weighted(0.15, any_cross_listing()), option::weighted(0.15, any_reserved()));
    (any_crn(), number(0.5), number(0.2), option::weighted(0.4, status), number(0.2), number(0.2), shared).prop_map(
        |(crn, capacity, waitlist_capacity, status, outside_enrolled, outside_waitlisted, (cross_listed, reserved))| {
            let patch = SectionPatch {
                capacity,
                waitlist_capacity,
                status,
                outside_enrolled,
                outside_waitlisted,
                cross_listed,
                reserved,
                ..SectionPatch::default()
            };
            Command::PatchSection { crn, patch }
        },
    )
}

fn any_edits() -> impl Strategy<Value = Command> {
    let versions = proptest::sample::select(&CRNS[..]).prop_flat_map(|number| {
        let version = move || (any_section(number), any::<bool>());
        (version(), version(), proptest::bool::weighted(0.9), 0u8..3)
    });
    let edit = versions.prop_map(|((base, was_withdrawn), (target, is_withdrawn), has_base, similarity)| {
        let withdrawn = |state: SectionState, withdrawn| Section { withdrawn, ..(*state.section).clone() };
        let (base, mut target) = (withdrawn(base, was_withdrawn), withdrawn(target, is_withdrawn));
        // Most edits change at most two fields.
        if similarity > 0 {
            target = Section { withdrawn: is_withdrawn, capacity: target.capacity, ..base.clone() };
        }
        SectionEdit { base: has_base.then(|| Arc::new(base)), target: Arc::new(target) }
    });
    vec(edit, 1..4).prop_map(|edits| {
        let by_section: BTreeMap<_, _> = edits.into_iter().map(|edit| (edit.target.id.clone(), edit)).collect();
        Command::PutSections(by_section.into_values().collect())
    })
}

fn any_window() -> impl Strategy<Value = Command> {
    let end = || option::weighted(0.7, option::weighted(0.8, 0i64..200).prop_map(|at| at.map(minute)));
    (prop_oneof![3 => Just(Some(Some(minute(0)))), 1 => end()], end())
        .prop_flat_map(|(opens_at, closes_at)| {
            let last = || option::weighted(0.2, option::weighted(0.6, 0i64..200).prop_map(|at| at.map(minute)));
            (Just(opens_at), Just(closes_at), option::weighted(0.5, any_windows()), [last(), last(), last()])
        })
        .prop_map(|(opens_at, closes_at, windows, [add_until, drop_until, waitlist_until])| {
            let patch = TermPatch { add_until, drop_until, waitlist_until, ..TermPatch::default() };
            Command::PutTerm(TermPatch { opens_at, closes_at, windows, ..patch })
        })
}

/// Returns a command that changes how waiting students get seats: at once, or by offers that end within minutes.
fn any_offers() -> impl Strategy<Value = Command> {
    let mode = option::weighted(
        0.8,
        proptest::sample::select(&[WaitlistMode::Offer, WaitlistMode::Offer, WaitlistMode::Auto][..]),
    );
    let seconds =
        || option::weighted(0.5, option::weighted(0.8, proptest::sample::select(&[1u32, 60, 150, 299, 300, 840][..])));
    (mode, seconds(), seconds()).prop_map(|(waitlist, offer_s, offer_first_day_s)| {
        Command::PutTerm(TermPatch { waitlist: Some(waitlist), offer_s, offer_first_day_s, ..TermPatch::default() })
    })
}

/// Returns a command that declares which groups come first on waitlists.
fn any_priority() -> impl Strategy<Value = Command> {
    let groups = proptest::sample::subsequence(vec!["Honors", "veterans"], 0..=2).prop_shuffle();
    groups.prop_map(|groups| {
        let priority = groups.into_iter().map(Into::into).collect();
        Command::PutTerm(TermPatch { waitlist_priority: Some(priority), ..TermPatch::default() })
    })
}

fn any_windows() -> impl Strategy<Value = Vec<GroupWindow>> {
    let group = proptest::sample::select(&["honors", "Veterans", "second year"][..]);
    let window = (group, 0i64..200, option::weighted(0.3, 0i64..200)).prop_map(|(group, opens, closes)| GroupWindow {
        group: group.into(),
        opens_at: minute(opens),
        closes_at: closes.map(minute),
    });
    vec(window, 0..4)
}

fn any_facts() -> impl Strategy<Value = Command> {
    let blocks = proptest::sample::select(&HOLD_BLOCKS[..]);
    let holds = prop_oneof![3 => Just(Vec::new()), 2 => vec(blocks, 1..3)].prop_map(|holds| {
        holds.iter().enumerate().map(|(at, blocks)| hold(&at.to_string(), blocks)).collect::<Vec<_>>()
    });
    let groups = proptest::sample::subsequence(vec!["HONORS", "veterans"], 0..=2);
    let place = (option::weighted(0.5, Just("Art".into())), option::weighted(0.5, Just("North".into())));
    let times = (option::weighted(0.2, -50i64..150), option::weighted(0.1, 50i64..300));
    let limit = option::weighted(0.4, proptest::sample::select(&[0u32, 3_000, 6_000][..]));
    let courses = proptest::sample::subsequence(
        vec![("MATH 1", "C"), ("MATH 1", "D"), ("CHEM 1", ""), ("ART 1", "F"), ("ART 1", "B-"), ("LAW 1", "P")],
        0..=6,
    );
    let facts = (holds, groups, times, limit, option::weighted(0.7, courses), place).prop_map(
        |(holds, groups, (opens, closes), limit, courses, (program, campus))| StudentFacts {
            program,
            campus,
            holds,
            credit_limit: limit.map(Credits),
            groups: groups.into_iter().map(Into::into).collect(),
            opens_at: opens.map(minute),
            closes_at: closes.map(minute),
            completed: courses.and_then(|courses| completed(&courses)),
            ..StudentFacts::default()
        },
    );
    // A hub that follows a term is not notified of removed facts, so none are removed.
    let of_student = (any_student(), facts.prop_map(|facts| Some(Arc::new(facts))));
    vec(of_student, 1..3).prop_map(|facts| Command::PutFacts(facts.into()))
}

fn any_step() -> impl Strategy<Value = Step> {
    let register = (any_student(), any_crn(), proptest::bool::weighted(0.7))
        .prop_map(|(student, crn, waitlist)| Command::Register { student, crn, waitlist });
    let drop = (any_student(), any_crn()).prop_map(|(student, crn)| Command::Drop { student, crn });
    let reorder = (any_student(), any_crn(), 1u32..5)
        .prop_map(|(student, crn, position)| Command::MoveOnWaitlist(WaitlistMove { student, crn, position }));
    prop_oneof![
        40 => register.prop_map(Step::Run),
        20 => any_registration_with_choices().prop_map(Step::Run),
        16 => drop.prop_map(Step::Run),
        14 => any_batch().prop_map(Step::Run),
        14 => any_patch().prop_map(Step::Run),
        2 => any_window().prop_map(Step::Run),
        2 => any_offers().prop_map(Step::Run),
        3 => any_priority().prop_map(Step::Run),
        10 => reorder.prop_map(Step::Run),
        8 => any_facts().prop_map(Step::Run),
        7 => any_edits().prop_map(Step::Run),
        7 => (any_file(3), any::<bool>()).prop_map(|(sections, forced)| Step::Import { sections, forced }),
        10 => (0i64..4).prop_map(Step::Wait),
        2 => Just(Step::Restart),
    ]
}

pub(crate) fn any_history() -> impl Strategy<Value = History> {
    let limit = prop_oneof![1 => Just(0u32), 4 => 2_000u32..7_000];
    let first = option::weighted(0.6, any_offers().prop_map(Step::Run));
    let second = option::weighted(0.3, any_priority().prop_map(Step::Run));
    (limit, any_catalogue(), (first, second), vec(any_step(), 10..80)).prop_map(
        |(credit_limit, catalogue, first, steps)| {
            let first = [first.0, first.1].into_iter().flatten();
            History { credit_limit, catalogue, steps: first.chain(steps).collect() }
        },
    )
}
