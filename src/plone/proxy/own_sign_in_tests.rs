//! Tests of sign-ins at Plone's own origin: which requests have a password, of which account, and their outcome.

use super::*;
use actix_web::http::header::CONTENT_TYPE;

fn headers(content_type: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.append(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
    headers
}

fn contents(path: &str, content_type: &str) -> Result<Contents, String> {
    let names: Vec<String> = path.split('/').map(str::to_owned).collect();
    Contents::of(&names, &headers(content_type), true).map(|(of, _)| of).map_err(|error| format!("{error:?}"))
}

/// Returns the account of a form for the sign-in page; an error if the form is refused.
fn account(content_type: &str, body: &str) -> Result<Option<String>, String> {
    contents("login", content_type)?.account(body.as_bytes()).map_err(|error| format!("{error:?}"))
}

#[test]
fn requests_that_may_have_a_password_are_recognized() {
    let json = "application/json";
    let form = Contents::FormSignIn(FormType::Urlencoded);
    let table = [
        ("@login", json, Ok(Contents::JsonSignIn)),
        ("news/@login-renew", json, Ok(Contents::JsonSignIn)),
        ("POST_application_json_@login", json, Ok(Contents::JsonSignIn)),
        ("login", URLENCODED, Ok(form.clone())),
        ("news/@@login_form", "Application/X-WWW-Form-Urlencoded; charset=utf-8", Ok(form.clone())),
        ("acl_users/credentials_cookie_auth/require_login", URLENCODED, Ok(form)),
        ("news", URLENCODED, Ok(Contents::Form)),
        ("news", json, Ok(Contents::NoPassword)),
        ("news", "image/png", Ok(Contents::NoPassword)),
        ("@users/ann/reset-password", json, Ok(Contents::NewPassword("ann".to_owned()))),
        ("news", "text/xml", Err("MediaType".to_owned())),
        ("news", "image/png; x=TEXT/XML", Err("MediaType".to_owned())),
        ("news", "text/plain", Err("MediaType".to_owned())),
        ("news", "application/x-url-encoded", Err("MediaType".to_owned())),
        ("news", "multipart/form-data", Err("MediaType".to_owned())),
        ("news", "multipart/form-data; boundary=a; boundary=b", Err("MediaType".to_owned())),
    ];
    for (path, content_type, expected) in table {
        assert_eq!(contents(path, content_type), expected, "{path} {content_type}");
    }
}

#[test]
fn json_is_forwarded_with_a_type_in_which_plone_finds_no_password() {
    let (_, content_type) = Contents::of(&["news".to_owned()], &headers("application/json"), true).unwrap();
    assert_eq!(content_type.unwrap(), "application/json; charset=utf-8");
    let (_, untyped) = Contents::of(&["news".to_owned()], &HeaderMap::new(), true).unwrap();
    assert_eq!(untyped.unwrap(), "application/octet-stream");
}

#[test]
fn the_account_of_a_form_is_the_one_that_plone_reads() {
    let multipart = "multipart/form-data; boundary=\"x\"";
    let part =
        |name: &str, value: &str| format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let both = part(NAME_FIELD, "ann") + &part(PASSWORD_FIELD, "p") + "--x--\r\n";
    let unreadable = Err("UnreadableSignIn".to_owned());
    let table = [
        (URLENCODED, "__ac_name=ann&__ac_password=p", Ok(Some("ann".to_owned()))),
        (URLENCODED, "came_from=&%5F_ac_n%61me=a%2Bb+c&__ac_passwor%64=p", Ok(Some("a+b c".to_owned()))),
        (URLENCODED, "came_from=x", Ok(None)),
        (URLENCODED, "__ac_password=p", Ok(None)),
        (URLENCODED, "__ac_name=ann&__ac_name=bob&__ac_password=p", unreadable.clone()),
        (URLENCODED, "__ac_name:utf8:ustring=ann&__ac_password=p", unreadable.clone()),
        (URLENCODED, "__ac_name=ann&__ac_password:list=p", unreadable.clone()),
        (multipart, both.as_str(), Ok(Some("ann".to_owned()))),
    ];
    for (content_type, body, expected) in table {
        assert_eq!(account(content_type, body), expected, "{body}");
    }
    for hidden in [
        part(NAME_FIELD, "ann") + &part("__ac_password\"; x=\"", "p"),
        part(NAME_FIELD, "ann") + &part("\\_\\_ac_password", "p"),
        part("__ac_name:ascii", "ann") + &part(PASSWORD_FIELD, "p"),
    ] {
        assert_eq!(account(multipart, &hidden), unreadable, "{hidden}");
    }
}

#[test]
fn the_account_of_json_is_its_only_login() {
    let of = |body: &str| Contents::JsonSignIn.account(body.as_bytes()).map_err(|error| format!("{error:?}"));
    assert_eq!(of(r#"{"login": "ann", "password": "p", "x": 1}"#), Ok(Some("ann".to_owned())));
    assert_eq!(of(r#"{"\u006cogin": "ann", "password": 1}"#), Ok(Some("ann".to_owned())));
    assert_eq!(of(r#"{"login": "ann"}"#), Ok(None));
    assert_eq!(of("{}"), Ok(None));
    for bad in [r#"{"login": "ann", "login": "bob", "password": "p"}"#, r#"{"login": 1, "password": "p"}"#, "", "[]"] {
        assert_eq!(of(bad), Err("UnreadableSignIn".to_owned()), "{bad}");
    }
}

#[test]
fn passwords_are_found_across_pieces_and_in_every_spelling() {
    let found = |pieces: &[&str]| {
        let mut search = Search::for_password();
        pieces.iter().map(|piece| search.feed(piece.as_bytes())).sum::<usize>()
    };
    for pieces in [
        &["a=b&__ac_password=p"][..],
        &["x__ac_pass", "word=p"],
        &["___ac_password"],
        &["__a__ac_password"],
        &["%5f%5Fac_p%61ssword"],
        &["__ac_passwor%6", "4"],
        &["\\_\\_ac\\_password"],
    ] {
        assert_eq!(found(pieces), 1, "{pieces:?}");
    }
    for pieces in [&["__ac_passwort"][..], &["_ac_password"], &["__ac%zz_password"], &["__ac_", " password"], &["%5"]] {
        assert_eq!(found(pieces), 0, "{pieces:?}");
    }
    assert_eq!(found(&["__ac_password__ac_password"]), 2);
}

#[test]
fn the_outcome_is_read_from_plones_response() {
    let page = Contents::FormSignIn(FormType::Urlencoded);
    let with_cookie = |cookie: &str| HttpResponse::Found().append_header((header::SET_COOKIE, cookie)).finish();
    assert_eq!(page.is_wrong(&with_cookie("__ac=\"ticket\"; Path=/")), Some(false));
    assert_eq!(page.is_wrong(&with_cookie("__ac=deleted; Max-Age=0")), Some(true));
    assert_eq!(page.is_wrong(&with_cookie("statusmessages=x")), Some(true));
    assert_eq!(page.is_wrong(&HttpResponse::BadGateway().finish()), None);
    assert_eq!(Contents::JsonSignIn.is_wrong(&HttpResponse::Ok().finish()), Some(false));
    assert_eq!(Contents::JsonSignIn.is_wrong(&HttpResponse::Unauthorized().finish()), Some(true));
}
