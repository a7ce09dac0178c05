//! Writes the OneRoster bundle of a term: its sections that are not cancelled, and the students who are enrolled in
//! them.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom};

use jiff::ToSpan;
use jiff::civil::Date;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::domain::ids::UserName;
use crate::domain::meeting::hour_minute_text;
use crate::domain::registration::RegistrationStatus;
use crate::domain::section::{Section, SectionState};
use crate::imports::csv::export::day_letters;
use crate::registration::readmodel::{Snapshot, TermModel};
use crate::text::csv_text::escape_cell;

use crate::imports::csv::oneroster::ids::{meeting_text, sourced_id};
use crate::imports::csv::oneroster::{
    CLASSES, COURSES, ENROLLMENTS, MANIFEST, MEETINGS, OWN_COLUMNS, OWN_PREFIX, ROLES, SESSIONS, USERS,
};

/// The file of organizations.
const ORGS: &str = "orgs.csv";
/// The identifier of the college among the organizations.
const COLLEGE: &str = "college";
/// The month in which a school year begins. A school year is named after the calendar year in which it ends.
const SCHOOL_YEAR_BEGINS: i8 = 7;

/// The files that the binding defines, in its order, and whether they are in the bundle.
const FILES: [(&str, bool); 21] = [
    ("academicSessions", true),
    ("categories", false),
    ("classes", true),
    ("classResources", false),
    ("courses", true),
    ("courseResources", false),
    ("demographics", false),
    ("enrollments", true),
    ("lineItemLearningObjectiveIds", false),
    ("lineItems", false),
    ("lineItemScoreScales", false),
    ("orgs", true),
    ("resources", false),
    ("resultLearningObjectiveIds", false),
    ("results", false),
    ("resultScoreScales", false),
    ("roles", true),
    ("scoreScales", false),
    ("userProfiles", false),
    ("userResources", false),
    ("users", true),
];

/// A student who is enrolled in a section of the term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolledStudent {
    /// The username.
    pub user: UserName,
    /// The display name, if the hub knows one.
    pub name: Option<String>,
}

/// A term as a bundle.
pub struct TermBundle<'t> {
    /// The name of the college.
    pub college: &'t str,
    /// The term.
    pub model: &'t TermModel,
    /// The sections of the term.
    pub snapshot: &'t Snapshot,
    /// The students who are enrolled, by username.
    pub students: &'t [EnrolledStudent],
    /// First and last day of teaching; see [`days_of`].
    pub days: (Date, Date),
}

/// Returns the first and the last day of a term: those of the term itself, or otherwise those of its meetings. `None` if
/// one of them is not known, or the first is after the last.
#[must_use]
pub fn days_of(snapshot: &Snapshot) -> Option<(Date, Date)> {
    let meetings = || snapshot.rows().flat_map(|row| &row.state.section.meetings);
    let first = snapshot.term.starts_on.or_else(|| meetings().filter_map(|meeting| meeting.starts_on).min())?;
    let last = snapshot.term.ends_on.or_else(|| meetings().filter_map(|meeting| meeting.ends_on).max())?;
    (first <= last).then_some((first, last))
}

type Archive = ZipWriter<BufWriter<File>>;

