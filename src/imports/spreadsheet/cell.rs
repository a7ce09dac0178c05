//! The text of a cell, as a person reads it in the spreadsheet.

use calamine::{Data, DataRef, ExcelDateTime};

/// The number of significant digits that Excel shows.
const DIGITS: usize = 15;
/// The number of seconds in a day.
const DAY_SECONDS: u32 = 24 * 60 * 60;
/// Serial numbers of dates below this one are times of day whose date, in 1900, has no meaning.
const FIRST_MEANINGFUL_DATE: f64 = 366.0;

/// The parts of a number format that decide how a cell is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Shown {
    /// Whether the format shows a date.
    date: bool,
    /// Whether it shows a time of day.
    time: bool,
    /// Whether the time is followed by am or pm.
    half_days: bool,
    /// The minimum number of digits of a whole number, including leading zeros.
    digits: usize,
}

impl Shown {
    /// Reads a format, such as `h:mm AM/PM` or `00000`.
    pub(super) fn read(format: &str) -> Self {
        let format = format.split(';').next().unwrap_or_default();
        if format.len() > 1 && format.bytes().all(|b| b == b'0') {
            return Self { digits: format.len(), ..Self::default() };
        }
        let mut shown = Self::default();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            match c.to_ascii_lowercase() {
                // Literal text, colors and locales.
                '"' => drop(chars.by_ref().find(|c| *c == '"')),
                '\\' | '_' | '*' => drop(chars.next()),
                '[' => shown.time |= matches!(chars.by_ref().take_while(|c| *c != ']').next(), Some('h' | 'H')),
                'y' | 'd' => shown.date = true,
                'h' | 's' => shown.time = true,
                'a' => shown.half_days = true,
                _ => {}
            }
        }
        shown.half_days &= shown.time;
        shown
    }
}

/// Returns the text of a number: whole numbers without a fraction, others as Excel shows them.
fn number(value: f64, shown: Shown) -> String {
    if !value.is_finite() {
        return String::new();
    }
    if value.fract() == 0.0 {
        let digits = shown.digits;
        return if value < 0.0 { format!("{value:.0}") } else { format!("{value:0digits$.0}") };
    }
    // 0.1 + 0.2 is 0.3 in a spreadsheet.
    let rounded: f64 = format!("{value:.*e}", DIGITS - 1).parse().unwrap_or(value);
    rounded.to_string()
}

/// Returns the text of a time of day.
fn time(seconds: u32, half_days: bool) -> String {
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let tail = if second == 0 { String::new() } else { format!(":{second:02}") };
    if !half_days {
        return format!("{hour:02}:{minute:02}{tail}");
    }
    let half = if hour < 12 { "AM" } else { "PM" };
    format!("{}:{minute:02}{tail} {half}", (hour + 11) % 12 + 1)
}

/// Returns the text of a date, a time or both. Without a known format, the value decides.
fn date_time(value: &ExcelDateTime, shown: Option<Shown>) -> String {
    let serial = value.as_f64();
    if !(0.0..=2_958_466.0).contains(&serial) {
        return number(serial, Shown::default());
    }
    // Times are rounded to seconds: fractions of a day are not exact.
    let seconds = (serial * f64::from(DAY_SECONDS)).round();
    let day = (seconds / f64::from(DAY_SECONDS)).floor();
    let of_day = (seconds - day * f64::from(DAY_SECONDS)) as u32;
    let shown = shown.filter(|shown| shown.date || shown.time).unwrap_or_else(|| {
        let date = day >= FIRST_MEANINGFUL_DATE;
        Shown { date, time: !date || of_day > 0, ..Shown::default() }
    });
    let date = || {
        let (year, month, day, ..) =
            ExcelDateTime::new(day, calamine::ExcelDateTimeType::DateTime, is_1904(value)).to_ymd_hms_milli();
        format!("{year:04}-{month:02}-{day:02}")
    };
    match (shown.date, shown.time) {
        (true, true) if of_day > 0 => format!("{} {}", date(), time(of_day, shown.half_days)),
        (true, _) => date(),
        (false, _) => time(of_day, shown.half_days),
    }
}

/// Returns whether days are counted from 1904. calamine does not expose this, but a date that it computes shows it.
fn is_1904(value: &ExcelDateTime) -> bool {
    let unshifted = ExcelDateTime::new(value.as_f64(), calamine::ExcelDateTimeType::DateTime, false);
    unshifted.to_ymd_hms_milli() != value.to_ymd_hms_milli()
}

/// Returns the text of an ISO date and time, without a time of midnight.
fn iso_date_time(text: &str) -> String {
    match text.split_once('T') {
        Some((date, time)) if time.trim_matches(['0', ':', '.', 'Z']).is_empty() => date.to_owned(),
        Some((date, time)) => format!("{date} {}", time.strip_suffix(":00").unwrap_or(time)),
        None => text.to_owned(),
    }
}

