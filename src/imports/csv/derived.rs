//! Cells that are derived from the cells of a record: those of joined columns, such as building and room, and the
//! numbers in a column such as `Cap/Enr`.

use crate::imports::csv::names::Column;
use crate::imports::csv::pieces::slots;
use crate::imports::csv::text;

/// The maximum length of a room in a list with commas, in characters.
const LISTED_ROOM_CHARS_MAX: usize = 8;

/// How a derived cell is made from the cells of a record.
#[derive(Debug, Clone)]
pub(super) enum Derived {
    /// The texts of several columns, by index.
    Joined(Vec<usize>),
    /// One of several numbers in a column.
    Part { index: usize, at: usize, of: usize },
}

impl Derived {
    /// Returns whether the cell is derived from the column with an index.
    pub(super) fn has_source(&self, index: usize) -> bool {
        match self {
            Self::Joined(parts) => parts.contains(&index),
            Self::Part { index: source, .. } => *source == index,
        }
    }

    /// Returns the name of the column, or the names of joined columns with `+`.
    pub(super) fn name(&self, names: &[String]) -> String {
        match self {
            Self::Joined(parts) => parts.iter().map(|part| names[*part].as_str()).collect::<Vec<_>>().join("+"),
            Self::Part { index, .. } => names[*index].clone(),
        }
    }

    /// Returns the text of the cell.
    pub(super) fn text(&self, record: &csv::StringRecord) -> String {
        let cell = |index: &usize| record.get(*index).unwrap_or_default().trim();
        match self {
            Self::Joined(parts) => joined(&parts.iter().map(cell).collect::<Vec<_>>()),
            Self::Part { index, at, of } => part(cell(index), *at, *of),
        }
    }
}

/// Joins cells. If they have several values each, those at the same position belong together: `ELM; OAK` and `105; 2`
/// become `ELM 105; OAK 2`.
fn joined(cells: &[&str]) -> String {
    let by_comma = || -> Vec<Vec<&str>> { cells.iter().map(|cell| cell.split(',').map(str::trim).collect()).collect() };
    let are_rooms = |lists: &Vec<Vec<&str>>| {
        let is_room = |text: &&str| text.contains(|c: char| c.is_ascii_digit()) && text.len() <= LISTED_ROOM_CHARS_MAX;
        lists.iter().all(|list| list.len() == lists[0].len())
            && lists.last().is_some_and(|last| last.iter().all(is_room))
    };
    let mut lists: Vec<Vec<&str>> = cells.iter().map(|cell| slots(cell)).collect();
    let has_several = |lists: &[Vec<&str>]| lists.iter().any(|list| list.len() > 1);
    if !has_several(&lists) {
        lists = Some(by_comma()).filter(are_rooms).unwrap_or(lists);
    }
    let len = lists.last().map_or(0, Vec::len);
    // One building may stand for all rooms.
    let fits = |(at, list): (usize, &Vec<&str>)| list.len() == len || (at == 0 && list.len() == 1);
    if !has_several(&lists) || !lists.iter().enumerate().all(fits) {
        return join_texts(cells.iter().copied());
    }
    let one = |at: usize| {
        join_texts(lists.iter().map(|list| list.get(at).or_else(|| list.first()).copied().unwrap_or_default()))
    };
    (0..len).map(one).collect::<Vec<_>>().join("; ")
}

/// Joins texts with spaces, without unknown ones and without those that end another: `Elm Hall 105` beside `105`.
fn join_texts<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let mut all: Vec<&str> = Vec::new();
    for text in texts.map(str::trim).filter(|text| !text::is_unknown(text)) {
        if !all.iter().any(|before| before.split_whitespace().last() == Some(text)) {
            all.push(text);
        }
    }
    all.join(" ")
}

/// Returns one of several numbers in a cell, such as `12/30/2`. For another cell, returns a text that is not a number.
fn part(cell: &str, at: usize, of: usize) -> String {
    if text::is_unknown(cell) {
        return String::new();
    }
    let split = |separator: &str| -> Vec<&str> { cell.split(separator).map(str::trim).collect() };
    let parts = ["/", "|", " of ", "-"].into_iter().map(split).find(|parts| parts.len() == of);
    parts.map_or_else(|| format!("{cell} /"), |parts| parts[at].to_owned())
}

/// Returns the fields of a column whose cells have several numbers of seats, in the order of its name: `Cap/Enr`,
/// `Enr/Cap/Wait`. The name must have at least two of them.
pub(super) fn seat_columns(name: &str) -> Option<Vec<Column>> {
    const SEATS: [Column; 5] =
        [Column::Capacity, Column::Enrolled, Column::Available, Column::WaitlistCapacity, Column::Waitlisted];
    let field = |part: &str| match &*part.trim().to_lowercase() {
        "max" | "limit" | "total" => Some(Column::Capacity),
        "wait" | "wl" | "waiting" => Some(Column::Waitlisted),
        "open" => Some(Column::Available),
        other => Column::parse(other).filter(|column| SEATS.contains(column)),
    };
    // `Seats (Enr/Max)`.
    let inner = name.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(inner, _)| inner);
    let name = inner.filter(|inner| inner.contains('/')).unwrap_or(name);
    let fields: Vec<Column> = name.split(['/', '|']).map(field).collect::<Option<_>>()?;
    let is_repeated = fields.iter().enumerate().any(|(at, field)| fields[..at].contains(field));
    (fields.len() > 1 && !is_repeated).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_at_the_same_position_belong_together() {
        for (cells, expected) in [
            (["ELM", "105"], "ELM 105"),
            (["ELM; OAK", "105; 2"], "ELM 105; OAK 2"),
            (["ELM\nOAK", "105\r\n2"], "ELM 105; OAK 2"),
            (["ELM", "105; 106"], "ELM 105; ELM 106"),
            (["ELM, OAK", "105, 2"], "ELM 105; OAK 2"),
            (["; OAK", "; 2"], "; OAK 2"),
            (["Elm Hall, East Wing", "105"], "Elm Hall, East Wing 105"),
            (["Elm Hall 105", "105"], "Elm Hall 105"),
            (["TBA", "105"], "105"),
        ] {
            assert_eq!(joined(&cells), expected, "{cells:?}");
        }
    }

    #[test]
    fn names_of_several_numbers_show_their_order() {
        use Column::{Available, Capacity, Enrolled, Waitlisted};
        for (name, expected) in [
            ("Cap/Enr", Some(vec![Capacity, Enrolled])),
            ("Enr / Cap / Wait", Some(vec![Enrolled, Capacity, Waitlisted])),
            ("Available/ Capacity/ Waitlist", Some(vec![Available, Capacity, Waitlisted])),
            ("Enrolled/Capacity", Some(vec![Enrolled, Capacity])),
            ("Seats (Enr/Max)", Some(vec![Enrolled, Capacity])),
            ("Days/Time", None),
            ("Capacity", None),
            ("Cap/Max", None),
        ] {
            assert_eq!(seat_columns(name), expected, "{name}");
        }
        assert_eq!(
            (part("12/30/2", 1, 3), part("12 of 30", 1, 2), part("", 0, 2)),
            ("30".into(), "30".into(), "".into())
        );
        assert!(text::count(&part("30", 0, 2)).is_err(), "a cell of one number has no second");
    }
}
