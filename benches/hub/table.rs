//! Plain tables.

use std::time::Duration;

/// Prints a table: its title, its columns, its rows. The first column is text, the others are numbers.
pub fn print(title: &str, columns: &[&str], rows: &[Vec<String>]) {
    let width = |index: usize| {
        let cells = rows.iter().map(|row| row[index].chars().count());
        cells.chain([columns[index].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |cells: &[String]| {
        let first = format!("{:<1$}", cells[0], widths[0]);
        let rest = cells.iter().zip(&widths).skip(1).map(|(cell, width)| format!("  {cell:>width$}"));
        println!("  {first}{}", rest.collect::<String>());
    };
    println!("\n{title}");
    line(&columns.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>());
    println!("  {}", "-".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1)));
    for row in rows {
        line(row);
    }
}

/// A whole number with its thousands set apart.
pub fn number(value: f64) -> String {
    let digits = format!("{:.0}", value.max(0.0));
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

/// Whether a figure holds, in words.
pub fn held(holds: bool) -> &'static str {
    if holds { "held" } else { "NOT held" }
}

/// Milliseconds.
pub fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}

/// The value that so many of a hundred do not exceed; zero of nothing. Sorts.
pub fn percentile(times: &mut [Duration], of_hundred: usize) -> Duration {
    times.sort_unstable();
    let index = (times.len() * of_hundred).div_ceil(100).saturating_sub(1);
    times.get(index).copied().unwrap_or_default()
}

/// The middle one; zero of nothing. Sorts.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