impl TermBundle<'_> {
    /// Writes the bundle into an empty file, and rewinds it. Memory does not grow with the term.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, out: File) -> io::Result<File> {
        let mut archive = ZipWriter::new(BufWriter::new(out));
        self.manifest(&mut archive)?;
        self.sessions(&mut archive)?;
        table(&mut archive, ORGS, "name,type,identifier,parentSourcedId", |rows| {
            rows.row(COLLEGE, &[self.college, "school", "", ""])
        })?;
        self.courses(&mut archive)?;
        self.classes(&mut archive)?;
        self.people(&mut archive)?;
        self.enrollments(&mut archive)?;
        let mut file = archive.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }

    /// Returns the sections that are not cancelled, ordered by course.
    fn taught(&self) -> impl Iterator<Item = &SectionState> {
        self.snapshot.rows_in_order().map(|row| &row.state).filter(|state| !state.is_cancelled())
    }

    fn manifest(&self, archive: &mut Archive) -> io::Result<()> {
        archive.start_file(MANIFEST, options())?;
        let mut out = csv_writer(archive);
        out.write_record(["propertyName", "value"])?;
        out.write_record(["manifest.version", "1.0"])?;
        out.write_record(["oneroster.version", "1.2"])?;
        for (name, is_in_bundle) in FILES {
            out.write_record([format!("file.{name}").as_str(), if is_in_bundle { "bulk" } else { "absent" }])?;
        }
        out.write_record(["source.systemName", "EduHub"])?;
        out.write_record(["source.systemCode", &escape_cell(self.college)])?;
        out.flush()
    }

    fn sessions(&self, archive: &mut Archive) -> io::Result<()> {
        let (first, last) = self.days;
        // In OneRoster, the end date of a session is the day after its last day.
        let end = last.checked_add(1.day()).unwrap_or(last);
        let year = first.year() + i16::from(first.month() >= SCHOOL_YEAR_BEGINS);
        let term = &self.snapshot.term;
        table(archive, SESSIONS, "title,type,startDate,endDate,parentSourcedId,schoolYear", |rows| {
            let cells = [&*term.title, "term", &first.to_string(), &end.to_string(), "", &format!("{year:04}")];
            rows.row(term.id.as_str(), &cells)
        })
    }

    fn courses(&self, archive: &mut Archive) -> io::Result<()> {
        table(
            archive,
            COURSES,
            "schoolYearSourcedId,title,courseCode,grades,orgSourcedId,subjects,subjectCodes",
            |rows| {
                let mut last = None;
                for section in self.taught().map(|state| &*state.section) {
                    if last.replace(&section.course) != Some(&section.course) {
                        let title = section.title.as_ref().unwrap_or(&section.course);
                        rows.row(
                            &course_id(section),
                            &["", title, &section.course, "", COLLEGE, section.subject(), ""],
                        )?;
                    }
                }
                Ok(())
            },
        )
    }

    fn classes(&self, archive: &mut Archive) -> io::Result<()> {
        let own = OWN_COLUMNS.iter().chain([&MEETINGS]).map(|name| format!(",{OWN_PREFIX}{name}")).collect::<String>();
        let columns = "title,grades,courseSourcedId,classCode,classType,location,schoolSourcedId,termSourcedIds,subjects,\
                       subjectCodes,periods";
        table(archive, CLASSES, &format!("{columns}{own}"), |rows| {
            self.taught().try_for_each(|state| rows.row(&state.section.id.to_string(), &class_cells(state)))
        })
    }

    fn people(&self, archive: &mut Archive) -> io::Result<()> {
        let columns = "enabledUser,username,userIds,givenName,familyName,middleName,identifier,email,sms,phone,\
                       agentSourcedIds,grades,password,userMasterIdentifier,preferredGivenName,preferredMiddleName,\
                       preferredFamilyName,primaryOrgSourcedId,pronouns";
        table(archive, USERS, columns, |rows| {
            self.students.iter().try_for_each(|EnrolledStudent { user, name }| {
                let (given, family) = names(name.as_deref().unwrap_or(user.as_str()));
                let known = ["true", user.as_str(), "", given, family];
                let cells = known.into_iter().chain([""; 12]).chain([COLLEGE, ""]).collect::<Vec<_>>();
                rows.row(&sourced_id("user", user.as_str()), &cells)
            })
        })?;
        table(
            archive,
            ROLES,
            "userSourcedId,roleType,role,beginDate,endDate,orgSourcedId,userProfileSourcedId",
            |rows| {
                self.students.iter().try_for_each(|EnrolledStudent { user, .. }| {
                    let id = sourced_id("user", user.as_str());
                    rows.row(&format!("student/{id}"), &[&id, "primary", "student", "", "", COLLEGE, ""])
                })
            },
        )
    }

    fn enrollments(&self, archive: &mut Archive) -> io::Result<()> {
        table(
            archive,
            ENROLLMENTS,
            "classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate",
            |rows| {
                for EnrolledStudent { user, .. } in self.students {
                    let registrations = self.model.registrations(user);
                    let enrolled = registrations.iter().flat_map(|all| all.iter());
                    let enrolled = enrolled.filter(|one| one.status == RegistrationStatus::Enrolled);
                    // The section may have been cancelled, or be newer than the list of sections.
                    let sections = enrolled.filter_map(|one| self.snapshot.row(&one.crn));
                    let student = sourced_id("user", user.as_str());
                    for section in sections.filter(|row| !row.state.is_cancelled()) {
                        let class = section.state.section.id.to_string();
                        let cells = [&class, COLLEGE, &student, "student", "false", "", ""];
                        rows.row(&format!("{class}/{student}"), &cells)?;
                    }
                }
                Ok(())
            },
        )
    }
}

