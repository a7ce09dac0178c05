//! The columns of each meeting of a row: a file may have several groups, such as `days1`, `time1`, `days2`, `time2`.

use std::collections::BTreeMap;

use crate::imports::csv::names::{Column, numbered};

/// The columns of one meeting, by index.
#[derive(Debug, Clone, Default)]
pub(super) struct MeetingColumns(BTreeMap<Column, usize>);

impl MeetingColumns {
    /// Returns the index of a column.
    pub(super) fn at(&self, column: Column) -> Option<usize> {
        self.0.get(&column).copied()
    }

    /// Sets the index of a column.
    pub(super) fn set(&mut self, column: Column, index: usize) {
        self.0.insert(column, index);
    }

    /// Returns each column with its index.
    pub(super) fn all(&self) -> impl Iterator<Item = (Column, usize)> {
        self.0.iter().map(|(column, index)| (*column, *index))
    }

    /// Returns whether the column with an index is one of them.
    pub(super) fn contains(&self, index: usize) -> bool {
        self.0.values().any(|at| *at == index)
    }
}

/// Returns the groups of columns whose normalized names have a number, by this number, and marks them as used.
pub(super) fn numbered_groups(names: &[String], used: &mut [bool]) -> BTreeMap<usize, MeetingColumns> {
    let mut groups: BTreeMap<usize, MeetingColumns> = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        if let Some((column, number)) = numbered(name).filter(|_| !used[index]) {
            groups.entry(number).or_default().0.entry(column).or_insert(index);
            used[index] = true;
        }
    }
    groups.values_mut().for_each(|group| start_and_end_are_times(group, names));
    groups
}

/// Makes `Begin 1` and `End 1` times in a group without times, unless the name has `date`.
fn start_and_end_are_times(MeetingColumns(group): &mut MeetingColumns, names: &[String]) {
    if [Column::Time, Column::StartTime].iter().any(|column| group.contains_key(column)) {
        return;
    }
    for (date, time) in [(Column::Start, Column::StartTime), (Column::End, Column::EndTime)] {
        if let Some(index) = group.get(&date).copied().filter(|index| !names[*index].contains("date")) {
            group.remove(&date);
            group.insert(time, index);
        }
    }
}