/// Returns the text of an ISO duration, such as `PT09H30M00S`, which is a time of day.
fn iso_duration(text: &str) -> String {
    let part = |unit: char| -> Option<u32> {
        let end = text.find(unit)?;
        let start = text[..end].rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
        text[start..end].parse().ok()
    };
    match (text.strip_prefix("PT"), part('H'), part('M')) {
        (Some(_), Some(hour @ 0..=23), Some(minute @ 0..=59)) => time(hour * 3_600 + minute * 60, false),
        _ => text.to_owned(),
    }
}

/// Returns the text of a cell of an `.xlsx` workbook, which has a format.
pub(super) fn formatted(value: &DataRef<'_>, format: Option<&str>) -> String {
    let shown = || format.map(Shown::read);
    match value {
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Float(value) => number(*value, shown().unwrap_or_default()),
        DataRef::Int(value) => number(*value as f64, shown().unwrap_or_default()),
        DataRef::DateTime(value) => date_time(value, shown()),
        other => text(&Data::from(other.clone())),
    }
}

/// Returns the text of a cell of which only the value is known.
pub(super) fn text(value: &Data) -> String {
    match value {
        Data::Empty => String::new(),
        Data::String(text) => text.clone(),
        Data::Int(value) => value.to_string(),
        Data::Float(value) => number(*value, Shown::default()),
        Data::Bool(value) => if *value { "TRUE" } else { "FALSE" }.to_owned(),
        Data::DateTime(value) => date_time(value, None),
        Data::DateTimeIso(text) => iso_date_time(text),
        Data::DurationIso(text) => iso_duration(text),
        Data::Error(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use calamine::ExcelDateTimeType;

    fn date_cell(value: f64, format: &str) -> String {
        let value = ExcelDateTime::new(value, ExcelDateTimeType::DateTime, false);
        formatted(&DataRef::DateTime(value), Some(format))
    }

    #[test]
    fn numbers_are_written_as_a_spreadsheet_shows_them() {
        let table: [(f64, &str, &str); 11] = [
            (25.0, "General", "25"),
            (10001.0, "0", "10001"),
            (76.0, "00000", "00076"),
            (1.5, "0.0", "1.5"),
            (0.1 + 0.2, "General", "0.3"),
            (-3.0, "General", "-3"),
            (1e15, "General", "1000000000000000"),
            (2.0 / 3.0, "General", "0.666666666666667"),
            (0.375, "General", "0.375"),
            (101.1, "General", "101.1"),
            (12.3, "General", "12.3"),
        ];
        for (value, format, expected) in table {
            assert_eq!(formatted(&DataRef::Float(value), Some(format)), expected, "{value} {format}");
        }
    }

    #[test]
    fn dates_and_times_are_written_as_their_format_shows_them() {
        let table: [(f64, &str, &str); 12] = [
            (47_868.0, "m/d/yyyy", "2031-01-20"),
            (47_868.437_5, "m/d/yyyy", "2031-01-20"),
            (47_868.437_5, "m/d/yyyy h:mm", "2031-01-20 10:30"),
            (47_868.437_5, "h:mm", "10:30"),
            (0.395_833_333_333_333, "h:mm", "09:30"),
            (0.409_722_222_222_222, "h:mm AM/PM", "9:50 AM"),
            (0.0625, "[$-409]h:mm AM/PM;@", "1:30 AM"),
            (0.5, "h:mm AM/PM", "12:00 PM"),
            (0.0, "h:mm AM/PM", "12:00 AM"),
            (0.999_999_999, "mm/dd/yy", "1900-01-01"),
            (1.375, "[h]:mm", "09:00"),
            (0.75, "mm:ss", "18:00"),
        ];
        for (value, format, expected) in table {
            assert_eq!(date_cell(value, format), expected, "{value} {format}");
        }
        let plain = |value| text(&Data::DateTime(ExcelDateTime::new(value, ExcelDateTimeType::DateTime, false)));
        assert_eq!(
            (plain(0.375), plain(47_868.0), plain(47_868.375)),
            ("09:00".into(), "2031-01-20".into(), "2031-01-20 09:00".into())
        );
        assert_eq!(plain(1.375), "09:00", "a time of day whose date, in 1900, has no meaning");
        let apple = ExcelDateTime::new(46_406.0, ExcelDateTimeType::DateTime, true);
        assert_eq!(text(&Data::DateTime(apple)), "2031-01-20", "days counted from 1904");
    }

    #[test]
    fn iso_dates_and_times_of_opendocument_are_read() {
        for (value, expected) in [
            ("2031-01-20", "2031-01-20"),
            ("2031-01-20T00:00:00", "2031-01-20"),
            ("2031-01-20T09:30:00", "2031-01-20 09:30"),
        ] {
            assert_eq!(text(&Data::DateTimeIso(value.to_owned())), expected);
        }
        assert_eq!(text(&Data::DurationIso("PT13H05M00S".to_owned())), "13:05");
        assert_eq!(text(&Data::Bool(true)), "TRUE");
    }
}
