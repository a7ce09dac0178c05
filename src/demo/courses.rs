//! The courses and instructor names of the demonstration college.

/// The format of a course.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Meets two to four times a week in a classroom.
    Lecture,
    /// A lecture and, for each of its sections, a lab section with its own CRN.
    WithLab,
    /// Meets on one evening a week, or on Saturday morning.
    Evening,
    /// A lecture in the first or the second half of the term.
    HalfTerm,
    /// Online, without meeting times or a room.
    Online,
    /// Meeting times, room and instructor are not known yet.
    ToBeArranged,
}

/// A course.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) code: &'static str,
    pub(super) title: &'static str,
    /// The credits in thousandths.
    pub(super) credits: u32,
    pub(super) shape: Shape,
    /// Number of sections in a term.
    pub(super) sections: usize,
    /// Capacity of each section.
    pub(super) seats: u32,
}

const fn course(
    code: &'static str,
    title: &'static str,
    credits: u32,
    shape: Shape,
    sections: usize,
    seats: u32,
) -> Course {
    Course { code, title, credits, shape, sections, seats }
}

use Shape::{Evening, HalfTerm, Lecture, Online, ToBeArranged, WithLab};

/// All courses, sorted by subject.
pub(super) const COURSES: [Course; 84] = [
    course("ACCT 101", "Financial Accounting", 4000, Lecture, 3, 36),
    course("ACCT 102", "Managerial Accounting", 4000, Lecture, 2, 36),
    course("ANTH 110", "Cultural Anthropology", 3000, Lecture, 2, 40),
    course("ANTH 120", "Biological Anthropology", 4000, WithLab, 2, 32),
    course("ARTS 105", "Drawing I", 3000, Evening, 3, 20),
    course("ARTS 130", "Ceramics I", 3000, Evening, 2, 16),
    course("ARTS 180", "History of Western Art", 3000, Online, 2, 45),
    course("ASTR 101", "The Solar System", 4000, WithLab, 2, 48),
    course("BIOL 101", "Principles of Biology", 4000, WithLab, 6, 24),
    course("BIOL 151", "Human Anatomy", 5000, WithLab, 4, 24),
    course("BIOL 152", "Human Physiology", 5000, WithLab, 3, 24),
    course("BIOL 221", "Microbiology", 5000, WithLab, 2, 24),
    course("BUSN 100", "Introduction to Business", 3000, Lecture, 3, 45),
    course("BUSN 140", "Business Law", 3000, Lecture, 2, 40),
    course("BUSN 190", "Starting a Business", 1500, HalfTerm, 2, 24),
    course("CHEM 101", "Introductory Chemistry", 4000, WithLab, 4, 24),
    course("CHEM 161", "General Chemistry I", 5000, WithLab, 4, 24),
    course("CHEM 162", "General Chemistry II", 5000, WithLab, 2, 24),
    course("CHLD 110", "Child Growth and Development", 3000, Lecture, 3, 36),
    course("CHLD 140", "Child, Family and Community", 3000, Online, 2, 40),
    course("COMM 101", "Public Speaking", 3000, Lecture, 6, 26),
    course("COMM 130", "Interpersonal Communication", 3000, Lecture, 3, 30),
    course("CSCI 101", "Computing for Everyone", 3000, Online, 3, 60),
    course("CSCI 151", "Programming I", 4000, WithLab, 5, 28),
    course("CSCI 152", "Programming II", 4000, WithLab, 3, 28),
    course("CSCI 220", "Data Structures", 4000, Lecture, 2, 32),
    course("CSCI 240", "Computer Organization", 4000, Lecture, 1, 32),
    course("CSCI 260", "Databases", 3000, Evening, 2, 28),
    course("CULI 110", "Culinary Foundations", 6000, WithLab, 1, 18),
    course("CULI 125", "Baking", 3000, Evening, 2, 16),
    course("DANC 101", "Modern Dance I", 1000, Lecture, 2, 25),
    course("ECON 201", "Microeconomics", 3000, Lecture, 3, 45),
    course("ECON 202", "Macroeconomics", 3000, Lecture, 3, 45),
    course("ENGL 090", "Writing Workshop", 1500, HalfTerm, 4, 18),
    course("ENGL 101", "English Composition I", 3000, Lecture, 14, 25),
    course("ENGL 102", "English Composition II", 3000, Lecture, 8, 25),
    course("ENGL 210", "American Literature", 3000, Lecture, 2, 30),
    course("ENGL 235", "Creative Writing", 3000, Evening, 2, 18),
    course("ENGR 110", "Introduction to Engineering", 3000, Lecture, 2, 36),
    course("ENGR 210", "Statics", 3000, Lecture, 1, 30),
    course("ENVS 101", "Environmental Science", 4000, WithLab, 2, 30),
    course("ESLA 040", "Academic English", 5000, Lecture, 3, 22),
    course("FREN 101", "Elementary French I", 5000, Lecture, 1, 26),
    course("GEOG 101", "Physical Geography", 3000, Lecture, 2, 40),
    course("GEOL 101", "Physical Geology", 4000, WithLab, 2, 28),
    course("HIST 101", "World History to 1500", 3000, Lecture, 2, 40),
    course("HIST 146", "United States History I", 3000, Lecture, 3, 45),
    course("HIST 147", "United States History II", 3000, Online, 3, 45),
    course("HLTH 120", "Nutrition", 3000, Online, 3, 50),
    course("HLTH 185", "First Aid and CPR", 1000, HalfTerm, 4, 20),
    course("HUMN 101", "The Human Story", 3000, Lecture, 1, 240),
    course("JOUR 120", "News Writing", 3000, Lecture, 1, 22),
    course("KINE 100", "Fitness and Wellness", 1000, HalfTerm, 6, 30),
    course("KINE 140", "Yoga", 1000, HalfTerm, 4, 24),
    course("LIBR 101", "Library Research", 1000, Online, 2, 80),
    course("MATH 065", "Prealgebra", 5000, Lecture, 4, 32),
    course("MATH 098", "Intermediate Algebra", 5000, Lecture, 6, 34),
    course("MATH 140", "College Algebra", 4000, Lecture, 5, 35),
    course("MATH 146", "Introduction to Statistics", 5000, Lecture, 7, 38),
    course("MATH 151", "Calculus I", 5000, Lecture, 5, 35),
    course("MATH 152", "Calculus II", 5000, Lecture, 3, 35),
    course("MATH 163", "Calculus III", 5000, Lecture, 1, 30),
    course("MATH 220", "Linear Algebra", 4000, Lecture, 1, 30),
    course("MUSC 101", "Music Appreciation", 3000, Lecture, 2, 120),
    course("MUSC 141", "Music Theory I", 4000, Lecture, 1, 24),
    course("NURS 110", "Foundations of Nursing", 8000, WithLab, 2, 16),
    course("NURS 130", "Nursing Practicum", 4000, ToBeArranged, 3, 8),
    course("PHIL 101", "Introduction to Philosophy", 3000, Lecture, 3, 40),
    course("PHIL 120", "Critical Thinking", 3000, Lecture, 2, 40),
    course("PHYS 114", "General Physics I", 5000, WithLab, 2, 24),
    course("PHYS 221", "Engineering Physics I", 5000, WithLab, 2, 24),
    course("POLS 101", "American Government", 3000, Lecture, 4, 45),
    course("PSYC 100", "General Psychology", 5000, Lecture, 6, 60),
    course("PSYC 200", "Lifespan Psychology", 5000, Online, 3, 45),
    course("SOCI 101", "Introduction to Sociology", 3000, Lecture, 4, 45),
    course("SOCI 201", "Social Problems", 3000, Online, 2, 45),
    course("SPAN 101", "Elementary Spanish I", 5000, Lecture, 4, 26),
    course("SPAN 102", "Elementary Spanish II", 5000, Lecture, 2, 26),
    course("THEA 101", "Theatre Appreciation", 3000, Lecture, 2, 90),
    course("THEA 160", "Stagecraft", 2000, ToBeArranged, 1, 14),
    course("WELD 101", "Welding Processes", 4000, WithLab, 2, 15),
    course("WELD 120", "Blueprint Reading", 2000, HalfTerm, 2, 20),
    course("WORK 190", "Work Experience", 2000, ToBeArranged, 2, 30),
    course("WORK 199", "Independent Project", 1000, ToBeArranged, 2, 10),
];

/// Family names of instructors.
pub(super) const FAMILY_NAMES: [&str; 48] = [
    "Abara",
    "Albrecht",
    "Almeida",
    "Andersen",
    "Bajwa",
    "Barros",
    "Begay",
    "Castillo",
    "Chen",
    "Cohen",
    "Dominguez",
    "Dubois",
    "Eriksen",
    "Farah",
    "Fischer",
    "Fraser",
    "Gallagher",
    "Garcia",
    "Haddad",
    "Hansen",
    "Hughes",
    "Ito",
    "Jansen",
    "Kaplan",
    "Khan",
    "Kim",
    "Kowalski",
    "Larsen",
    "Le",
    "Lopez",
    "Mbeki",
    "Moreau",
    "Nakamura",
    "Novak",
    "Okafor",
    "Olsen",
    "Patel",
    "Petrov",
    "Quinn",
    "Ramirez",
    "Rossi",
    "Santos",
    "Schmidt",
    "Tanaka",
    "Tran",
    "Vargas",
    "Walker",
    "Yilmaz",
];

/// Initials of instructors.
pub(super) const INITIALS: [&str; 20] =
    ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "P", "R", "S", "T", "V", "W"];
