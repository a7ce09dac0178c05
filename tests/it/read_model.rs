//! Published snapshots of a term: each commit is visible as a whole, earlier snapshots do not change, and an updated
//! snapshot equals a rebuilt one.

use std::collections::BTreeMap;

use eduhub::domain::published::{PublishedSection, PublishedTerm, TermUpdate};
use eduhub::domain::registration::{Registration, RegistrationStatus};
use eduhub::domain::rights::Subjects;
use eduhub::domain::role::Role;
use eduhub::domain::section::{SectionState, SectionStatus};
use eduhub::registration::readmodel::{ReadModel, Snapshot};

use crate::college::{SectionBuilder, crn, minute, section, term, term_id, user};

fn published(builder: SectionBuilder) -> PublishedSection {
    PublishedSection { state: builder.0, waitlist: [].into() }
}

fn numbered(number: u32) -> SectionBuilder {
    section(&format!("{number:04}")).course(&format!("COURSE {}", number % 7))
}

/// Returns the contents of a snapshot: its sections in list order, and the sequence of each by CRN.
fn contents(snapshot: &Snapshot) -> (Vec<SectionState>, BTreeMap<String, u64>) {
    let listed: Vec<SectionState> = snapshot.rows_in_order().map(|row| row.state.clone()).collect();
    let found = snapshot.rows().map(|row| {
        let by_crn = snapshot.row(&row.state.section.id.crn).unwrap();
        assert_eq!(by_crn.state, row.state, "the same section by CRN");
        (row.state.section.id.crn.to_string(), row.seq)
    });
    let sequences = found.collect();
    assert_eq!(listed.len(), snapshot.len());
    (listed, sequences)
}

#[test]
fn an_updated_snapshot_equals_a_rebuilt_one() {
    // More sections than fit in one shared chunk; the commits add some, move some in the list, and change some.
    let mut all: BTreeMap<u32, SectionBuilder> = (0..150).map(|n| (n, numbered(n))).collect();
    let rebuilt = |all: &BTreeMap<u32, SectionBuilder>, seq| {
        let sections = all.values().map(|m| published(SectionBuilder(m.0.clone()))).collect();
        Snapshot::new(term(), seq, sections)
    };
    let mut snapshot = rebuilt(&all, 1);
    let mut snapshots = vec![(snapshot.clone(), contents(&snapshot))];
    let commits: [&[(u32, u32)]; 4] =
        [&[(3, 30), (149, 9)], &[(150, 1), (151, 2)], &[(64, 5)], &[(190, 1), (0, 7), (191, 1)]];
    for (commit, seq) in commits.iter().zip(2u64..) {
        let changed: Vec<PublishedSection> = commit
            .iter()
            .map(|(number, seats)| {
                let builder = numbered(*number).seats(*seats).course(&format!("AAA {seats}"));
                all.insert(*number, SectionBuilder(builder.0.clone()));
                published(builder)
            })
            .collect();
        let mut expected: Vec<String> = changed.iter().map(|s| s.state.section.id.crn.to_string()).collect();
        snapshot = snapshot.after(seq, None, &changed);
        assert_eq!(contents(&snapshot).0, contents(&rebuilt(&all, seq)).0);
        let mut changed_crns: Vec<String> =
            snapshot.rows_since(seq - 1).map(|row| row.state.section.id.crn.to_string()).collect();
        changed_crns.sort();
        expected.sort();
        assert_eq!(changed_crns, expected, "the sections of the last commit");
        assert_eq!(snapshot.rows_since(seq).count(), 0);
        snapshots.push((snapshot.clone(), contents(&snapshot)));
    }
    for (snapshot, contents_then) in snapshots {
        assert_eq!(contents(&snapshot), contents_then, "a reader's snapshot never changes");
    }
}

