//! Tests of the arrival of bodies. Those of unread bodies use real connections, because actix's own handling of such
//! bodies is part of what they check.

use std::net::SocketAddr;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpResponse, HttpServer, web};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::http::body::read_bytes;

#[test]
fn a_body_may_pause_as_long_as_its_bytes_allow() {
    let start = Instant::now();
    let s = Duration::from_secs;
    let mut pace = Pace::default();
    assert_eq!(pace.wait(start), start + s(30), "nothing has arrived");
    assert_eq!(pace.wait(start + s(9)), start + s(30), "still nothing");
    pace.arrived(1, start + s(10));
    assert_eq!(pace.wait(start + s(100)), start + s(120), "the handler's 90 seconds do not count");
    pace.arrived(8 * 1024, start + s(101));
    assert_eq!(pace.wait(start + s(101)), start + s(101 + 19 + 2), "two seconds more for 8 KiB");
}

#[test]
fn a_body_that_arrives_byte_by_byte_is_late() {
    let start = Instant::now();
    let mut pace = Pace::default();
    let late = (0..3_600).find(|&second| {
        let now = start + Duration::from_secs(second);
        let late_at = pace.wait(now);
        pace.arrived(100, now + Duration::from_secs(1));
        late_at < now + Duration::from_secs(1)
    });
    assert_eq!(late, Some(30), "100 bytes a second");
}

async fn ignore() -> HttpResponse {
    HttpResponse::Ok().body("done")
}

async fn ignore_with_an_empty_response() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

async fn read(req: actix_web::HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let bytes = read_bytes(&req, payload, 1_024).await?;
    Ok(HttpResponse::Ok().body(bytes))
}

/// Starts a server with one worker, and returns its address.
fn start() -> (SocketAddr, ServerHandle) {
    let app = || {
        App::new()
            .wrap(from_fn(arrival))
            .route("/ignore", web::put().to(ignore))
            .route("/empty", web::put().to(ignore_with_an_empty_response))
            .route("/read", web::put().to(read))
    };
    let server = HttpServer::new(app).workers(1).disable_signals().client_disconnect_timeout(Duration::from_secs(1));
    let server = server.bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    (address, handle)
}

/// Reads one response, whose body is not chunked, and returns it in lower case; `None` at the end of the connection.
async fn response(stream: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    loop {
        let so_far = String::from_utf8_lossy(&text).to_ascii_lowercase();
        if let Some((head, body)) = so_far.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1).and_then(|l| l.split("\r\n").next()?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(so_far);
            }
        }
        let read = timeout(Duration::from_secs(20), stream.read_buf(&mut text)).await;
        if read.expect("a response, or the end of the connection").ok()? == 0 {
            return None;
        }
    }
}

#[actix_web::test]
async fn an_unread_body_leaves_the_connection_open() {
    let (address, server) = start();
    for path in ["/ignore", "/empty"] {
        let put = format!("PUT {path} HTTP/1.1\r\nHost: h\r\n");
        let requests = [
            vec![format!("{put}Content-Length: 2\r\n\r\n{{}}")],
            vec![format!("{put}Content-Length: 2\r\n\r\n"), "{}".to_owned()],
            vec![format!("{put}Transfer-Encoding: chunked\r\n\r\n2\r\n"), "{}\r\n0\r\n\r\n".to_owned()],
            vec![format!("{put}\r\n")],
        ];
        let mut stream = TcpStream::connect(address).await.unwrap();
        for parts in requests.iter().cycle().take(40) {
            for part in parts {
                stream.write_all(part.as_bytes()).await.unwrap();
                actix_web::rt::task::yield_now().await;
            }
            let got = response(&mut stream).await.unwrap_or_else(|| panic!("{path}: the end after {parts:?}"));
            assert!(got.starts_with("http/1.1 20") && !got.contains("connection: close"), "{parts:?}: {got}");
        }
    }
    server.stop(false).await;
}

#[actix_web::test]
async fn an_unread_body_that_is_large_or_late_closes_the_connection() {
    let (address, server) = start();
    for (path, framing) in [
        ("/ignore", "Content-Length: 70000\r\n\r\n{"),
        ("/ignore", "Content-Length: 2\r\n\r\n{"),
        ("/ignore", "Transfer-Encoding: chunked\r\n\r\n2\r\n{"),
        ("/empty", "Transfer-Encoding: chunked\r\n\r\n2\r\n{"),
        ("/read", "Content-Length: 1025\r\n\r\n{"),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("PUT {path} HTTP/1.1\r\nHost: h\r\n{framing}").as_bytes()).await.unwrap();
        let got = response(&mut stream).await.unwrap();
        assert!(got.contains("connection: close"), "{path} {framing:?}: {got}");
        assert_eq!(response(&mut stream).await, None, "{path} {framing:?}");
    }
    server.stop(false).await;
}

/// Calls the middleware with a body that never arrives, while time is paused.
#[actix_web::test]
async fn a_body_that_does_not_arrive_is_408() {
    tokio::time::pause();
    let app = App::new().wrap(from_fn(arrival)).route("/read", web::put().to(read));
    let app = actix_web::test::init_service(app).await;
    let req = actix_web::test::TestRequest::put().uri("/read").insert_header((header::CONTENT_LENGTH, 2));
    let never: actix_http::BoxedPayloadStream = Box::pin(futures_util::stream::pending());
    let (req, _) = req.to_request().replace_payload(Payload::Stream { payload: never });
    let response = actix_web::test::call_service(&app, req).await;
    assert_eq!(response.status().as_u16(), 408);
    assert_eq!(response.response().head().connection_type(), ConnectionType::Close);
}
