//! Tests of the middleware that removes the headers of the web server.

use std::sync::Arc;

use actix_web::middleware::from_fn;
use actix_web::test::{self, TestRequest};
use actix_web::{App, HttpRequest};
use secrecy::SecretString;

use super::*;
use crate::clock::SystemClock;
use crate::config::Auth;

const SECRET: &str = "a secret of the web server, 32 bytes";

fn sso() -> Data<SingleSignOn> {
    let mut auth = Auth::default();
    auth.proxy.peers = vec!["10.1.2.3/32".parse().unwrap()];
    auth.proxy.secret = SECRET.to_owned().into();
    auth.proxy.claim_headers = vec!["X-Affiliation".to_owned()];
    auth.roles.student = vec!["*".to_owned()];
    let secret = SecretString::from("a secret of more than thirty-two bytes");
    Data::new(SingleSignOn::start(&auth, &secret, Arc::new(SystemClock)).unwrap())
}

/// Returns the headers that a handler sees, and the user whom they identify.
async fn seen(req: HttpRequest) -> String {
    let user = req.extensions_mut().remove::<ProxyUser>().map(|user| match user.0 {
        Ok(person) => person.username.to_string(),
        Err(error) => error.to_string(),
    });
    let mut names: Vec<_> = req.headers().keys().map(|name| name.as_str().to_owned()).collect();
    names.sort();
    format!("{} {}", names.join(","), user.unwrap_or_default())
}

#[actix_web::test]
async fn headers_of_the_web_server_reach_no_handler() {
    let app = App::new().app_data(sso()).wrap(from_fn(proxy_headers)).default_service(web::to(seen));
    let app = test::init_service(app).await;
    let table = [
        ("/auth/proxy/login", "10.1.2.3:5", "accept ann"),
        (
            "/auth/proxy/login",
            "10.1.2.4:5",
            "accept the connection comes from 10.1.2.4, which is not in auth.proxy.peers",
        ),
        ("/plone/news", "10.1.2.3:5", "accept "),
        ("/plone/news", "10.1.2.4:5", "accept "),
        ("/auth/%70roxy/login", "10.1.2.3:5", "accept "),
        ("/auth/proxy/login/", "10.1.2.3:5", "accept "),
    ];
    for (path, peer, expected) in table {
        let request = TestRequest::with_uri(path).peer_addr(peer.parse().unwrap());
        let headers = [
            ("X-EduHub-Secret", SECRET),
            ("x-remote-user", "ann"),
            ("X-Remote-Groups", "it"),
            ("X-Remote-Name", "A"),
            ("X-Affiliation", "staff"),
            ("Accept", "*/*"),
        ];
        let request = headers.into_iter().fold(request, |request, header| request.insert_header(header));
        let body = test::call_and_read_body(&app, request.to_request()).await;
        assert_eq!(String::from_utf8_lossy(&body), expected, "{path} {peer}");
    }
}
