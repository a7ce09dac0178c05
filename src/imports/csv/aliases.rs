//! Further names of columns, as they are found in public schedules of colleges. `names` has the common ones.

use crate::imports::csv::names::Column;

/// Further names of each column, separated by `|`.
const ALIASES: [(Column, &str); 105] = [
    (Column::Term, "term desc | term name | yrtr | acad term | semester code"),
    (Column::Crn, "comp numb | crn number | class nmbr | class num | course ref no | index number | call no"),
    (
        Column::Subject,
        "subj code | subject abbreviation | subject cd | sbjct | course subject | subj abbr | course prefix",
    ),
    (Column::Subject, "class program code | subject name | course subj"),
    (Column::Number, "course nbr | course numb | crse numb | crse num | crse number | crs num | crs no | crs number"),
    (Column::Number, "catalog num | cat number | cat no | cat nbr | cat num | course catalog number"),
    (Column::Course, "course name and number | subject course | subj crse | subj crs | subject and number"),
    (Column::Course, "course prefix and number"),
    (
        Column::Section,
        "course sec no | sec id | sec number | sect number | sec nbr | sec num | sect no | section num | section code | seq numb",
    ),
    (Column::Section, "sctn | scn | course section number"),
    (
        Column::Title,
        "crse title | section short title | crs title | course long title | course short title | title topic",
    ),
    (
        Column::Credits,
        "crdt | crs hrs | credit hour | cr | min cred | min cr | semester hours | units credits | crd hrs",
    ),
    (
        Column::Credits,
        "minimum units | minimum credits | stc cred | units min | cr hr | cred hrs | credit hr | unit | hrs credit | credit units",
    ),
    (Column::Instructor, "instr | instructor full name | instructor name s | primary instructor name | faculty name"),
    (
        Column::Instructor,
        "faculty info | taught by | professors | teachers | instructor of record | all instructors | lecturer",
    ),
    (
        Column::Capacity,
        "cls max | class max | sec max | section max | maximum | max cap | max capacity | maximum capacity",
    ),
    (
        Column::Capacity,
        "enrollment cap | enroll max | enroll limit | enrl limit | enr max | enr cap | enr limit | class cap",
    ),
    (
        Column::Capacity,
        "enrollment max cap | seat max | student max | max class size | class size | section size | class limit | class enrl cap | course cap | course capacity | course limit | course max",
    ),
    (Column::Capacity, "section limit | section size limit | size limit | seat limit | seat capacity | seats total"),
    (Column::Capacity, "number of seats | no of seats | num seats | seat count | seat cap | cap limit | enr maximum"),
    (
        Column::Instructor,
        "prof | faculty member | faculty members | instructor last first | instructor name last first",
    ),
    (Column::Location, "loc | class room | rm bldg | room bldg | bldg rm number | building room number"),
    (Column::DateRange, "dates start end | start stop dates"),
    (Column::Time, "start stop | start stop time | times days | time days"),
    (Column::Capacity, "seats offered | total capacity | max enrolled | max enr | maximum enrolled | maximum enrl"),
    (Column::Capacity, "enrollment max | enrollment ceiling | max seat | max stu | max students allowed | sec cap"),
    (Column::Capacity, "enrolled capacity | enrolled max | act max | act cap | available capacity | open capacity"),
    (Column::Capacity, "seats available capacity | avail max | enrolled limit | enrollment limits | seats max"),
    (
        Column::Enrolled,
        "enrl | enr | enroll | enrollment actual | actual enroll | actual enrl | actual enrolled | act enrl",
    ),
    (
        Column::Enrolled,
        "total students | stu enrolled | enrollments | enrollment count | current enrl | current enroll | current enrolled | students | total enrl | total enrolled",
    ),
    (Column::Enrolled, "total enroll | class enrl tot | enrollment total | enrl total | registered | seats taken"),
    (Column::Enrolled, "seats filled | filled | number enrolled | no enrolled | enrolled total | students registered"),
    (Column::Enrolled, "enrollment current | reg"),
    (Column::WaitlistCapacity, "wait capacity | wl max | wait max | class wait cap | waitlist limit | waitlist size"),
    (Column::Waitlisted, "waitlist count | wait list count | waitlist enrollment | class wait tot | waitlist enrolled"),
    (Column::Waitlisted, "wait count | on waitlist | students waitlisted | wl tot | wl count"),
    (Column::Available, "remaining | avail | available | available seats | avail seats | open seats | seats open"),
    (
        Column::Available,
        "seats avail | seats left | seats rem | seats remaining | remaining seats | rem seats | seats free",
    ),
    (Column::Available, "openings"),
    (Column::Days, "pat | mtg pat | day of week | days of week | days of the week | meeting day | days met | meets"),
    (Column::Days, "days offered | standard mtg pat | class meeting days"),
    (Column::Time, "hours of day | time range | days and times s"),
    (
        Column::Time,
        "section meeting patterns | meeting days and times | meeting days times | meeting times and locations",
    ),
    (Column::Time, "days times location | scheduled meetings | date time | meet time | class times | start end time"),
    (Column::Time, "start time end time | time start end | schedule info | timecodes"),
    (
        Column::StartTime,
        "start tm | begin tm | begin tim | st time | time from | time begin | time in | meeting time start | start hour",
    ),
    (Column::StartTime, "begin hour | meeting begin time | class start time | course start time | meeting start time"),
    (Column::StartTime, "time of start"),
    (
        Column::EndTime,
        "end tim | end tm | time to | time out | meeting time end | end hour | class end time | course end time",
    ),
    (Column::EndTime, "meeting end time | time of end"),
    (Column::DateRange, "from to | start end dates | start and end dates | start date to end date | session dates"),
    (Column::DateRange, "meeting date range | section dates | course dates | start end | date span | dates of class"),
    (Column::DateRange, "term dates"),
    (
        Column::Start,
        "begin | begins on | beg date | beg dt | date start | starts | sect start | start dt | mtg start date",
    ),
    (Column::Start, "meeting start date | course start date | session start date | session start | dates start"),
    (Column::End, "ends on | date end | finish date | end dt | mtg end date | meeting end date | course end date"),
    (Column::End, "session end date | session end | dates end | last class"),
    (Column::Location, "facil id | facility code | facility name | class location | meeting location"),
    (
        Column::Location,
        "meeting place | bldg rm | bldg and room | building and room | building room s | bldg room number",
    ),
    (Column::Location, "place | locations | location s | room location"),
    (
        Column::Component,
        "cmp | cmpnt | comp | section component | instr type | schedule type desc | schedule type code",
    ),
    (Column::Component, "sched type | sch type | lec lab | class component | ssr comp | instructional type"),
    (Column::Method, "instr mode | instr method | inst method | instruction mode description | instructional mode"),
    (Column::Method, "instructional methods | delivery type | teaching method | course delivery | course modality"),
    (Column::Method, "class mode | learning mode | instruction delivery | method of instruction | insm"),
    (Column::Campus, "campus desc | campus description | camp | camp code | campus location | site"),
    (
        Column::Status,
        "ssts | ssts code | sect status | section stat | section sts | sts | stat | class status desc | open closed",
    ),
    (Column::Status, "course stat"),
    (
        Column::Building,
        "bldg desc | bldg name | bldg cd | meeting building | bld | building desc | building description",
    ),
    (
        Column::Room,
        "rooms | room s | room cde | rm number | rm no | rm code | room nbr | room num | room id | meeting room | room name | rm num",
    ),
    (Column::FirstName, "instructor fname | instr first name | faculty first name | first | fname"),
    (Column::LastName, "instructor lname | instr last name | faculty last name | last | lname"),
    (
        Column::CrossListed,
        "xlisted | combined | comb sect | xlist group | xl | xlistings | sec xlist | cross list code | xlst",
    ),
    (Column::CrossListed, "xlist code | cross lst"),
    (Column::Term, "trm cde | term cde | academic year term | session code term | reporting term | section term"),
    (Column::Course, "crs cde | crs code | course section code | course subject and number | course name number"),
    (Column::Title, "course description title | event title | crs title | class name"),
    (
        Column::Capacity,
        "max enrolls | crs capacity | crs cap | expected headcount | expected head count | max registered",
    ),
    (Column::Capacity, "max registration | registration cap | registration max | student capacity"),
    (
        Column::Enrolled,
        "registered students | number registered | registered headcount | registered head count | crs enrollment",
    ),
    (
        Column::Enrolled,
        "active student | active student count | students enrolled count | cur enr | cur enrl | curr enrl | curr enr | enrolled count | reg students",
    ),
    (Column::Waitlisted, "wait listed | waitlisted students | waiting | students waiting"),
    (Column::Days, "days cde | meeting days of week | day s met | days of meeting"),
    (Column::Start, "from | begin dte"),
    (Column::End, "to | until | stop | finish | end dte"),
    (Column::Building, "bldg cde | building cde"),
    (
        Column::CrossListedCapacity,
        "xl cap | comb cap | xl capacity | combined cap | combined capacity | comb enrl cap | cross list cap",
    ),
    // Spanish.
    (Column::Term, "período | periodo | semestre"),
    (Column::Crn, "nrc"),
    (Column::Subject, "materia | asignatura"),
    (Column::Course, "curso | código del curso | clave"),
    (Column::Section, "sección | seccion | grupo"),
    (Column::Title, "título | titulo | nombre del curso | nombre de la materia"),
    (Column::Credits, "créditos | creditos"),
    (Column::Capacity, "cupo | cupo máximo | capacidad"),
    (Column::Enrolled, "inscritos | matriculados | matrícula"),
    (Column::Available, "disponibles | cupos disponibles"),
    (Column::Days, "días | dias"),
    (Column::Time, "hora | horario | horas"),
    (Column::StartTime, "hora de inicio | hora inicio | inicio"),
    (Column::EndTime, "hora de fin | hora fin | hora final | fin"),
    (Column::Location, "salón | salon | aula"),
    (Column::Building, "edificio"),
    (Column::Instructor, "profesor | docente | profesora"),
    (Column::Status, "estado | estatus"),
];

