//! Cookies of sign-ins: their names, when they are refused, and when they are cleared.

use super::*;

/// Returns whether a response clears the cookie of a sign-in.
fn clears(headers: &header::HeaderMap) -> bool {
    set_cookies(headers).iter().any(|it| it.starts_with("eduhub_session=;") && it.contains("Max-Age=0"))
}

fn get_with(path: &str, cookies: &str) -> TestRequest {
    TestRequest::with_uri(path).insert_header((header::COOKIE, cookies))
}

#[actix_web::test]
async fn https_cookies_have_the_host_prefix_and_plain_names_are_ignored() {
    let hub = Hub::start(Settings::default()).await;
    let app = hub.app_at(Some("https://hub.college.edu")).await;
    let response = test::call_service(&app, login_request("correct horse").to_request()).await;
    let set = set_cookies(response.headers());
    assert!(set[0].starts_with("__Host-eduhub_session=") && set[1].starts_with("__Host-eduhub_device="), "{set:?}");
    for cookie in &set {
        // Browsers refuse the prefix without these (RFC 6265bis).
        assert!(cookie.contains("; Path=/;") && cookie.contains("; Secure") && !cookie.contains("Domain"), "{cookie}");
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    }
    let token = hub.token("ann").await;
    let me = |name: &str| get_with("/api/v1/me", &format!("{name}={token}"));
    assert_eq!(send(&app, me("__Host-eduhub_session")).await.0, 200);
    assert_eq!(send(&app, me("eduhub_session")).await.0, 401, "another host of the domain can set this one");
    assert_eq!(send(&hub.app().await, me("__Host-eduhub_session")).await.0, 401, "without https it has no prefix");
}

#[actix_web::test]
async fn two_cookies_of_one_name_are_refused_and_cleared() {
    let hub = Hub::start(Settings::default()).await;
    let app = hub.app().await;
    let (ann, sam) = (hub.token("ann").await, hub.token("sam").await);
    for cookies in [
        format!("eduhub_session={ann}; eduhub_session={sam}"),
        format!("eduhub_session={ann}; other=x; eduhub_session={ann}"),
        format!("eduhub_session={ann}; eduhub_session=x"),
    ] {
        let response = test::call_service(&app, get_with("/api/v1/me", &cookies).to_request()).await;
        assert_eq!(response.status(), 401, "{cookies}");
        assert!(clears(response.headers()));
        assert_eq!(send(&app, get_with("/visitor", &cookies)).await.0, 200, "a public page loads, as for a visitor");
    }
}

#[actix_web::test]
async fn each_401_clears_an_invalid_cookie_and_no_other() {
    let hub = Hub::start(Settings::default()).await;
    let app = hub.app().await;
    let token = hub.token("sam").await;
    let dead = |path: &str| get_with(path, "eduhub_session=made.up.token");
    let live = |path: &str| get_with(path, &format!("eduhub_session={token}"));
    let login = || login_request("wrong");
    let table = [
        (dead("/api/v1/me"), 401, true),
        (dead("/staff"), 401, true),
        (dead("/api/v1/logout").method(Method::POST), 401, true),
        (dead("/api/v1/ws-ticket").method(Method::POST), 401, true),
        (login().insert_header((header::COOKIE, "eduhub_session=x")), 401, true),
        (dead("/visitor"), 200, false),
        (dead("/nothing"), 404, false),
        (TestRequest::with_uri("/staff"), 401, false),
        (bearer(live("/staff"), "made.up.token"), 401, false),
        (login().insert_header((header::COOKIE, format!("eduhub_session={token}"))), 401, false),
        (live("/staff"), 200, false),
    ];
    for (i, (request, status, is_cleared)) in table.into_iter().enumerate() {
        let response = test::call_service(&app, request.to_request()).await;
        assert_eq!((response.status().as_u16(), clears(response.headers())), (status, is_cleared), "case {i}");
    }
}

#[actix_web::test]
async fn each_logout_clears_the_cookie_and_keeps_the_device() {
    let hub = Hub::start(Settings::default()).await;
    let app = hub.app().await;
    let logout = || TestRequest::post().uri("/api/v1/logout").insert_header((header::ORIGIN, OWN_ORIGIN));
    let by_cookie = cookie(logout(), &hub.token("ann").await);
    let by_bearer = bearer(logout(), &hub.token("ann").await);
    for request in [by_cookie, by_bearer] {
        let response = test::call_service(&app, request.to_request()).await;
        assert_eq!(response.status(), 204);
        assert!(clears(response.headers()));
        assert_eq!(set_cookies(response.headers()).len(), 1);
    }
}

#[actix_web::test]
async fn a_browser_that_has_signed_in_before_has_its_own_limit() {
    let hub = Hub::start(Settings { login_per_minute: 2, ..Settings::default() }).await;
    let app = hub.app().await;
    let signed_in = test::call_service(&app, login_request("correct horse").to_request()).await;
    let device = set_cookies(signed_in.headers())[1].split(';').next().unwrap().to_owned();
    assert!(device.starts_with("eduhub_device="), "{device}");
    for _ in 0..2 {
        assert_eq!(send(&app, login_request("wrong")).await.0, 401);
    }
    assert_eq!(send(&app, login_request("correct horse")).await.0, 429, "an unknown browser at the same address");
    let known = |password| login_request(password).insert_header((header::COOKIE, device.clone()));
    assert_eq!(send(&app, known("correct horse")).await.0, 200);
    for _ in 0..2 {
        assert_eq!(send(&app, known("wrong")).await.0, 401);
    }
    assert_eq!(send(&app, known("correct horse")).await.0, 429, "its own guesses are limited");
    let other = TestRequest::post().uri("/api/v1/login").insert_header((header::COOKIE, device));
    let other = other.set_json(json!({"username": "sam", "password": "correct horse"}));
    assert_eq!(send(&app, other).await.0, 200, "a cookie of another account has no effect");
}
