//! Import profiles: mappings of the columns of schedule files, saved by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::ids::ProfileName;

/// The maximum length of the title of a profile, in characters.
pub const PROFILE_TITLE_CHARS_MAX: usize = 100;
/// The maximum number of names in the header of a profile. Real exports have up to 120 columns.
pub const PROFILE_HEADER_LEN_MAX: usize = 300;
/// The maximum length of the name of a column, in characters.
pub const COLUMN_NAME_CHARS_MAX: usize = 200;
/// The maximum number of columns that a profile maps: more than there are fields.
pub const PROFILE_MAP_LEN_MAX: usize = 100;

/// A mapping of the columns of a file, saved by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportProfile {
    /// The name, which is part of the profile's address.
    pub name: ProfileName,
    /// The title for staff.
    pub title: String,
    /// The header of the files for which the profile is chosen automatically; empty if it never is. A saved profile is
    /// for files with exactly these names, a built-in one for files that have all of them.
    pub header: Vec<String>,
    /// The field of each column, by the column's name in the file, `#4` for the fourth column, or `Bldg+Room` for two
    /// columns together.
    pub map: BTreeMap<String, String>,
    /// Whether the profile is part of EduHub and cannot be changed.
    pub builtin: bool,
}

/// Which profile an import uses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ProfileChoice {
    /// The one whose header the file has, if any.
    #[default]
    Automatic,
    /// No profile.
    Nothing,
    /// The one with this name.
    Named(ProfileName),
}

impl ProfileChoice {
    /// The name that stands for no profile. No profile has it.
    pub const NOTHING: &'static str = "none";

    /// Parses the name of a profile, or [`Self::NOTHING`]; `None` if it is not a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            Self::NOTHING => Some(Self::Nothing),
            name => ProfileName::parse(name).ok().map(Self::Named),
        }
    }
}
