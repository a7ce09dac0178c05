//! Every kind of credential that a request can carry.

use std::time::Duration;

use eduhub::domain::ids::{TermId, UserName};
use eduhub::domain::rights::{Rights, Subjects};
use eduhub::domain::role::Role;
use eduhub::identity::token::Tokens;
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::json;

use super::hub::{Hub, SECRET, SECRET_BEFORE};

/// The term of the sandbox's tokens.
pub(super) const SANDBOX: &str = "_sandbox-1";

/// The caller whom a token identifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    /// There is no token that the hub reads.
    Visitor,
    /// The token is not valid.
    Invalid,
    /// The token is valid.
    User(Role),
    /// The token is valid in a sandbox only.
    Sandboxed(Role),
}

/// The page that sends the request, by its `Origin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    None,
    Own,
    Foreign,
}

/// A kind of credential.
pub(super) struct Kind {
    pub(super) name: String,
    pub(super) identity: Identity,
    /// Whether the token is in the cookie, which a browser also sends for pages of other sites.
    pub(super) by_cookie: bool,
    pub(super) page: Page,
    /// Whether it is a valid link to a student's schedule.
    pub(super) has_link: bool,
    /// The header fields, with a new token for each request, because a sign-out ends the token.
    pub(super) fields: Box<dyn Fn() -> Vec<(&'static str, String)>>,
}

type Fields = Vec<(&'static str, String)>;

fn kind(name: impl Into<String>, identity: Identity, fields: impl Fn() -> Fields + 'static) -> Kind {
    let fields = Box::new(fields);
    Kind { name: name.into(), identity, by_cookie: false, page: Page::None, has_link: false, fields }
}

fn bearer(token: &str) -> Fields {
    vec![("Authorization", format!("Bearer {token}"))]
}

fn cookie(token: &str) -> Fields {
    vec![("Cookie", format!("eduhub_session={token}"))]
}

fn tokens(secret: &str) -> Tokens {
    Tokens::new(&SecretString::from(secret))
}

/// Mints a token that is valid for one hour, which begins `seconds` from now.
fn minted_with(secret: &str, role: Role, seconds: i64) -> String {
    let from = Timestamp::from_second(Timestamp::now().as_second() + seconds).unwrap();
    let user = UserName::parse(&format!("matrix-{role}")).unwrap();
    // Limited staff are limited to a subject that no section has.
    let rights = Rights::new(role, (role == Role::SubjectStaff).then(|| Subjects::parse(&["NONE"]).unwrap()));
    tokens(secret).mint(&user, None, rights, Duration::from_secs(3_600), from).expect("a token").token
}

/// Mints a token of an instructor with this display name.
pub(super) fn instructor(user: &str, name: &str) -> String {
    let user = UserName::parse(user).unwrap();
    let hour = Duration::from_secs(3_600);
    tokens(SECRET).mint(&user, Some(name), Role::Instructor, hour, Timestamp::now()).expect("a token").token
}

/// Mints a token of staff who are limited to these subjects.
pub(super) fn staff_of(name: &str, subjects: &[&str]) -> String {
    let user = UserName::parse(name).unwrap();
    let rights = Rights::new(Role::Staff, Some(Subjects::parse(subjects).unwrap()));
    tokens(SECRET).mint(&user, None, rights, Duration::from_secs(3_600), Timestamp::now()).expect("a token").token
}

/// Mints a token of staff with this name and without a limit.
pub(super) fn staff_named(name: &str) -> String {
    let (user, hour) = (UserName::parse(name).unwrap(), Duration::from_secs(3_600));
    tokens(SECRET).mint(&user, None, Role::Staff, hour, Timestamp::now()).expect("a token").token
}

/// Mints a token of the student with this name.
pub(super) fn student(name: &str) -> String {
    let user = UserName::parse(name).unwrap();
    let hour = Duration::from_secs(3_600);
    tokens(SECRET).mint(&user, None, Role::Student, hour, Timestamp::now()).expect("a token").token
}

pub(super) fn minted(role: Role) -> String {
    minted_with(SECRET, role, 0)
}

fn sandboxed(role: Role) -> String {
    let user = UserName::parse("simulated").unwrap();
    let term = TermId::parse(SANDBOX).unwrap();
    let hour = Duration::from_secs(3_600);
    tokens(SECRET).mint_for_sandbox(&term, &user, role, hour, Timestamp::now()).expect("a token").token
}

/// Returns a token that is signed with the hub's secret, but with another algorithm or for a role that does not exist.
fn crafted(algorithm: jsonwebtoken::Algorithm, role: &str) -> String {
    let now = Timestamp::now().as_second();
    let id = "01939d3a-0000-7000-8000-000000000000";
    let claims = json!({"sub": "mallory", "role": role, "iat": now, "exp": now + 3_600, "jti": id});
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::new(algorithm), &claims, &key).expect("a token")
}

/// Returns a valid admin's token without its signature, with the algorithm `none`.
fn unsigned() -> String {
    let token = minted(Role::Admin);
    let claims = token.split('.').nth(1).expect("claims");
    // {"alg":"none"}
    format!("eyJhbGciOiJub25lIn0.{claims}.")
}

/// Returns a valid student's token whose claims were changed afterward.
fn tampered() -> String {
    let (student, admin) = (minted(Role::Student), minted(Role::Admin));
    let parts: Vec<&str> = student.split('.').collect();
    format!("{}.{}.{}", parts[0], admin.split('.').nth(1).expect("claims"), parts[2])
}

/// The roles, each with a name that differs from all others.
const ROLES: [(Role, &str); 5] = [
    (Role::Student, "student"),
    (Role::Instructor, "instructor"),
    (Role::SubjectStaff, "limited staff"),
    (Role::Staff, "staff"),
    (Role::Admin, "admin"),
];

/// Returns the kinds of credentials. Some need the hub, such as tokens that it has ended.
pub(super) fn kinds(hub: &Hub) -> Vec<Kind> {
    use Identity::{Invalid, Sandboxed, User, Visitor};
    let mut kinds = vec![
        kind("no token", Visitor, Vec::new),
        kind("basic credentials", Visitor, || vec![("Authorization", "Basic YWRtaW46YWRtaW4=".to_owned())]),
        kind("a token with the scheme Token", Visitor, || {
            vec![("Authorization", format!("Token {}", minted(Role::Admin)))]
        }),
        kind("a token without a scheme", Visitor, || vec![("Authorization", minted(Role::Admin))]),
        kind("a token in another header", Visitor, || {
            vec![("X-Authorization", format!("Bearer {}", minted(Role::Admin)))]
        }),
        kind("a token in another cookie", Visitor, || vec![("Cookie", format!("session={}", minted(Role::Admin)))]),
        kind("an empty Bearer token", Invalid, || vec![("Authorization", "Bearer ".to_owned())]),
        kind("a malformed token", Invalid, || bearer("not.a.token")),
        kind("an expired token", Invalid, || bearer(&minted_with(SECRET, Role::Admin, -7_200))),
        kind("a forged token", Invalid, || bearer(&minted_with(&SECRET.to_uppercase(), Role::Admin, 0))),
        kind("an unsigned token", Invalid, || bearer(&unsigned())),
        kind("a tampered token", Invalid, || bearer(&tampered())),
        kind("a token with another algorithm", Invalid, || bearer(&crafted(jsonwebtoken::Algorithm::HS512, "admin"))),
        kind("a token with an unknown role", Invalid, || bearer(&crafted(jsonwebtoken::Algorithm::HS256, "root"))),
        kind("a WebSocket ticket as a token", Invalid, {
            let ticket = hub.ticket(&minted(Role::Admin));
            move || bearer(&ticket)
        }),
        kind("the token of a removed account", Invalid, {
            let token = hub.token_of_removed_account();
            move || bearer(&token)
        }),
        kind("a signed-out token", Invalid, {
            let token = hub.signed_out_token(minted_with(SECRET, Role::Admin, 0));
            move || bearer(&token)
        }),
        kind("a token of a user who was signed out everywhere", Invalid, {
            let token = hub.token_signed_out_everywhere();
            move || bearer(&token)
        }),
        kind("a token of the previous secret", User(Role::Staff), || {
            bearer(&minted_with(SECRET_BEFORE, Role::Staff, 0))
        }),
        kind("a lower-case scheme", User(Role::Staff), || {
            vec![("Authorization", format!("bearer {}", minted(Role::Staff)))]
        }),
        kind("a student's token beside an admin's cookie", User(Role::Student), || {
            [bearer(&minted(Role::Student)), cookie(&minted(Role::Admin))].concat()
        }),
        kind("a forged token beside an admin's cookie", Invalid, || {
            [bearer("not.a.token"), cookie(&minted(Role::Admin))].concat()
        }),
        kind("a sandbox's student", Sandboxed(Role::Student), || bearer(&sandboxed(Role::Student))),
        kind("a sandbox's admin", Sandboxed(Role::Admin), || bearer(&sandboxed(Role::Admin))),
    ];
    for (role, name) in ROLES {
        kinds.push(kind(name, User(role), move || bearer(&minted(role))));
        let by_page = kind(format!("{name}, Bearer, from a foreign page"), User(role), move || bearer(&minted(role)));
        kinds.push(from_page(by_page, Page::Foreign, "https://evil.example".to_owned()));
        let in_cookie = |page: &str| kind(format!("{name}, cookie, {page}"), User(role), move || cookie(&minted(role)));
        kinds.push(Kind { by_cookie: true, ..in_cookie("no Origin") });
        let own = [("own page", hub.origin()), ("own page by name", hub.origin().replace("127.0.0.1", "localhost"))];
        let foreign = [
            ("foreign page", "https://evil.example".to_owned()),
            ("opaque page", "null".to_owned()),
            ("other port", "http://127.0.0.1:1".to_owned()),
            ("own host with https", hub.origin().replace("http:", "https:")),
            ("own host as a prefix", format!("{}.evil.example", hub.origin())),
        ];
        for (name, origin) in own {
            kinds.push(Kind { by_cookie: true, ..from_page(in_cookie(name), Page::Own, origin) });
        }
        for (name, origin) in foreign {
            kinds.push(Kind { by_cookie: true, ..from_page(in_cookie(name), Page::Foreign, origin) });
        }
    }
    let link =
        |name: &str, secret: String| kind(name, Visitor, move || vec![("Authorization", format!("Guardian {secret}"))]);
    kinds.push(Kind { has_link: true, ..link("a guardian's link", hub.guardian_link("parent-of")) });
    kinds.push(link("a guardian's link that has ended", hub.ended_guardian_link()));
    let dead = kind("an expired cookie", Invalid, || cookie(&minted_with(SECRET, Role::Admin, -7_200)));
    kinds.push(Kind { by_cookie: true, ..from_page(dead, Page::Own, hub.origin()) });
    let forged = kind("a forged cookie", Invalid, || cookie("not.a.token"));
    kinds.push(Kind { by_cookie: true, ..from_page(forged, Page::Foreign, "null".to_owned()) });
    kinds.push(from_page(kind("no token, foreign page", Visitor, Vec::new), Page::Foreign, "null".to_owned()));
    kinds
}

fn from_page(kind: Kind, page: Page, origin: String) -> Kind {
    let fields = kind.fields;
    let fields = Box::new(move || {
        let mut fields = fields();
        fields.push(("Origin", origin.clone()));
        fields
    });
    Kind { page, fields, ..kind }
}
