//! Parses the names of instructors, and removes text that is not part of a name.

use crate::imports::csv::text::{LIST_LEN_MAX, decoded, is_unknown, text};
use crate::imports::finding_kind::FindingKind;

/// Words in parentheses that mark the role of an instructor, as Banner and other systems write them after the name.
const ROLES: [&str; 8] = ["p", "s", "primary", "secondary", "instructor", "pi", "ta", "lead"];
/// The character in place of a removed mark of a role, after which another name may follow.
const MARK: char = '\u{1}';

/// Parses the names of instructors; `None` if no instructor is named.
pub(super) fn instructor(cell: &str) -> Result<Option<String>, FindingKind> {
    if text(cell)?.is_none() {
        return Ok(None);
    }
    Ok(joined_names(&instructors(cell)))
}

/// Joins the names of instructors; `None` if there are none.
pub(super) fn joined_names(names: &[String]) -> Option<String> {
    let separator = if names.iter().any(|name| name.contains(',')) { "; " } else { ", " };
    (!names.is_empty()).then(|| names.join(separator))
}

/// Splits a cell of instructors at semicolons, line breaks and `|`. A comma separates names only if the mark of a role
/// shows that the cell is a list; otherwise it is part of a name (`Smith, Ann`). Omits text that is not a name, such as
/// numbers, usernames and email addresses, and repeated names.
pub(super) fn instructors(cell: &str) -> Vec<String> {
    let cell = without_remarks(&decoded(cell));
    let mut names: Vec<String> = Vec::new();
    for part in cell.split([';', '\n', '\r', '|']) {
        let before_mark = part.split_once(MARK).map(|(before, _)| before);
        // `Ann Smith (P), Bo Lee` beside `Smith, Ann (P), Lee, Bo`.
        let is_list = before_mark.is_some_and(|before| !before.contains(','));
        for name in part.split(|c| c == MARK || (is_list && c == ',')).filter_map(name) {
            if !names.contains(&name) && names.len() < LIST_LEN_MAX {
                names.push(name);
            }
        }
    }
    names
}

/// Removes remarks in brackets, such as `[Primary, 100%]`, and those in parentheses that are not part of a name: roles,
/// usernames, numbers and addresses. Roles become [`MARK`].
fn without_remarks(cell: &str) -> String {
    let (mut found, mut rest) = (String::new(), cell);
    while let Some(open) = rest.find(['(', '[']) {
        let close = if rest[open..].starts_with('(') { ')' } else { ']' };
        let Some(end) = rest[open..].find(close).map(|end| open + end) else { break };
        let inner = rest[open + 1..end].trim();
        let is_login = !inner.is_empty() && inner.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '.' | '_'));
        let is_no_name = close == ']' || is_login || inner.contains(|c: char| c == '@' || c.is_ascii_digit());
        found.push_str(&rest[..open]);
        if ROLES.contains(&&*inner.to_lowercase()) {
            found.push(MARK);
        } else if !is_no_name {
            found.push_str(&rest[open..=end]);
        }
        rest = &rest[end + 1..];
    }
    found + rest
}

/// Returns the name in a part of a cell of instructors, without numbers and email addresses in it.
fn name(part: &str) -> Option<String> {
    let is_part_of_name = |word: &&str| !word.contains(|c: char| c == '@' || c.is_ascii_digit());
    let words: Vec<&str> = part.split_whitespace().filter(is_part_of_name).collect();
    let name = words.join(" ").replace(" ,", ",").replace("()", "").replace("<>", "");
    let name = name.trim_matches(|c: char| c.is_whitespace() || matches!(c, ',' | '*' | '-' | '/' | '#'));
    (name.contains(char::is_alphabetic) && !is_unknown(name)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banner_marks_are_removed_and_split_instructor_lists() {
        let both = "Ann Smith ( P ), Bo Lee";
        assert_eq!(instructor(both), Ok(Some("Ann Smith, Bo Lee".into())));
        assert_eq!(instructor("Ann Smith (P)"), Ok(Some("Ann Smith".into())));
        assert_eq!(instructor("TBA"), Ok(None));
        assert_eq!(instructors(both), ["Ann Smith", "Bo Lee"]);
        assert_eq!(instructors("Smith, Ann"), ["Smith, Ann"]);
        assert_eq!(instructors("Smith, Ann; Lee, Bo"), ["Smith, Ann", "Lee, Bo"]);
    }

    #[test]
    fn only_names_are_listed_as_instructors_each_once() {
        assert_eq!(instructors("Ann Smith; 0012345; ann@college.example; Ann Smith"), ["Ann Smith"]);
        assert_eq!(instructor("Ann Smith (ann@college.example)"), Ok(Some("Ann Smith".into())));
        assert_eq!(instructor("Ann Smith\nBo Lee"), Ok(Some("Ann Smith, Bo Lee".into())));
        assert_eq!(instructor("*"), Ok(None));
        assert_eq!(instructor("4711"), Ok(None));
    }

    #[test]
    fn roles_and_logins_are_not_part_of_a_name() {
        for (cell, expected) in [
            ("Roe, Jane (jroe) [Primary, 100%]", &["Roe, Jane"][..]),
            ("Roe, Jane (jroe) [Primary, 50%]; Diaz, Ana (adiaz) [50%]", &["Roe, Jane", "Diaz, Ana"]),
            ("Roe, Jane (Primary)", &["Roe, Jane"]),
            ("Roe, Jane (P), Lee, Sam", &["Roe, Jane", "Lee, Sam"]),
            ("Robert (Bob) Ray", &["Robert (Bob) Ray"]),
            ("Jane Roe (", &["Jane Roe ("]),
        ] {
            assert_eq!(instructors(cell), expected, "{cell}");
        }
    }
}