/// Further names with several meanings; see [`WEAK_NAMES`](crate::imports::csv::names::WEAK_NAMES).
pub(super) const WEAK_ALIASES: [(&str, Column); 37] = [
    ("course section", Column::Course),
    ("course section", Column::Section),
    ("section name and title", Column::Course),
    ("section listing", Column::Course),
    ("section id", Column::Crn),
    ("reference number", Column::Crn),
    ("ref number", Column::Crn),
    ("ref num", Column::Crn),
    ("ref no", Column::Crn),
    ("class", Column::Section),
    ("course desc", Column::Title),
    ("class descr", Column::Title),
    ("meeting info", Column::Time),
    ("meeting information", Column::Time),
    ("meeting details", Column::Time),
    ("schedule info", Column::Time),
    ("enrollment status", Column::Status),
    ("enrl status", Column::Status),
    ("enrl stat", Column::Status),
    ("sec name", Column::Course),
    ("class description", Column::Title),
    ("dept code", Column::Subject),
    ("department code", Column::Subject),
    ("now", Column::Enrolled),
    ("open", Column::Available),
    ("format", Column::Component),
    ("event name", Column::Course),
    ("external id", Column::Crn),
    ("group", Column::Section),
    ("wait", Column::Waitlisted),
    ("waiting list", Column::Waitlisted),
    ("course description", Column::Title),
    ("headcount", Column::Enrolled),
    ("item number", Column::Crn),
    ("item no", Column::Crn),
    ("ticket number", Column::Crn),
    ("hrs", Column::Credits),
];

