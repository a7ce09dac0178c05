//! Controls of the checker: a correct history is accepted, and one that was altered is rejected with a message that
//! names the contradiction.

use super::model::{Definition, Term};
use super::record::{Call, Edit, Item, Request, Response, SectionView, Standing, Status};
use super::search::find_order;
use super::sequence;

const ANN: usize = 0;
const BEN: usize = 1;
const CAT: usize = 2;

/// Returns a term of two sections that no rule relates: section 0 with one seat and two positions, section 1 with five
/// seats.
fn term() -> Term {
    let definition =
        |capacity| Definition { capacity, waitlist_capacity: 2, credits: 3, same_course: 0, overlapping: 0 };
    Term::new(vec![definition(1), definition(5)], 18, 3)
}

fn call(request: Request, sent: u64, ended: u64, response: Option<Response>) -> Call {
    Call { client: 0, request, sent, ended, response, after: None }
}

fn register(student: usize, section: usize) -> Request {
    Request::Register { student, section, waitlist: true }
}

fn held(standing: Standing, at: i64) -> Option<Response> {
    Some(Response::Items(vec![Item::Held { is_new: Some(true), standing, at }]))
}

fn dropped(at: i64) -> Option<Response> {
    Some(Response::Items(vec![Item::Dropped { at }]))
}

fn roster(enrolled: &[usize], waitlist: &[usize]) -> Option<Response> {
    Some(Response::Roster { enrolled: enrolled.to_vec(), waitlist: waitlist.to_vec() })
}

fn read_roster(section: usize, moment: u64, enrolled: &[usize], waitlist: &[usize]) -> Call {
    call(Request::ReadRoster { section }, moment, moment + 1, roster(enrolled, waitlist))
}

/// Returns a correct history. Its calls follow each other, apart from the one without a response, which was executed.
fn right() -> Vec<Call> {
    let batch = Request::Batch { student: CAT, add: vec![1], drop: vec![0], swap: false, waitlist: false };
    let results = vec![Item::Held { is_new: None, standing: Standing::Enrolled, at: 7 }, Item::Dropped { at: 7 }];
    let view = SectionView { seats: [2, 2, 0, 0], waitlist_capacity: 2, status: Status::Open };
    let raise = Edit { capacity: Some(2), ..Edit::default() };
    vec![
        call(register(ANN, 0), 10, 11, held(Standing::Enrolled, 1)),
        call(register(BEN, 0), 20, 21, held(Standing::Waitlisted(1), 2)),
        call(register(CAT, 0), 30, 31, held(Standing::Waitlisted(2), 3)),
        call(Request::Drop { student: ANN, section: 0 }, 40, 41, dropped(4)),
        read_roster(0, 50, &[BEN], &[CAT]),
        call(register(ANN, 1), 60, 200, None),
        call(Request::Edit { section: 0, edit: raise }, 70, 71, Some(Response::Done)),
        call(Request::ReadSection { section: 0 }, 80, 81, Some(Response::Section(view))),
        read_roster(1, 90, &[ANN], &[]),
        call(batch, 100, 101, Some(Response::Items(results))),
        read_roster(0, 110, &[BEN], &[]),
        read_roster(1, 120, &[ANN, CAT], &[]),
    ]
}

fn check(calls: &[Call]) -> Result<(), String> {
    sequence::check(calls)?;
    find_order(term, calls).map(drop)
}

/// Alters the correct history, and returns the message with which it is rejected.
fn rejection(alter: impl FnOnce(&mut Vec<Call>)) -> String {
    let mut calls = right();
    alter(&mut calls);
    let message = check(&calls).expect_err("an altered history is rejected");
    println!("{message}\n");
    message
}

#[test]
fn a_correct_history_is_accepted() {
    check(&right()).unwrap_or_else(|contradiction| panic!("{contradiction}"));
}

#[test]
fn a_lost_acknowledged_write_is_rejected() {
    let message = rejection(|calls| calls[11] = read_roster(1, 120, &[ANN], &[]));
    assert!(message.contains("staff read the roster of section 1"), "{message}");
    assert!(message.contains("2 of 5 seats are taken by students [0, 2]"), "{message}");
}

#[test]
fn an_oversold_seat_is_rejected() {
    let message = rejection(|calls| calls[1].response = held(Standing::Enrolled, 2));
    assert!(message.contains("student 1 registers for section 0"), "{message}");
    assert!(message.contains("1 of 1 seats are taken by students [0]"), "{message}");
}

#[test]
fn a_stale_read_is_rejected() {
    let message = rejection(|calls| calls[4] = read_roster(0, 50, &[ANN], &[BEN, CAT]));
    assert!(message.contains("was answered: Roster { enrolled: [0], waitlist: [1, 2] }"), "{message}");
}

