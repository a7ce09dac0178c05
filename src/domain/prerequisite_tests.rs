//! Tests of prerequisites: parsing, text, JSON, and which parts are unmet.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn course(course: &str, grade: Option<&str>, concurrent: bool) -> Requirement {
    Requirement::Course(RequiredCourse { course: course.into(), grade: grade.map(Into::into), concurrent })
}

fn plain(name: &str) -> Requirement {
    course(name, None, false)
}

#[test]
fn expressions_are_parsed_and_written_in_one_form() {
    let table = [
        ("MATH 151", "MATH 151"),
        (" ( MATH 151 ) ", "MATH 151"),
        ("CIV ENGR 310L", "CIV ENGR 310L"),
        ("MATH 151 AND PHYS 101", "MATH 151 and PHYS 101"),
        ("MATH 151 and PHYS 101 or ART 1", "(MATH 151 and PHYS 101) or ART 1"),
        ("MATH 151 or MATH 150 or ART 1", "MATH 151 or MATH 150 or ART 1"),
        ("MATH 151 and (PHYS 101 and ART 1)", "MATH 151 and PHYS 101 and ART 1"),
        (
            "(MATH 151 or MATH 150 with C) and PHYS 101 concurrently",
            "(MATH 151 or MATH 150 with C) and PHYS 101 concurrently",
        ),
        ("MATH 150 with a grade of C- or better or ART 1", "MATH 150 with C- or ART 1"),
        ("MATH 150 w/ A", "MATH 150 with A"),
        ("MATH 150 (minimum grade B+)", "MATH 150 with B+"),
        ("MATH 150 C or better", "MATH 150 with C"),
        ("PHYS 111 (may be taken concurrently)", "PHYS 111 concurrently"),
        ("MATH 150 with C concurrently", "MATH 150 with C concurrently"),
        ("OR 310 or OR 311", "OR 310 or OR 311"),
    ];
    for (text, expected) in table {
        let parsed = Requirement::parse_expression(text).unwrap_or_else(|| panic!("{text} is not parsed"));
        assert_eq!(parsed.to_string(), expected, "{text}");
    }
}

#[test]
fn other_text_is_a_remark() {
    let deep = format!("{}MATH 151{}", "(".repeat(20), ")".repeat(20));
    let long = ["MATH 151"; 200].join(" or ");
    let table = [
        "Permission of the department",
        "MATH 151 or permission of the instructor",
        "MATH 151,",
        "(MATH 151",
        "MATH 151)",
        "MATH 151 PHYS 101",
        "MATH 151 or",
        "math 151",
        "MATH 151 with",
        "12 credits",
        "",
        &deep,
        &long,
    ];
    for text in table {
        assert_eq!(Requirement::parse(text), Requirement::Remark(text.into()));
        assert_eq!(Requirement::parse_list(text), None);
    }
    assert_eq!(Requirement::parse("See A; B"), Requirement::Remark("See A, B".into()), "`;` separates requirements");
}

#[test]
fn the_api_shows_an_expression_with_its_text() {
    let table = [
        (vec![], json!(null)),
        (vec!["MATH 151"], json!({"text": "MATH 151", "all": [{"course": "MATH 151"}]})),
        (
            vec!["MATH 151 or MATH 150 with C", "PHYS 101 concurrently"],
            json!({
                "text": "(MATH 151 or MATH 150 with C) and PHYS 101 concurrently",
                "all": [
                    {"text": "MATH 151 or MATH 150 with C",
                     "any": [{"course": "MATH 151"}, {"course": "MATH 150", "grade": "C"}]},
                    {"course": "PHYS 101", "concurrent": true},
                ],
            }),
        ),
        (vec!["A 1 or B 2"], json!({"text": "A 1 or B 2", "any": [{"course": "A 1"}, {"course": "B 2"}]})),
        (vec!["Permission needed"], json!({"text": "Permission needed", "all": []})),
        (
            vec!["A 1", "Permission needed"],
            json!({"text": "A 1 and Permission needed", "all": [{"course": "A 1"}, {"text": "Permission needed"}]}),
        ),
    ];
    for (texts, expected) in table {
        let list: Vec<Requirement> = texts.iter().map(Requirement::from).collect();
        assert_eq!(serde_json::to_value(Expression(&list)).unwrap(), expected, "{texts:?}");
    }
}

#[test]
fn the_unmet_parts_are_named() {
    let table = [
        ("MATH 151", &["MATH 151"][..], None),
        ("MATH 151", &[], Some("MATH 151")),
        ("MATH 151 or ART 1", &["ART 1"], None),
        ("MATH 151 or ART 1", &[], Some("MATH 151 or ART 1")),
        ("MATH 151 and ART 1", &["MATH 151"], Some("ART 1")),
        ("(MATH 151 or MATH 150) and ART 1 and LAW 2", &["ART 1"], Some("(MATH 151 or MATH 150) and LAW 2")),
        ("(MATH 151 and PHYS 1) or ART 1", &["MATH 151"], Some("PHYS 1 or ART 1")),
        ("Permission of the department", &[], None),
    ];
    for (text, met, expected) in table {
        let requirement = Requirement::parse(text);
        let unmet = requirement.unmet(&|one: &RequiredCourse| met.contains(&&*one.course));
        assert_eq!(unmet.map(|unmet| unmet.to_string()).as_deref(), expected, "{text} with {met:?}");
    }
}

#[test]
fn lists_of_course_names_are_read_and_written_unchanged() {
    let read: Vec<Requirement> = serde_json::from_str(r#"["MATH 141","A&P 101"]"#).unwrap();
    assert_eq!(read, [plain("MATH 141"), plain("A&P 101")]);
    assert_eq!(serde_json::to_string(&read).unwrap(), r#"["MATH 141","A&P 101"]"#);
}

fn any_requirement() -> impl Strategy<Value = Requirement> {
    let grades = prop::sample::select(&[None, Some("C"), Some("B+"), Some("A"), Some("P")][..]);
    let leaf = ("[A-Z]{1,5}( [A-Z&]{1,4})?", "[0-9]{1,3}[A-Z]?", grades, any::<bool>())
        .prop_map(|(subject, number, grade, concurrent)| course(&format!("{subject} {number}"), grade, concurrent));
    leaf.prop_recursive(4, 24, 4, |inner| {
        (prop::collection::vec(inner, 2..4), any::<bool>())
            .prop_map(|(parts, is_all)| joined(parts, if is_all { Requirement::All } else { Requirement::Any }))
    })
}

proptest! {
    #[test]
    fn a_requirement_is_read_back_from_its_text(requirement in any_requirement()) {
        prop_assume!(requirement.to_string().len() <= TEXT_BYTES_MAX);
        prop_assert_eq!(Requirement::parse(&requirement.to_string()), requirement);
    }

    #[test]
    fn any_text_is_read_and_its_form_is_stable(text in ".{0,80}") {
        let read = Requirement::parse(&text);
        prop_assert_eq!(&Requirement::parse(&read.to_string()), &read);
        let unmet = read.unmet(&|_: &RequiredCourse| false);
        prop_assert_eq!(unmet.is_none(), matches!(read, Requirement::Remark(_)));
    }
}