#[test]
fn readers_never_see_a_partly_published_commit() {
    // Each commit enrolls one more student in both sections, so their counts are always equal.
    let model = ReadModel::new();
    let loaded = PublishedTerm {
        term: term(),
        seq: 0,
        sections: vec![published(section("A").seats(5_000)), published(section("B").seats(5_000))],
        students: Vec::new(),
        facts: Vec::new(),
    };
    let term = model.publish_loaded(loaded);
    let commits = 2_000u32;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = 0;
                while last < u64::from(commits) {
                    let snapshot = model.term(&term_id()).unwrap().snapshot();
                    let enrolled = |of| snapshot.row(&crn(of)).unwrap().state.enrolled;
                    assert_eq!((enrolled("A"), enrolled("B")), (u32::try_from(snapshot.seq).unwrap(), enrolled("A")));
                    assert!(snapshot.seq >= last, "the sequence never decreases");
                    last = snapshot.seq;
                    if last > 0 {
                        let registered = term.registrations(&user("ana")).expect("the seat has a student");
                        assert!(registered[0].at >= minute(i64::try_from(last).unwrap()));
                    }
                }
            });
        }
        for seq in 1..=commits {
            let taken = |of: &str| {
                let mut builder = section(of).seats(5_000);
                builder.0.enrolled = seq;
                published(builder)
            };
            let at = minute(i64::from(seq));
            let seat = Registration {
                crn: crn("A"),
                status: RegistrationStatus::Enrolled,
                queue_number: 0,
                at,
                passed_over_for: None,
                reserved_for: None,
                offer: None,
                choices: None,
            };
            let (seq, sections) = (u64::from(seq), vec![taken("A"), taken("B")]);
            let students = vec![(user("ana"), [seat].into())];
            if seq % 2 == 0 {
                let loaded = PublishedTerm { term: crate::college::term(), seq, sections, students, facts: Vec::new() };
                model.publish_loaded(loaded);
            } else {
                term.publish(&TermUpdate { seq, sections, students, ..TermUpdate::default() });
            }
        }
    });
}

#[test]
fn credits_count_enrolled_sections_that_are_not_cancelled() {
    let seat = |of: &str, status| Registration {
        crn: crn(of),
        status,
        queue_number: 1,
        at: minute(1),
        passed_over_for: None,
        reserved_for: None,
        offer: None,
        choices: None,
    };
    let sections = [
        section("A").credits(1_500),
        section("B").credits(3_000),
        section("GONE").credits(9_000).status(SectionStatus::Cancelled),
        section("WAIT").credits(9_000),
        section("LEFT").credits(9_000),
    ];
    let registered = [
        seat("A", RegistrationStatus::Enrolled),
        seat("B", RegistrationStatus::Enrolled),
        seat("GONE", RegistrationStatus::Enrolled),
        seat("WAIT", RegistrationStatus::Waitlisted),
        seat("LEFT", RegistrationStatus::Dropped),
    ];
    let loaded = PublishedTerm {
        term: term(),
        seq: 1,
        sections: sections.into_iter().map(published).collect(),
        students: vec![(user("ana"), registered.into())],
        facts: Vec::new(),
    };
    let term = ReadModel::new().publish_loaded(loaded);
    assert_eq!(term.enrolled_credits(&user("ana")).0, 4_500);
    assert_eq!(term.enrolled_credits(&user("bob")).0, 0);
}

#[test]
fn a_withdrawn_section_is_visible_to_staff_and_its_students() {
    let model = ReadModel::new();
    let registered = Registration {
        crn: crn("GONE"),
        status: RegistrationStatus::Waitlisted,
        queue_number: 1,
        at: minute(1),
        passed_over_for: None,
        reserved_for: None,
        offer: None,
        choices: None,
    };
    let dropped = Registration { status: RegistrationStatus::Dropped, queue_number: 0, ..registered.clone() };
    model.publish_loaded(PublishedTerm {
        term: term(),
        seq: 1,
        sections: vec![
            published(section("GONE").course("MATH 1").with(|s| s.withdrawn = true)),
            published(section("HERE")),
        ],
        students: vec![(user("ann"), [registered].into()), (user("bob"), [dropped].into())],
        facts: Vec::new(),
    });
    let is_found = |of: &str, reader: Option<(&str, Role)>| {
        let reader = reader.map(|(name, role)| (user(name), role));
        model.section_for(&crate::college::id(of), reader.as_ref().map(|(user, role)| (user, *role))).is_some()
    };
    let table = [
        (None, false),
        (Some(("ann", Role::Student)), true),
        (Some(("bob", Role::Student)), false),
        (Some(("sam", Role::Staff)), true),
        (Some(("ada", Role::Admin)), true),
    ];
    for (reader, expected) in table {
        assert_eq!(is_found("GONE", reader), expected, "{reader:?}");
        assert!(is_found("HERE", reader), "{reader:?}");
    }
    for (subject, expected) in [("MATH", true), ("ART", false)] {
        let within = model.section_within(&crate::college::id("GONE"), &Subjects::parse(&[subject]).unwrap());
        assert_eq!(within.is_some(), expected, "staff of {subject}");
    }
    let snapshot = model.term(&term_id()).unwrap().snapshot();
    let listed: Vec<_> = snapshot.listed_rows().map(|row| row.state.section.id.crn.as_str()).collect();
    assert_eq!(listed, ["HERE"]);
}
