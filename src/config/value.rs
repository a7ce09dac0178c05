//! Reading one value: as TOML has it, or as text from the environment. Errors say what would do, and name nothing: the
//! caller knows the setting's name.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::domain::section::Credits;

/// A value that is to be read.
#[derive(Debug, Clone)]
pub(super) enum Given {
    /// From a file.
    Toml(toml::Value),
    /// From the environment.
    Text(String),
}

/// A value, or what is wrong with it.
pub(super) type Read<T> = Result<T, String>;

impl Given {
    /// Text, trimmed.
    pub(super) fn text(&self) -> Read<String> {
        match self {
            Self::Text(text) | Self::Toml(toml::Value::String(text)) => Ok(text.trim().to_owned()),
            Self::Toml(_) => Err("must be text in quotes".to_owned()),
        }
    }

    /// A whole number within `range`.
    pub(super) fn whole<T>(&self, range: RangeInclusive<T>) -> Read<T>
    where
        T: TryFrom<i64> + PartialOrd + std::fmt::Display,
    {
        let wanted = || format!("must be a whole number from {} to {}", range.start(), range.end());
        let number = match self {
            Self::Toml(toml::Value::Integer(number)) => Some(*number),
            Self::Toml(_) => None,
            Self::Text(text) => text.trim().parse().ok(),
        };
        number.and_then(|n| T::try_from(n).ok()).filter(|n| range.contains(n)).ok_or_else(wanted)
    }

    /// Yes or no.
    pub(super) fn yes_or_no(&self) -> Read<bool> {
        let known = match self {
            Self::Toml(toml::Value::Boolean(value)) => Some(*value),
            Self::Toml(_) => None,
            Self::Text(text) => text.trim().parse().ok(),
        };
        known.ok_or_else(|| "must be true or false".to_owned())
    }

    /// Whole seconds within `range`.
    pub(super) fn seconds(&self, range: RangeInclusive<u32>) -> Read<Duration> {
        Ok(Duration::from_secs(self.whole(range)?.into()))
    }

    /// Whole milliseconds within `range`.
    pub(super) fn milliseconds(&self, range: RangeInclusive<u32>) -> Read<Duration> {
        Ok(Duration::from_millis(self.whole(range)?.into()))
    }

    /// Credits, such as 18 or 1.5.
    pub(super) fn credits(&self) -> Read<Credits> {
        let text = match self {
            Self::Toml(toml::Value::Integer(number)) => number.to_string(),
            Self::Toml(toml::Value::Float(number)) => number.to_string(),
            Self::Toml(_) => String::new(),
            Self::Text(text) => text.trim().to_owned(),
        };
        Credits::parse(&text).ok_or_else(|| "must be a number from 0 to 1000, such as 18 or 1.5".to_owned())
    }

    /// One or several pieces of text: `"a"`, `["a", "b"]`, and `a,b` in the environment.
    pub(super) fn texts(&self) -> Read<Vec<String>> {
        let texts: Vec<String> = match self {
            Self::Text(text) => text.split(',').map(|t| t.trim().to_owned()).collect(),
            Self::Toml(toml::Value::String(text)) => vec![text.trim().to_owned()],
            Self::Toml(toml::Value::Array(items)) => {
                items.iter().map(|item| item.as_str().unwrap_or_default().trim().to_owned()).collect()
            }
            Self::Toml(_) => Vec::new(),
        };
        if texts.is_empty() || texts.iter().any(String::is_empty) {
            return Err("must be a list of names in quotes, such as [\"Max Enrl\"]".to_owned());
        }
        Ok(texts)
    }
}
