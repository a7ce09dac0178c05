//! Finds out when calls without a response were decided, from the responses to their repetitions.

use super::record::{Call, Item, Millisecond, Request, Response};

/// Returns the sections that a call drops, and when they were dropped, as far as its response states it.
fn drops(call: &Call) -> Vec<(usize, Option<Millisecond>)> {
    let (sections, before) = match &call.request {
        Request::Drop { section, .. } => (std::slice::from_ref(section), 0),
        Request::Batch { add, drop, .. } => (drop.as_slice(), add.len()),
        _ => return Vec::new(),
    };
    let items = if let Some(Response::Items(items)) = &call.response { items.as_slice() } else { &[] };
    let time = |at| if let Some(Item::Dropped { at }) = items.get(before + at) { Some(*at) } else { None };
    sections.iter().enumerate().map(|(at, section)| (*section, time(at))).collect()
}

/// Returns when the drops of calls without a response were decided, as far as their repetitions state it: a repeated
/// drop returns the time of the first one.
pub(super) fn times_of_repetitions(calls: &[Call]) -> Vec<Option<Millisecond>> {
    let repetition = |call: &Call, section: usize| {
        let later = calls.iter().filter(|other| other.sent > call.sent && other.names().1 == call.names().1);
        let drops =
            later.flat_map(|other| drops(other).into_iter().map(move |(dropped, at)| (other.sent, dropped, at)));
        let (sent, _, stated) = drops.filter(|(_, dropped, _)| *dropped == section).min_by_key(|(sent, ..)| *sent)?;
        // Only a repetition states a time that had passed when it was sent.
        let before = calls.iter().filter(|other| other.ended < sent).filter_map(Call::decided_at).max()?;
        stated.filter(|stated| *stated < before)
    };
    let time_of = |call: &Call| drops(call).into_iter().find_map(|(section, _)| repetition(call, section));
    calls.iter().map(|call| if call.response.is_none() { time_of(call) } else { None }).collect()
}
