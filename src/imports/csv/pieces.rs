//! Splits the cells of several meetings.

use crate::imports::csv::times::{self, Clock};

/// Splits a cell of several meetings.
pub(super) fn pieces(cell: &str) -> Vec<&str> {
    cell.split([';', '\n', '\r', '|']).map(str::trim).filter(|piece| !piece.is_empty()).collect()
}

/// Splits a cell of several values, of which some may be blank: `; OAK` has two.
pub(super) fn slots(cell: &str) -> Vec<&str> {
    let lines = cell.split('\n').map(|line| line.trim_end_matches('\r'));
    lines.flat_map(|line| line.split([';', '\r', '|'])).map(str::trim).collect()
}

/// Splits a cell of times. A comma, a slash or an ampersand separates two times if each part is a time.
pub(super) fn time_pieces(cell: &str, clock: Clock) -> Vec<&str> {
    let split = |separator| -> Vec<&str> {
        cell.split(separator).map(str::trim).filter(|piece: &&str| !piece.is_empty()).collect()
    };
    let are_times = |pieces: &Vec<&str>| pieces.len() > 1 && pieces.iter().all(|p| times::range(p, clock).is_ok());
    [split(','), split('/'), split('&')].into_iter().find(are_times).unwrap_or_else(|| pieces(cell))
}

/// Splits a cell of start or end times. A comma separates two times, as in Colleague.
pub(super) fn moments(cell: &str) -> Vec<&str> {
    let by_comma: Vec<&str> = cell.split(',').map(str::trim).filter(|piece| !piece.is_empty()).collect();
    let are_times = by_comma.len() > 1 && by_comma.iter().all(|piece| times::single(piece).is_ok());
    if are_times { by_comma } else { pieces(cell) }
}

/// Splits a cell of the days of several times. A comma, a slash or an ampersand separates them if there are as many
/// times.
pub(super) fn paired_pieces(cell: &str, times: usize) -> Vec<&str> {
    let found = pieces(cell);
    if found.len() > 1 || times == 1 {
        return found;
    }
    let split = |separator: &str| -> Vec<&str> {
        cell.split(separator).map(str::trim).filter(|piece| !piece.is_empty()).collect()
    };
    // `M,F, T,TH` has two sets of days.
    let all = [", ", ",", "/", "&"].into_iter().map(split);
    all.into_iter().find(|pieces| pieces.len() == times).unwrap_or(found)
}