#[test]
fn a_request_that_was_executed_twice_is_rejected() {
    // Ann's request without a response explains one seat, but not another after she dropped the first.
    let message = rejection(|calls| {
        calls.push(call(Request::Drop { student: ANN, section: 1 }, 130, 131, dropped(9)));
        calls.push(read_roster(1, 140, &[ANN, CAT], &[]));
    });
    assert!(message.contains("1 of 5 seats are taken by students [2]"), "{message}");
}

#[test]
fn a_repeated_request_that_took_a_second_seat_is_rejected() {
    // The response to a repeated registration must be the existing state, not a new seat.
    let message = rejection(|calls| calls.insert(1, call(register(ANN, 0), 12, 13, held(Standing::Enrolled, 2))));
    assert!(message.contains("is_new: false"), "{message}");
}

#[test]
fn a_violated_waitlist_order_is_rejected() {
    let message = rejection(|calls| calls[4] = read_roster(0, 50, &[CAT], &[BEN]));
    assert!(message.contains("taken by students [1], students [2] wait"), "{message}");
}

#[test]
fn a_batch_that_lost_a_part_is_rejected() {
    let message = rejection(|calls| calls[10] = read_roster(0, 110, &[BEN, CAT], &[]));
    assert!(message.contains("1 of 2 seats are taken by students [1]"), "{message}");
}

#[test]
fn an_order_against_real_time_is_rejected() {
    // Cat was answered before Ben sent the request, but has the later position.
    let swap_times = |calls: &mut Vec<Call>| {
        (calls[1].sent, calls[1].ended) = (30, 31);
        (calls[2].sent, calls[2].ended) = (20, 21);
    };
    let message = rejection(swap_times);
    assert!(message.contains("student 2 registers for section 0"), "{message}");
    let overlapping = |calls: &mut Vec<Call>| calls[1].ended = 32;
    let mut calls = right();
    swap_times(&mut calls);
    calls[2].ended = 33;
    overlapping(&mut calls);
    check(&calls).expect("requests in flight at the same time have no order");
}

#[test]
fn a_sequence_that_goes_backward_is_rejected() {
    let seats = |seq, moment| {
        let rows = vec![[1, 0, 0, 1], [5, 0, 0, 5]];
        call(Request::ReadSeats, moment, moment + 1, Some(Response::Seats { seq, rows }))
    };
    check(&[seats(1, 2), seats(2, 4)]).expect("a sequence that grows");
    let message = check(&[seats(2, 2), seats(1, 4)]).expect_err("a sequence that goes backward");
    assert!(message.contains("has the sequence 1, but sequence 2 was read before"), "{message}");
}

/// Returns two overlapping changes to Ann's plan. Only a read after many registrations shows their order.
fn plan_read_late(plan: Vec<usize>) -> Vec<Call> {
    let put = |section| Request::PutPlan { student: ANN, plan: vec![section] };
    let (mut calls, mut moment) =
        (vec![call(put(0), 0, 9, Some(Response::Done)), call(put(1), 1, 8, Some(Response::Done))], 10);
    for at in 0..20 {
        // Ben and Cat register and drop at the same time.
        for (student, section) in [(BEN, 1), (CAT, 1)] {
            calls.push(call(register(student, section), moment, moment + 5, held(Standing::Enrolled, 2 * at)));
            let drop = Request::Drop { student, section };
            calls.push(call(drop, moment + 6, moment + 11, dropped(2 * at + 1)));
        }
        moment += 12;
    }
    calls.push(call(Request::ReadPlan { student: ANN }, moment, moment + 1, Some(Response::Plan(plan))));
    calls
}

#[test]
fn overlapping_changes_to_a_plan_are_ordered_by_a_late_read() {
    for plan in [vec![0], vec![1]] {
        check(&plan_read_late(plan)).unwrap_or_else(|contradiction| panic!("{contradiction}"));
    }
    let message = check(&plan_read_late(vec![])).expect_err("both changes were acknowledged");
    assert!(message.contains("student 0 reads the plan"), "{message}");
}

#[test]
fn an_unanswered_change_to_a_plan_explains_a_later_read() {
    let put = Request::PutPlan { student: ANN, plan: vec![1] };
    let read = |plan: &[usize]| call(Request::ReadPlan { student: ANN }, 130, 131, Some(Response::Plan(plan.to_vec())));
    for plan in [&[][..], &[1]] {
        let mut calls = right();
        calls.extend([call(put.clone(), 15, 200, None), read(plan)]);
        check(&calls).unwrap_or_else(|contradiction| panic!("{contradiction}"));
    }
    let mut calls = right();
    calls.extend([call(put, 15, 200, None), read(&[0])]);
    check(&calls).expect_err("this section was never planned");
}