fn course_id(section: &Section) -> String {
    sourced_id("course", &section.course)
}

/// Returns the cells of a section after `sourcedId`, `status` and `dateLastModified`.
fn class_cells(state: &SectionState) -> Vec<String> {
    let section = &*state.section;
    let maybe = |text: &Option<Box<str>>| text.as_deref().unwrap_or_default().to_owned();
    let mut locations: Vec<&str> = Vec::new();
    for location in section.meetings.iter().filter_map(|meeting| meeting.location.as_deref()) {
        if !locations.contains(&location) {
            locations.push(location);
        }
    }
    let period = |(days, start, end): (String, String, String)| format!("{days} {start}-{end}").trim().to_owned();
    let periods = section.meetings.iter().filter_map(|meeting| {
        let (start, end) = meeting.start.zip(meeting.end)?;
        Some(period((day_letters(meeting.days), hour_minute_text(start), hour_minute_text(end))))
    });
    let mut cells = vec![
        section.title.as_ref().unwrap_or(&section.course).to_string(),
        String::new(),
        course_id(section),
        section.crn_text().to_owned(),
        "scheduled".to_owned(),
        locations.join("; "),
        COLLEGE.to_owned(),
        section.id.term.to_string(),
        section.subject().to_owned(),
        String::new(),
        periods.collect::<Vec<_>>().join(","),
    ];
    // In the order of `OWN_COLUMNS`.
    cells.extend([
        maybe(&section.section),
        section.component.to_string(),
        section.credits.as_f64().to_string(),
        maybe(&section.instructor),
        maybe(&section.method),
        maybe(&section.campus),
        section.capacity.to_string(),
        section.waitlist_capacity.to_string(),
    ]);
    cells.push(section.meetings.iter().map(meeting_text).collect::<Vec<_>>().join(";"));
    cells
}

/// Splits a display name into given and family name, both of which OneRoster requires. The hub does not store them separately:
/// the last word, or what precedes a comma, is taken as the family name. A single word is both.
fn names(name: &str) -> (&str, &str) {
    let split = match name.split_once(',') {
        Some((family, given)) => (given.trim(), family.trim()),
        None => name.trim().rsplit_once(' ').map_or((name.trim(), ""), |(given, family)| (given.trim(), family)),
    };
    match split {
        ("", only) | (only, "") => (only, only),
        both => both,
    }
}

fn options() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)
}

/// Returns a writer of CSV as RFC 4180 describes it, which the binding requires.
fn csv_writer(archive: &mut Archive) -> csv::Writer<&mut Archive> {
    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(archive)
}

/// The rows of a file.
struct Rows<'a>(csv::Writer<&'a mut Archive>);

impl Rows<'_> {
    /// Writes a row. `status` and `dateLastModified` are empty, because the bundle is complete ("bulk").
    fn row<S: AsRef<str>>(&mut self, id: &str, cells: &[S]) -> io::Result<()> {
        let all = [id, "", ""].into_iter().chain(cells.iter().map(AsRef::as_ref));
        Ok(self.0.write_record(all.map(|cell| escape_cell(cell).into_owned()))?)
    }
}

/// Writes a file. `columns` follow those that every file has.
fn table(
    archive: &mut Archive,
    name: &str,
    columns: &str,
    write: impl FnOnce(&mut Rows<'_>) -> io::Result<()>,
) -> io::Result<()> {
    archive.start_file(name, options())?;
    let mut rows = Rows(csv_writer(archive));
    let common = ["sourcedId", "status", "dateLastModified"];
    rows.0.write_record(common.into_iter().chain(columns.split(',')))?;
    write(&mut rows)?;
    rows.0.flush()
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn display_names_have_a_given_and_a_family_name() {
        let table = [
            ("Ann Lee", ("Ann", "Lee")),
            ("Ann Marie Lee", ("Ann Marie", "Lee")),
            ("Lee, Ann Marie", ("Ann Marie", "Lee")),
            ("Zoë", ("Zoë", "Zoë")),
            ("Lee,", ("Lee", "Lee")),
        ];
        for (name, expected) in table {
            assert_eq!(names(name), expected, "{name}");
        }
    }
}
