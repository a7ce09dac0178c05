//! The columns of the files about students, in versions 1.1 and 1.2 of the binding.

use std::collections::BTreeSet;

use crate::domain::import::Finding;
use crate::imports::roster_finding::RosterFinding;

use crate::imports::csv::oneroster::reader::EXTENSION_PREFIX;
use crate::imports::csv::oneroster::{CLASSES, COURSES, ENROLLMENTS, LINE_ITEMS, RESULTS, ROLES, SESSIONS, USERS};

/// A file of the bundle with its columns.
pub(super) struct Table {
    /// The name of the file.
    pub(super) name: &'static str,
    /// The columns without which the file cannot be read.
    required: &'static [&'static str],
    /// The other columns that the binding defines.
    optional: &'static [&'static str],
}

/// The optional columns of every file.
const COMMON: [&str; 2] = ["status", "dateLastModified"];

pub(super) const USERS_TABLE: Table = Table {
    name: USERS,
    required: &["sourcedId", "username"],
    optional: &[
        "enabledUser",
        "orgSourcedIds",
        "role",
        "userIds",
        "givenName",
        "familyName",
        "middleName",
        "identifier",
        "email",
        "sms",
        "phone",
        "agentSourcedIds",
        "grades",
        "password",
        "userMasterIdentifier",
        "resourceSourcedIds",
        "preferredGivenName",
        "preferredMiddleName",
        "preferredFamilyName",
        "primaryOrgSourcedId",
        "pronouns",
    ],
};
pub(super) const ROLES_TABLE: Table = Table {
    name: ROLES,
    required: &["sourcedId", "userSourcedId", "role"],
    optional: &["roleType", "beginDate", "endDate", "orgSourcedId", "userProfileSourcedId"],
};
pub(super) const SESSIONS_TABLE: Table = Table {
    name: SESSIONS,
    required: &["sourcedId", "title", "startDate", "endDate"],
    optional: &["type", "parentSourcedId", "schoolYear"],
};
pub(super) const COURSES_TABLE: Table = Table {
    name: COURSES,
    required: &["sourcedId", "title"],
    optional: &[
        "schoolYearSourcedId",
        "courseCode",
        "grades",
        "orgSourcedId",
        "subjects",
        "subjectCodes",
        "resourceSourcedIds",
    ],
};
pub(super) const CLASSES_TABLE: Table = Table {
    name: CLASSES,
    required: &["sourcedId", "courseSourcedId"],
    optional: &[
        "title",
        "grades",
        "classCode",
        "classType",
        "location",
        "schoolSourcedId",
        "termSourcedIds",
        "termSourcedId",
        "subjects",
        "subjectCodes",
        "periods",
        "resourceSourcedIds",
    ],
};
pub(super) const ENROLLMENTS_TABLE: Table = Table {
    name: ENROLLMENTS,
    required: &["sourcedId", "classSourcedId", "userSourcedId", "role"],
    optional: &["schoolSourcedId", "primary", "beginDate", "endDate"],
};
pub(super) const LINE_ITEMS_TABLE: Table = Table {
    name: LINE_ITEMS,
    required: &["sourcedId", "title", "classSourcedId"],
    optional: &[
        "description",
        "assignDate",
        "dueDate",
        "categorySourcedId",
        "gradingPeriodSourcedId",
        "academicSessionSourcedId",
        "schoolSourcedId",
        "scoreScaleSourcedId",
        "resultValueMin",
        "resultValueMax",
    ],
};
pub(super) const RESULTS_TABLE: Table = Table {
    name: RESULTS,
    required: &["sourcedId", "lineItemSourcedId", "studentSourcedId", "scoreStatus"],
    optional: &[
        "score",
        "textScore",
        "scoreDate",
        "comment",
        "classSourcedId",
        "scoreScaleSourcedId",
        "inProgress",
        "incomplete",
        "late",
        "missing",
    ],
};

impl Table {
    /// Returns what is wrong with the header of the file. A column with a wrong name would be read as a missing one.
    pub(super) fn problems(&self, header: &csv::StringRecord) -> Vec<Finding> {
        let file = self.name;
        let is_in = |columns: &[&str], name: &str| columns.iter().any(|known| known.eq_ignore_ascii_case(name));
        let has = |column: &str| header.iter().any(|name| name.eq_ignore_ascii_case(column));
        let missing = self.required.iter().filter(|column| !has(column));
        let mut found: Vec<RosterFinding> =
            missing.map(|column| RosterFinding::RosterNoColumn { file, column }).collect();
        let mut seen = BTreeSet::new();
        for name in header {
            let is_known = is_in(self.required, name) || is_in(self.optional, name) || is_in(&COMMON, name);
            let column = || name.chars().take(COLUMN_CHARS_MAX).collect();
            if !is_known && !name.starts_with(EXTENSION_PREFIX) {
                found.push(RosterFinding::RosterUnknownColumn { file, column: column() });
            } else if !seen.insert(name.to_ascii_lowercase()) {
                found.push(RosterFinding::RosterColumnTwice { file, column: column() });
            }
        }
        found.truncate(PROBLEMS_MAX);
        found.iter().map(|kind| kind.of_cell(1, Some(file), None)).collect()
    }
}

/// The maximum length of a column's name in a finding, in characters.
const COLUMN_CHARS_MAX: usize = 100;
/// The maximum number of findings about a header.
const PROBLEMS_MAX: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_unknown_and_repeated_columns_are_problems() {
        let problems = |names: &[&str]| -> Vec<String> {
            let found = ENROLLMENTS_TABLE.problems(&csv::StringRecord::from(names.to_vec()));
            found.into_iter().map(|finding| finding.message).collect()
        };
        let complete = ["sourcedId", "status", "CLASSSOURCEDID", "userSourcedId", "role", "metadata.sis.x"];
        assert_eq!(problems(&complete), [""; 0]);
        let found = problems(&["sourcedId", "userSourcedId", "role", "Role", "endDat"]);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[0], "enrollments.csv has no column classSourcedId");
        assert_eq!(found[1], "enrollments.csv has the column Role twice");
        assert!(found[2].starts_with("enrollments.csv has a column \"endDat\""), "{found:?}");
    }
}
