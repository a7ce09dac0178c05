//! Parses the value of a setting, from TOML or from text in the environment. Errors say what is expected; the caller
//! puts the name of the setting before them.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;

use crate::domain::section::Credits;

/// A value that is not parsed yet.
#[derive(Debug, Clone)]
pub(super) enum RawValue {
    /// From a file.
    Toml(toml::Value),
    /// From the environment.
    Text(String),
}

/// A parsed value, or what is wrong with it.
pub(super) type ValueResult<T> = Result<T, String>;

impl RawValue {
    /// Parses text, trimmed.
    pub(super) fn text(&self) -> ValueResult<String> {
        match self {
            Self::Text(text) | Self::Toml(toml::Value::String(text)) => Ok(text.trim().to_owned()),
            Self::Toml(_) => Err("must be a string".to_owned()),
        }
    }

    /// Parses a whole number within `range`.
    pub(super) fn integer<T>(&self, range: RangeInclusive<T>) -> ValueResult<T>
    where
        T: TryFrom<i64> + PartialOrd + std::fmt::Display,
    {
        let expected = || format!("must be a whole number from {} to {}", range.start(), range.end());
        let number = match self {
            Self::Toml(toml::Value::Integer(number)) => Some(*number),
            Self::Toml(_) => None,
            Self::Text(text) => text.trim().parse().ok(),
        };
        number.and_then(|n| T::try_from(n).ok()).filter(|n| range.contains(n)).ok_or_else(expected)
    }

    /// Parses `true` or `false`.
    pub(super) fn boolean(&self) -> ValueResult<bool> {
        let value = match self {
            Self::Toml(toml::Value::Boolean(value)) => Some(*value),
            Self::Toml(_) => None,
            Self::Text(text) => text.trim().parse().ok(),
        };
        value.ok_or_else(|| "must be true or false".to_owned())
    }

    /// Parses whole seconds within `range`.
    pub(super) fn seconds(&self, range: RangeInclusive<u32>) -> ValueResult<Duration> {
        Ok(Duration::from_secs(self.integer(range)?.into()))
    }

    /// Parses whole milliseconds within `range`.
    pub(super) fn milliseconds(&self, range: RangeInclusive<u32>) -> ValueResult<Duration> {
        Ok(Duration::from_millis(self.integer(range)?.into()))
    }

    /// Parses credits, such as 18 or 1.5.
    pub(super) fn credits(&self) -> ValueResult<Credits> {
        let text = match self {
            Self::Toml(toml::Value::Integer(number)) => number.to_string(),
            Self::Toml(toml::Value::Float(number)) => number.to_string(),
            Self::Toml(_) => String::new(),
            Self::Text(text) => text.trim().to_owned(),
        };
        Credits::parse(&text).ok_or_else(|| "must be a number from 0 to 1000, such as 18 or 1.5".to_owned())
    }

    /// Parses networks such as `10.0.0.0/8`, or single addresses. The text or the list may be empty.
    pub(super) fn networks(&self) -> ValueResult<Vec<IpNet>> {
        let is_empty = match self {
            Self::Text(text) | Self::Toml(toml::Value::String(text)) => text.trim().is_empty(),
            Self::Toml(value) => value.as_array().is_some_and(Vec::is_empty),
        };
        if is_empty {
            return Ok(Vec::new());
        }
        let parse = |text: &String| {
            let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| format!("{text:?} is not a network, such as \"10.0.0.0/8\" or \"192.0.2.7\""))
        };
        self.text_list()?.iter().map(parse).collect()
    }

    /// Parses one or more strings: `"a"` or `["a", "b"]` in TOML, `a,b` in the environment.
    pub(super) fn text_list(&self) -> ValueResult<Vec<String>> {
        let texts: Vec<String> = match self {
            Self::Text(text) => text.split(',').map(|t| t.trim().to_owned()).collect(),
            Self::Toml(toml::Value::String(text)) => vec![text.trim().to_owned()],
            Self::Toml(toml::Value::Array(items)) => {
                items.iter().map(|item| item.as_str().unwrap_or_default().trim().to_owned()).collect()
            }
            Self::Toml(_) => Vec::new(),
        };
        if texts.is_empty() || texts.iter().any(String::is_empty) {
            return Err("must be a string or a list of strings, such as [\"Max Enrl\"]".to_owned());
        }
        Ok(texts)
    }
}
