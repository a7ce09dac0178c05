//! Import profiles: the built-in ones for the exports of common systems, and those that staff saved.
//!
//! The built-in ones are data files in the folder `profiles` beside this file.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use crate::domain::ids::ProfileName;
use crate::domain::import_profile::{ImportProfile, ProfileChoice};
use crate::imports::schedule::{ProfileOptions, ScheduleReader};
use crate::store::StoreError;
use crate::store::import_profiles::{PROFILES_MAX, ProfileStore, PutProfile};

/// The data files of the built-in profiles, each with the profile's name.
const FILES: [(&str, &str); 10] = [
    ("banner", include_str!("profiles/banner.toml")),
    ("banner-registration", include_str!("profiles/banner-registration.toml")),
    ("banner-tables", include_str!("profiles/banner-tables.toml")),
    ("colleague", include_str!("profiles/colleague.toml")),
    ("courseleaf", include_str!("profiles/courseleaf.toml")),
    ("jenzabar", include_str!("profiles/jenzabar.toml")),
    ("peoplesoft", include_str!("profiles/peoplesoft.toml")),
    ("peoplesoft-tables", include_str!("profiles/peoplesoft-tables.toml")),
    ("unitime", include_str!("profiles/unitime.toml")),
    ("workday", include_str!("profiles/workday.toml")),
];

/// A data file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileFile {
    title: String,
    header: Vec<String>,
    map: BTreeMap<String, String>,
}

fn read_file((name, text): (&str, &str)) -> Result<ImportProfile, String> {
    let ProfileFile { title, header, map } = toml::from_str(text).map_err(|e| e.to_string())?;
    let name = ProfileName::parse(name).map_err(|e| e.to_string())?;
    Ok(ImportProfile { name, title, header, map, builtin: true })
}

/// Returns the built-in profiles, by name.
pub(in crate::imports) fn built_in() -> &'static [ImportProfile] {
    static BUILT_IN: LazyLock<Vec<ImportProfile>> = LazyLock::new(|| {
        // A test reads every file, so none is omitted.
        let mut all: Vec<_> = FILES.into_iter().filter_map(|file| read_file(file).ok()).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    });
    &BUILT_IN
}

/// Returns the built-in profile that a name refers to, without regard to case.
fn built_in_of(name: &ProfileName) -> Option<&'static ImportProfile> {
    built_in().iter().find(|profile| profile.name.as_str().eq_ignore_ascii_case(name.as_str()))
}

/// Why a profile was not stored, removed or found.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The profile is built-in.
    #[error("the profile {0} is built in")]
    BuiltIn(ProfileName),
    /// There is no profile with this name.
    #[error("there is no profile {0}")]
    Unknown(ProfileName),
    /// The name has another meaning.
    #[error("the name {} is reserved: it means that no profile is used", ProfileChoice::NOTHING)]
    Reserved,
    /// The map names an unknown field.
    #[error("{0}")]
    Map(String),
    /// There are too many profiles.
    #[error("there are already {PROFILES_MAX} saved profiles")]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The built-in and the saved profiles.
pub struct Profiles {
    store: Arc<dyn ProfileStore>,
    reader: Arc<dyn ScheduleReader>,
}

impl Profiles {
    /// Creates a list of the built-in profiles and those in the store. `reader` checks their maps.
    pub fn new(store: Arc<dyn ProfileStore>, reader: Arc<dyn ScheduleReader>) -> Self {
        Self { store, reader }
    }

    /// Returns all profiles: the saved ones, then the built-in ones, each by name.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn all(&self) -> Result<Vec<ImportProfile>, StoreError> {
        let mut all = self.store.profiles().await?;
        // A later version may add a built-in profile whose name is in use. The saved one is then no longer listed.
        all.retain(|saved| built_in_of(&saved.name).is_none());
        all.extend(built_in().iter().cloned());
        Ok(all)
    }

    /// Returns the profile with this name.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub async fn get(&self, name: &ProfileName) -> Result<ImportProfile, ProfileError> {
        let all = self.all().await?;
        all.into_iter().find(|profile| profile.name == *name).ok_or_else(|| ProfileError::Unknown(name.clone()))
    }

    /// Stores a profile. Returns whether it is new.
    ///
    /// # Errors
    /// When its name is reserved or belongs to a built-in profile, its map has an unknown field, there are too many
    /// profiles, or the store fails.
    pub async fn put(&self, profile: ImportProfile) -> Result<bool, ProfileError> {
        if let Some(known) = built_in_of(&profile.name) {
            return Err(ProfileError::BuiltIn(known.name.clone()));
        }
        if profile.name.as_str() == ProfileChoice::NOTHING {
            return Err(ProfileError::Reserved);
        }
        // Each column is checked alone, because two columns may be mapped to one field: a file has only one of them.
        for (column, field) in &profile.map {
            self.reader.check_map(&[(column.clone(), field.clone())]).map_err(ProfileError::Map)?;
        }
        match self.store.put_profile(profile).await? {
            PutProfile::Created => Ok(true),
            PutProfile::Replaced => Ok(false),
            PutProfile::Full => Err(ProfileError::TooMany),
        }
    }

    /// Removes a saved profile.
    ///
    /// # Errors
    /// When the profile is built-in or does not exist, or the store fails.
    pub async fn remove(&self, name: &ProfileName) -> Result<(), ProfileError> {
        if let Some(known) = built_in().iter().find(|profile| profile.name == *name) {
            return Err(ProfileError::BuiltIn(known.name.clone()));
        }
        if self.store.remove_profile(name).await? { Ok(()) } else { Err(ProfileError::Unknown(name.clone())) }
    }

    /// Returns the profiles from which an import with this choice selects the one for its file.
    pub(super) async fn options(&self, choice: &ProfileChoice) -> Result<ProfileOptions, ProfileError> {
        Ok(match choice {
            ProfileChoice::Automatic => ProfileOptions { named: None, automatic: self.all().await?.into() },
            ProfileChoice::Nothing => ProfileOptions::default(),
            ProfileChoice::Named(name) => {
                ProfileOptions { named: Some(self.get(name).await?), automatic: Arc::default() }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::imports::csv::CsvSchedules;

    #[test]
    fn every_built_in_profile_is_readable_and_maps_known_fields() {
        let reader = CsvSchedules::default();
        for file in FILES {
            let profile = read_file(file).unwrap_or_else(|error| panic!("{}: {error}", file.0));
            assert!(!profile.header.is_empty() && !profile.title.is_empty(), "{}", file.0);
            for (column, field) in &profile.map {
                reader.check_map(&[(column.clone(), field.clone())]).unwrap_or_else(|e| panic!("{}: {e}", file.0));
            }
        }
        assert_eq!(built_in().len(), FILES.len());
    }

    #[test]
    fn names_of_built_in_profiles_are_found_in_any_case() {
        let name = |text| ProfileName::parse(text).unwrap();
        assert!(built_in_of(&name("Banner")).is_some());
        assert!(built_in_of(&name("our-banner")).is_none());
    }
}
