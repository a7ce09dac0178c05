//! Lists of objects, and numbers of credits, in request bodies.

use std::ops::RangeInclusive;

use serde_json::Value;

use crate::domain::section::Credits;
use crate::http::body::{Fields, missing, read_list, read_object, read_string, wrong_type};
use crate::http::error::Problem;

impl Fields {
    /// Reads a list of at most `count_max` objects with `read`; `None` when it is absent or null. Members of an object
    /// that `read` does not read are rejected.
    pub fn maybe_objects<T>(
        &mut self,
        name: &str,
        count_max: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, Problem>,
    ) -> Result<Option<Vec<T>>, Problem> {
        let at = self.at(name);
        let items = match self.members.remove(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => read_list(&at, value, count_max)?,
        };
        let objects = items.into_iter().enumerate().map(|(index, item)| {
            let mut object = read_object(&format!("{at}[{index}]"), item)?;
            let value = read(&mut object)?;
            object.finish()?;
            Ok(value)
        });
        objects.collect::<Result<_, _>>().map(Some)
    }

    /// Reads a list of at most `count_max` entries, each of which is text with a length in characters within `chars`,
    /// or an object. Members of an object that `of_object` does not read are rejected.
    pub fn texts_or_objects<T>(
        &mut self,
        name: &str,
        count_max: usize,
        chars: RangeInclusive<usize>,
        of_text: impl FnMut(String) -> T,
        of_object: impl FnMut(&mut Self) -> Result<T, Problem>,
    ) -> Result<Vec<T>, Problem> {
        let entries = self.maybe_texts_or_objects(name, count_max, chars, of_text, of_object)?;
        entries.ok_or_else(|| missing(&self.at(name)))
    }

    /// Reads a list as [`Self::texts_or_objects`] does; `None` when it is absent or null.
    pub fn maybe_texts_or_objects<T>(
        &mut self,
        name: &str,
        count_max: usize,
        chars: RangeInclusive<usize>,
        mut of_text: impl FnMut(String) -> T,
        mut of_object: impl FnMut(&mut Self) -> Result<T, Problem>,
    ) -> Result<Option<Vec<T>>, Problem> {
        let at = self.at(name);
        let items = match self.members.remove(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => read_list(&at, value, count_max)?,
        };
        let entries = items.into_iter().enumerate().map(|(index, item)| {
            let at = format!("{at}[{index}]");
            match item {
                Value::String(_) => read_string(&at, item, chars.clone()).map(&mut of_text),
                Value::Object(_) => {
                    let mut object = read_object(&at, item)?;
                    let value = of_object(&mut object)?;
                    object.finish()?;
                    Ok(value)
                }
                other => Err(wrong_type(&at, "text or an object", &other)),
            }
        });
        entries.collect::<Result<_, _>>().map(Some)
    }

    /// Reads a number of credits; `None` when it is absent or null.
    pub fn maybe_credits(&mut self, name: &str) -> Result<Option<Credits>, Problem> {
        let at = self.at(name);
        let value = match self.members.remove(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => value,
        };
        if !value.is_number() {
            return Err(wrong_type(&at, "a number", &value));
        }
        let most = Credits::MAX.as_f64();
        let credits = serde_json::from_value(value);
        credits.map(Some).map_err(|_| Problem::invalid(&at, format!("{at} must be between 0 and {most}.")))
    }

    /// Returns the name of a member with the path to it, such as `holds[0].text`.
    pub fn path_of(&self, name: &str) -> String {
        self.at(name)
    }
}
