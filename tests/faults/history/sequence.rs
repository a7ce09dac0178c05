//! The sequence that reads of all seats carry: it never goes backward, and one number means one state.

use std::collections::BTreeMap;

use super::record::{Call, Response};

/// Checks the sequences of all reads of seats.
///
/// # Errors
/// A text that names two reads that contradict each other.
pub(crate) fn check(calls: &[Call]) -> Result<(), String> {
    let mut reads: Vec<_> = calls
        .iter()
        .filter_map(|call| match &call.response {
            Some(Response::Seats { seq, rows }) => Some((call, *seq, rows)),
            _ => None,
        })
        .collect();
    let mut states = BTreeMap::new();
    for (call, seq, rows) in &reads {
        let (first, known) = *states.entry(*seq).or_insert((*call, *rows));
        if known != *rows {
            return Err(format!(
                "two reads of all seats have the sequence {seq} and differ:\n  at moment {}: {known:?}\n  at moment {}: \
                 {rows:?}",
                first.sent, call.sent
            ));
        }
    }
    reads.sort_by_key(|(call, ..)| call.sent);
    let mut by_end: Vec<_> = reads.iter().map(|(call, seq, _)| (call.ended, *seq)).collect();
    by_end.sort_unstable();
    let (mut newest, mut ended) = (0, by_end.into_iter().peekable());
    for (call, seq, _) in reads {
        while let Some((_, earlier)) = ended.next_if(|(end, _)| *end < call.sent) {
            newest = newest.max(earlier);
        }
        if seq < newest {
            return Err(format!(
                "a read of all seats at moments {} to {} has the sequence {seq}, but sequence {newest} was read before",
                call.sent, call.ended
            ));
        }
    }
    Ok(())
}
