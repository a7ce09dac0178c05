//! Meetings of sections, and whether two of them overlap.

use jiff::civil::{Date, Time, Weekday};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The end of a meeting that ends at midnight. It is written `24:00`.
pub const END_OF_DAY: Time = jiff::civil::time(23, 59, 59, 999_999_999);

/// A set of weekdays. The empty set means that the days are not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Days(u8);

const DAY_NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Days {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// Creates a set from seven bits, of which the lowest is Monday. Ignores the eighth.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 0x7f)
    }
    /// Returns the set as seven bits, of which the lowest is Monday.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }
    /// Returns this set with `day` added.
    #[must_use]
    pub fn with(self, day: Weekday) -> Self {
        Self(self.0 | 1 << day.to_monday_zero_offset())
    }
    /// Returns the set of the days after those of this set.
    #[must_use]
    pub const fn next_day(self) -> Self {
        Self((self.0 << 1 | self.0 >> 6) & 0x7f)
    }
    /// Returns whether the sets have a day in common.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
    /// Returns whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
    /// Returns whether `day` is in the set.
    #[must_use]
    pub fn contains(self, day: Weekday) -> bool {
        self.0 & (1 << day.to_monday_zero_offset()) != 0
    }
    /// Parses one of `mon` … `sun`; `None` for other text.
    #[must_use]
    pub fn parse_one(name: &str) -> Option<Self> {
        let at = DAY_NAMES.iter().position(|d| *d == name)?;
        Some(Self(1 << at))
    }
    /// Iterates over the names of the days, Monday first.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        DAY_NAMES.into_iter().enumerate().filter(move |(i, _)| self.0 & (1 << i) != 0).map(|(_, n)| n)
    }
}

impl Serialize for Days {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        names.iter().try_fold(Self::NONE, |days, name| {
            let day = Self::parse_one(name).ok_or_else(|| D::Error::custom("not a weekday"))?;
            Ok(Self(days.0 | day.0))
        })
    }
}

/// One weekly meeting of a section, in the college's time zone. Unknown values are `None`; unknown days are empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Meeting {
    /// The weekdays on which the section meets.
    pub days: Days,
    /// The start time.
    #[serde(with = "hour_minute")]
    pub start: Option<Time>,
    /// The end time, later than `start` on the same day; [`END_OF_DAY`] for midnight.
    #[serde(with = "hour_minute")]
    pub end: Option<Time>,
    /// The first date of the range in which the section meets.
    pub starts_on: Option<Date>,
    /// The last date of that range, inclusive.
    pub ends_on: Option<Date>,
    /// The room, as the college writes it.
    pub location: Option<Box<str>>,
}

impl Meeting {
    /// Returns whether two meetings overlap: their weekdays, times and date ranges all intersect.
    ///
    /// A date range whose first or last date is unknown is open on that side. A meeting without weekdays or times
    /// overlaps no other. A meeting does not overlap one that ends when it starts.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (Some(start), Some(end), Some(other_start), Some(other_end)) =
            (self.start, self.end, other.start, other.end)
        else {
            return false;
        };
        self.days.intersects(other.days)
            && start < other_end
            && other_start < end
            && self.starts_on.unwrap_or(Date::MIN) <= other.ends_on.unwrap_or(Date::MAX)
            && other.starts_on.unwrap_or(Date::MIN) <= self.ends_on.unwrap_or(Date::MAX)
    }
}

/// Writes a time of day of a meeting as `09:30`; [`END_OF_DAY`] as `24:00`.
#[must_use]
pub fn hour_minute_text(time: Time) -> String {
    if time == END_OF_DAY { "24:00".to_owned() } else { format!("{:02}:{:02}", time.hour(), time.minute()) }
}

/// Serializes a time of day as `09:30`.
mod hour_minute {
    use super::{END_OF_DAY, hour_minute_text};
    use jiff::civil::Time;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(time: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(hour_minute_text).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Time>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let parse = |text: String| match text.as_str() {
            "24:00" => Ok(END_OF_DAY),
            _ => Time::strptime("%H:%M", text).map_err(D::Error::custom),
        };
        text.map(parse).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::{date, time};

    fn meeting(days: u8, from: i8, to: i8, dates: Option<(Date, Date)>) -> Meeting {
        Meeting {
            days: Days::from_bits(days),
            start: Some(time(from, 0, 0, 0)),
            end: Some(time(to, 0, 0, 0)),
            starts_on: dates.map(|d| d.0),
            ends_on: dates.map(|d| d.1),
            location: None,
        }
    }

    #[test]
    fn meetings_round_trip_through_json() {
        let whole = Meeting {
            location: Some("Room 1".into()),
            ..meeting(0b101, 9, 11, Some((date(2026, 9, 1), date(2026, 12, 5))))
        };
        let until_midnight = Meeting { end: Some(END_OF_DAY), ..whole.clone() };
        assert!(serde_json::to_string(&until_midnight).unwrap().contains(r#""end":"24:00""#));
        for meeting in [whole, until_midnight, Meeting::default()] {
            let text = serde_json::to_string(&meeting).unwrap();
            assert_eq!(serde_json::from_str::<Meeting>(&text).unwrap(), meeting, "{text}");
        }
        assert!(serde_json::from_str::<Days>(r#"["mon","someday"]"#).is_err());
    }

    #[test]
    fn the_day_after_sunday_is_monday() {
        assert_eq!(Days::from_bits(0b100_0010).next_day(), Days::from_bits(0b000_0101));
    }

    #[test]
    fn meetings_overlap_only_if_days_times_and_dates_all_do() {
        let first_half = Some((date(2026, 9, 1), date(2026, 10, 15)));
        let second_half = Some((date(2026, 10, 16), date(2026, 12, 5)));
        let table = [
            (meeting(0b101, 9, 11, None), meeting(0b100, 10, 12, None), true, "a shared Wednesday"),
            (meeting(0b101, 9, 11, None), meeting(0b010, 10, 12, None), false, "other days"),
            (meeting(0b1, 9, 10, None), meeting(0b1, 10, 11, None), false, "back to back"),
            (meeting(0b1, 9, 11, first_half), meeting(0b1, 9, 11, second_half), false, "different halves of a term"),
            (meeting(0b1, 9, 11, first_half), meeting(0b1, 9, 11, None), true, "unknown dates are open-ended"),
            (meeting(0, 9, 11, None), meeting(0b1, 9, 11, None), false, "no day known"),
            (Meeting { start: None, ..meeting(0b1, 9, 11, None) }, meeting(0b1, 9, 11, None), false, "no time known"),
        ];
        for (a, b, expected, why) in table {
            assert_eq!(a.overlaps(&b), expected, "{why}");
            assert_eq!(b.overlaps(&a), expected, "{why}, in reverse");
        }
    }
}
