//! Chooses the profile for a file, and adds its mapping to that of the upload.

use std::collections::BTreeSet;

use crate::domain::import_profile::ImportProfile;

use crate::imports::csv::columns::{Column, ExtraNames, normalized, resolve};

/// A header, and the profile for files with this header.
pub(super) struct Recognized<'p> {
    pub(super) profile: &'p ImportProfile,
    /// The index of the row, or of the second of two rows.
    pub(super) row: usize,
    /// The number of rows that form the header: 1 or 2.
    pub(super) rows: usize,
    pub(super) names: Vec<String>,
}

/// Returns the first header that matches a saved profile, otherwise the first that matches a built-in one. `headers`
/// are the possible headers of a file: the index of their last row, their number of rows, their names.
pub(super) fn recognize<'p>(
    profiles: &'p [ImportProfile],
    headers: impl Iterator<Item = (usize, usize, Vec<String>)>,
) -> Option<Recognized<'p>> {
    if profiles.is_empty() {
        return None;
    }
    let mut built_in = None;
    for (row, rows, names) in headers {
        let comparable: Vec<String> = names.iter().map(|name| normalized(name)).collect();
        let find = |builtin: bool| {
            let fits = |p: &&ImportProfile| p.builtin == builtin && is_for(p, &comparable);
            profiles.iter().filter(fits).max_by_key(|profile| profile.header.len())
        };
        if let Some(profile) = find(false) {
            return Some(Recognized { profile, row, rows, names });
        }
        if built_in.is_none() {
            built_in = find(true).map(|profile| Recognized { profile, row, rows, names });
        }
    }
    built_in
}

/// Returns whether a profile is for files with these names, which are normalized.
fn is_for(profile: &ImportProfile, names: &[String]) -> bool {
    let own: Vec<String> = profile.header.iter().map(|name| normalized(name)).collect();
    let known = |names: &[String]| -> Vec<String> { names.iter().filter(|name| !name.is_empty()).cloned().collect() };
    if known(&own).is_empty() {
        return false;
    }
    if profile.builtin {
        return own.iter().all(|name| names.contains(name));
    }
    // The order counts if a column is mapped by number. Blank columns at the end do not count.
    if profile.map.keys().any(|name| name.contains('#')) {
        let in_order = |names: &[String]| {
            let len = names.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
            names[..len].to_vec()
        };
        return in_order(&own) == in_order(names);
    }
    let sorted = |names: &[String]| {
        let mut names = known(names);
        names.sort_unstable();
        names
    };
    sorted(&own) == sorted(names)
}

/// Returns the mapping of the upload, followed by those entries of a profile for which the file has columns and which
/// the upload does not decide.
pub(super) fn merged(
    map: &[(String, Column)],
    profile: Option<&ImportProfile>,
    extra: &ExtraNames,
    names: &[String],
) -> Vec<(String, Column)> {
    let mut all = map.to_vec();
    let Some(profile) = profile else { return all };
    let names: Vec<String> = names.iter().map(|name| normalized(name)).collect();
    let mut used: BTreeSet<usize> = map.iter().filter_map(|(name, _)| resolve(name, &names)).flatten().collect();
    let mut entries: Vec<(Vec<usize>, &String, Column)> = profile
        .map
        .iter()
        .filter_map(|(name, field)| Some((resolve(name, &names)?, name, Column::parse(field)?)))
        // The college's own names take precedence over a built-in profile.
        .filter(|(_, name, _)| !(profile.builtin && extra.contains_key(&normalized(name))))
        .collect();
    // If two columns map to one field, the first in the file gets it.
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    for (columns, name, field) in entries {
        let is_decided = field != Column::Ignored && all.iter().any(|(_, other)| *other == field);
        if !is_decided && columns.iter().all(|index| !used.contains(index)) {
            used.extend(columns);
            all.push((name.clone(), field));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::domain::ids::ProfileName;

    fn profile(name: &str, header: &str, map: &[(&str, &str)], builtin: bool) -> ImportProfile {
        ImportProfile {
            name: ProfileName::parse(name).unwrap(),
            title: name.to_owned(),
            header: header.split(',').map(str::to_owned).collect(),
            map: map.iter().map(|(column, field)| ((*column).to_owned(), (*field).to_owned())).collect(),
            builtin,
        }
    }

    fn names(header: &str) -> Vec<String> {
        header.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn profiles_are_chosen_by_the_names_of_the_header() {
        let profiles = [
            profile("system", "CRN,Places", &[("Places", "capacity")], true),
            profile("own", "crn,Course,Places", &[("places", "capacity")], false),
            profile("by-number", "a,b,c", &[("#2", "capacity")], false),
            profile("never", "", &[("x", "capacity")], false),
        ];
        let table = [
            ("CRN,places,title", Some("system")),
            ("C_R_N,COURSE,Pla ces", Some("own")),
            ("places,course,crn", Some("own")),
            ("places,course,crn,,", Some("own")),
            ("crn,course,places,extra", Some("system")),
            ("crn,course", None),
            ("A,B,C", Some("by-number")),
            ("A,B,C,,", Some("by-number")),
            ("b,a,c", None),
            ("", None),
        ];
        for (header, expected) in table {
            let found = recognize(&profiles, [(0, 1, names(header))].into_iter());
            assert_eq!(found.map(|found| found.profile.name.as_str()), expected, "{header}");
        }
        // A saved profile takes precedence over a built-in one that matches a row above.
        let rows = [(0, 1, names("crn,places")), (3, 1, names("crn,course,places"))];
        let found = recognize(&profiles, rows.into_iter()).unwrap();
        assert_eq!((found.profile.name.as_str(), found.row), ("own", 3));
    }

    #[test]
    fn the_upload_takes_precedence_over_the_profile() {
        let own = profile(
            "own",
            "n",
            &[("Nr", "crn"), ("Places", "capacity"), ("Long", "title"), ("Short", "title"), ("Gone", "days")],
            false,
        );
        let header = names("Nr,Long,Short,Places,Room");
        let merge = |map: &[(&str, Column)], extra: &ExtraNames, profile: &ImportProfile| {
            let map: Vec<_> = map.iter().map(|(name, column)| ((*name).to_owned(), *column)).collect();
            let all = merged(&map, Some(profile), extra, &header);
            all.iter().map(|(name, column)| format!("{name}:{}", column.names()[0])).collect::<Vec<_>>().join(" ")
        };
        let none = ExtraNames::new();
        assert_eq!(merge(&[], &none, &own), "Nr:crn Long:title Places:capacity");
        assert_eq!(merge(&[("#5", Column::Capacity)], &none, &own), "#5:capacity Nr:crn Long:title");
        assert_eq!(merge(&[("#4", Column::Room)], &none, &own), "#4:room Nr:crn Long:title");
        let both = [("long", Column::Ignored), ("#1", Column::Ignored)];
        assert_eq!(merge(&both, &none, &own), "long:ignore #1:ignore Short:title Places:capacity");
        let extra = ExtraNames::from([(normalized("Places"), Column::Enrolled)]);
        let built_in = ImportProfile { builtin: true, ..own };
        assert_eq!(merge(&[], &extra, &built_in), "Nr:crn Long:title");
    }
}
