//! Prints plain-text tables, and formats numbers.

use std::time::Duration;

/// Prints a table with a title. The first column is text and aligned left; the others are numbers and aligned right. A
/// column heading may have several lines.
pub fn print(title: &str, columns: &[&str], rows: &[Vec<String>]) {
    let width = |index: usize| {
        let cells = rows.iter().map(|row| row[index].as_str()).chain(columns[index].lines());
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |cells: &[&str]| {
        let first = format!("{:<1$}", cells[0], widths[0]);
        let rest = cells.iter().zip(&widths).skip(1).map(|(cell, width)| format!("  {cell:>width$}"));
        println!("{}", format!("  {first}{}", rest.collect::<String>()).trim_end());
    };
    println!("\n{title}");
    let height = columns.iter().map(|heading| heading.lines().count()).max().unwrap_or(0);
    for from_bottom in (0..height).rev() {
        line(&columns.iter().map(|heading| heading.lines().rev().nth(from_bottom).unwrap_or("")).collect::<Vec<_>>());
    }
    println!("  {}", "-".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1)));
    for row in rows {
        line(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

/// Formats a whole number with thousands separators.
pub fn number(value: f64) -> String {
    let digits = format!("{:.0}", value.max(0.0));
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

/// Returns whether a target is met, as text.
pub fn met(is_met: bool) -> &'static str {
    if is_met { "met" } else { "NOT met" }
}

/// Formats a time in milliseconds.
pub fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}

/// Returns a percentile (nearest rank), zero for an empty slice. Sorts the slice.
pub fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(index).copied().unwrap_or_default()
}

/// Returns the median, zero for an empty slice. Sorts the slice.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