/// Names of tables with which databases prefix the names of columns, and words with which reports do.
const PREFIXES: [&str; 10] =
    ["ssbsect", "ssrmeet", "scbcrse", "csm", "sec", "section", "meeting", "mtg", "course", "class"];

/// Returns each name with its column.
pub(super) fn aliases() -> impl Iterator<Item = (&'static str, Column)> {
    ALIASES.iter().flat_map(|(column, names)| names.split('|').map(|name| (name.trim(), *column)))
}

/// Removes the name of a table from a normalized name, such as that of `SEC_CAPACITY`; `None` if it has none, or if the
/// rest has several meanings.
pub(super) fn without_prefix(normalized_name: &str) -> Option<&str> {
    let rest = PREFIXES.iter().find_map(|prefix| normalized_name.strip_prefix(prefix))?;
    // `Course Section` and `Class Description` have several meanings.
    (!rest.is_empty() && !["section", "description"].contains(&rest)).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imports::csv::names::{COLUMNS, normalized};

    #[test]
    fn each_name_has_one_meaning() {
        let known = COLUMNS.iter().flat_map(|(column, names)| names.iter().map(|name| (*name, *column)));
        let mut seen = std::collections::BTreeMap::new();
        for (name, column) in known.chain(aliases()) {
            let before = seen.insert(normalized(name), column);
            assert!(before.is_none_or(|other| other == column), "{name:?}: {before:?} and {column:?}");
        }
    }

    #[test]
    fn names_of_databases_and_numbers_are_recognized() {
        let table = [
            ("SEC_CAPACITY", Some(Column::Capacity)),
            ("SEC_SYNONYM", Some(Column::Crn)),
            ("CSM_START_TIME", Some(Column::StartTime)),
            ("SSBSECT_CRN", Some(Column::Crn)),
            ("SSBSECT_MAX_ENRL", Some(Column::Capacity)),
            ("Class #", Some(Column::Crn)),
            ("Section #", Some(Column::Section)),
            ("#", Some(Column::Number)),
            ("# Enrolled", Some(Column::Enrolled)),
            ("Sec Start Times", Some(Column::StartTime)),
            ("seats", None),
            ("Course Section", None),
            ("Course", Some(Column::Course)),
            ("Sec", Some(Column::Section)),
        ];
        for (name, expected) in table {
            assert_eq!(Column::parse(name), expected, "{name}");
        }
    }
}
