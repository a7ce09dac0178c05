//! Who may do what: every operation of the OpenAPI document with every kind of credential, against one table; and
//! students who try to reach what belongs to other students. The other modules test parts of the API through the whole
//! application.

mod calendars;
mod choices;
mod credentials;
mod facts;
mod guardians;
pub(crate) mod hub;
mod instructors;
mod lookup;
mod moves;
mod offers;
mod plans;
mod rehearsals;
mod seat_rules;
mod students;
mod subjects;
mod table;
mod waitlist_order;

use std::collections::BTreeSet;

use eduhub::domain::role::Role;

use self::credentials::{Identity, Kind, Page, SANDBOX, kinds};
use self::hub::Hub;
use self::table::{Access, OPERATIONS};
use crate::support::http::{Client, Response};
use crate::support::openapi::document;

/// The operations that a sandbox's token may call. It imports only into its own sandbox, and registers for one section
/// at a time.
const IN_SANDBOX: [(&str, &str); 9] = [
    ("GET", "/api/v1/seats"),
    ("GET", "/api/v1/me/registrations"),
    ("PUT", "/api/v1/me/registrations/{section}"),
    ("DELETE", "/api/v1/me/registrations/{section}"),
    ("GET", "/api/v1/imports/{task}"),
    ("DELETE", "/api/v1/imports/{task}"),
    ("GET", "/api/v1/imports/{task}/errors.csv"),
    ("PUT", "/api/v1/admin/demo/sandboxes/{term}"),
    ("DELETE", "/api/v1/admin/demo/sandboxes/{term}"),
];

/// The caller's rights, as a response states them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The caller may do this. The request may still be invalid.
    Admitted,
    /// 401 with the code `unauthenticated`.
    Unauthenticated,
    /// 403 with the code `forbidden`.
    Forbidden,
}

impl Verdict {
    fn of(response: &Response, method: &str) -> Option<Self> {
        let code = response.code();
        let has_code = |expected: &str| method == "HEAD" || code == expected;
        match response.status {
            401 if has_code("unauthenticated") && response.header("www-authenticate").is_some() => {
                Some(Self::Unauthenticated)
            }
            403 if has_code("forbidden") => Some(Self::Forbidden),
            // A fault of the hub, or a refusal in an unknown form.
            401 | 403 | 405 | 500 => None,
            _ => Some(Self::Admitted),
        }
    }
}

fn expected(method: &str, path: &str, access: Access, kind: &Kind) -> Verdict {
    let is_safe = ["GET", "HEAD"].contains(&method);
    let is_sandboxed = matches!(kind.identity, Identity::Sandboxed(_));
    let operation = (if method == "HEAD" { "GET" } else { method }, path);
    if is_sandboxed && !IN_SANDBOX.contains(&operation) {
        return Verdict::Forbidden;
    }
    let role = match kind.identity {
        _ if access == Access::GuardianLink && kind.has_link => return Verdict::Admitted,
        _ if access == Access::GuardianLink => return Verdict::Unauthenticated,
        _ if access == Access::Open => return Verdict::Admitted,
        _ if matches!(access, Access::OwnPage | Access::Stream) && kind.page == Page::Foreign => {
            return Verdict::Forbidden;
        }
        _ if access == Access::OwnPage => return Verdict::Admitted,
        Identity::Invalid if access == Access::Visitor && kind.by_cookie => return Verdict::Admitted,
        Identity::Visitor if matches!(access, Access::Visitor | Access::Stream) => return Verdict::Admitted,
        Identity::Visitor | Identity::Invalid => return Verdict::Unauthenticated,
        Identity::User(role) | Identity::Sandboxed(role) => role,
    };
    if kind.by_cookie && !is_safe && kind.page != Page::Own {
        return Verdict::Forbidden;
    }
    let may = match access {
        Access::Open | Access::OwnPage | Access::Visitor | Access::Stream | Access::SignedIn => true,
        Access::LocalAccount | Access::GuardianLink => false,
        Access::Student => role == Role::Student,
        Access::Roster => role >= Role::Instructor,
        Access::SubjectStaff => role >= Role::SubjectStaff,
        Access::Staff => role >= Role::Staff,
        Access::Admin => role >= Role::Admin,
        Access::Sandbox => role >= Role::Admin && is_sandboxed,
    };
    if may { Verdict::Admitted } else { Verdict::Forbidden }
}

/// Returns a path with a value for each parameter. No resource of the college has these names, so no request changes
/// what another one sees.
fn filled(path: &str) -> String {
    // With an unknown channel, the hub does not open a stream, which would never end.
    if path == "/alerts/stream" {
        return format!("{path}?channels=none");
    }
    let id = "01939d3a-0000-7000-8000-00000000ffff";
    [
        ("{id}", id),
        ("{task}", id),
        ("{section}", "2099-99"),
        ("{term}", SANDBOX),
        ("{name}", "absent"),
        ("{user}", "absent"),
        ("{path}", "x"),
        ("{secret}", "x"),
    ]
    .into_iter()
    .fold(path.to_owned(), |path, (name, value)| path.replace(name, value))
}

fn call(client: &mut Client, method: &str, path: &str, kind: &Kind) -> Response {
    let fields = (kind.fields)();
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    client.call(method, &filled(path), &fields, b"").unwrap_or_else(|e| panic!("{method} {path}, {}: {e}", kind.name))
}

#[test]
fn every_operation_admits_exactly_the_callers_of_the_table() {
    let hub = Hub::start();
    let kinds = kinds(&hub);
    let mut client = hub.client();
    let (mut cells, mut wrong) = (0, Vec::new());
    for &(method, path, access) in OPERATIONS {
        let methods: &[&str] = if method == "GET" && path != "/alerts/ws" { &["GET", "HEAD"] } else { &[method] };
        for method in methods {
            for kind in &kinds {
                let response = call(&mut client, method, path, kind);
                if response.header("connection") == Some("close") {
                    client = hub.client();
                }
                let expected = expected(method, path, access, kind);
                let found = Verdict::of(&response, method);
                if found != Some(expected) {
                    let body = response.text();
                    wrong.push(format!("{method} {path}, {}: {expected:?}, not {} {body}", kind.name, response.status));
                }
                cells += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cells} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
    // The bound is a little below the number of operations, with HEAD for each GET, times the kinds of credentials. A
    // kind or an operation that is left out by mistake would otherwise pass unnoticed.
    assert!(cells >= 14_000, "only {cells} cells");
}

#[test]
fn the_table_has_exactly_the_operations_of_the_document() {
    let document = document();
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let is_method = |name: &&String| ["get", "put", "post", "delete", "patch"].contains(&name.as_str());
        described.extend(
            item.as_object()
                .expect("operations")
                .keys()
                .filter(is_method)
                .map(|method| format!("{} {path}", method.to_uppercase())),
        );
    }
    let listed: BTreeSet<String> = OPERATIONS.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    let missing: Vec<_> = described.difference(&listed).collect();
    let unknown: Vec<_> = listed.difference(&described).collect();
    assert!(missing.is_empty(), "add to tests/it/access/table.rs who may call {missing:?}");
    assert!(unknown.is_empty(), "tests/it/access/table.rs has operations that do not exist: {unknown:?}");
    assert_eq!(listed.len(), OPERATIONS.len(), "each operation is listed once");
}
