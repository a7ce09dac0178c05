//! The WebSocket transport of a feed. The only file that uses `actix_web_actors`.

use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_http::ws::{Codec, HandshakeError, Item};
use actix_web::body::BoxBody;
use actix_web::http::Version;
use actix_web::{Error, HttpRequest, HttpResponse, web};
use actix_web_actors::ws::{
    CloseCode, CloseReason, Message as Frame, ProtocolError, WebsocketContext, WsResponseBuilder,
};
use bytes::BytesMut;

use crate::live::close::Close;
use crate::live::driver::{self, Driver, QUEUE_LEN, Transport};
use crate::live::ending::EndingBody;
use crate::live::feed::{FeedFrame, FeedInput};
use crate::live::frame_guard::{GuardStatus, GuardedPayload, MESSAGE_LEN_MAX};
use crate::live::frame_rate::FrameRate;
use crate::live::live_session::Transport as TransportKind;
use crate::live::messages::Push;
use crate::live::request::LiveRequest;

/// How long the hub waits for the client's close frame. Closing the TCP connection at once would reset it for a client
/// that is still sending, and the client would never read the reason.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

type Ctx = WebsocketContext<WebSocket>;

/// The actor of a WebSocket connection.
struct WebSocket {
    /// The driver, or the reason why the connection is not admitted.
    driver: Result<Driver, Close>,
    /// Shared with the stream of incoming bytes.
    status: Rc<GuardStatus>,
    /// The fragments of a message that is not complete.
    fragments: BytesMut,
    rate: FrameRate,
}

/// The version of the WebSocket protocol that the hub supports, for the header `Sec-WebSocket-Version`.
pub const VERSION: &str = "13";

/// Why a request is not upgraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    /// It is not an upgrade to a WebSocket over HTTP/1.1.
    #[error("the request is not a WebSocket upgrade")]
    NoUpgrade,
    /// It asks for a version of the protocol other than [`VERSION`], or for none.
    #[error("this version of the WebSocket protocol is not supported")]
    Version,
}

impl actix_web::ResponseError for NotOpened {}

/// Upgrades a request. A connection that is not admitted is upgraded, too, and then closed, because a page in a browser
/// cannot read why an upgrade failed.
///
/// # Errors
/// When the request is not a WebSocket upgrade that the hub supports (RFC 6455, section 4.2.1).
pub fn open(opening: LiveRequest, request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, NotOpened> {
    // Validated before the connection is added to the list of live sessions.
    if request.version() < Version::HTTP_11 {
        return Err(NotOpened::NoUpgrade);
    }
    match actix_http::ws::verify_handshake(request.head()) {
        Ok(()) => {}
        Err(HandshakeError::NoVersionHeader | HandshakeError::UnsupportedVersion) => return Err(NotOpened::Version),
        Err(_) => return Err(NotOpened::NoUpgrade),
    }
    let user_agent = request.headers().get("user-agent").and_then(|v| v.to_str().ok()).unwrap_or("");
    let driver = opening.admit(user_agent, TransportKind::WebSocket);
    let status: Rc<GuardStatus> = Rc::default();
    let socket = WebSocket { driver, status: status.clone(), fragments: BytesMut::new(), rate: FrameRate::default() };
    let codec = Codec::new().max_size(usize::try_from(MESSAGE_LEN_MAX).unwrap_or(usize::MAX));
    let payload = GuardedPayload::new(payload, status.clone());
    let response = WsResponseBuilder::new(socket, request, payload).codec(codec).start();
    let response = response.map_err(|_: Error| NotOpened::NoUpgrade)?;
    Ok(response.map_body(|_, body| BoxBody::new(EndingBody::new(body, status))))
}

impl WebSocket {
    /// Handles a fragment of a message. The guard has bounded the length of all fragments together, and has checked
    /// that they are UTF-8 so far.
    fn fragment(&mut self, item: Item, ctx: &mut Ctx) {
        match item {
            Item::FirstText(part) => self.fragments = BytesMut::from(&part[..]),
            Item::FirstBinary(_) => driver::handle(self, FeedInput::Ended(Close::Binary), ctx),
            Item::Continue(part) => self.fragments.extend_from_slice(&part),
            Item::Last(part) => {
                let mut message = std::mem::take(&mut self.fragments);
                message.extend_from_slice(&part);
                let input = std::str::from_utf8(&message).map_or(FeedInput::Ended(Close::NotUtf8), FeedInput::Message);
                driver::handle(self, input, ctx);
            }
        }
    }

    /// Handles a failure of the stream of frames.
    fn failed(&mut self, error: &ProtocolError, ctx: &mut Ctx) {
        let why = match (self.status.rejected.take(), error) {
            (Some(why), _) => why,
            (None, _) if self.status.is_broken.get() => return ctx.stop(),
            // A text frame that is not UTF-8 is reported as an I/O error.
            (None, ProtocolError::Io(_)) => Close::NotUtf8,
            (None, _) => Close::Protocol,
        };
        driver::handle(self, FeedInput::Ended(why), ctx);
    }
}

/// Returns how to reply to the client's close frame, whose code must be one that an endpoint may send (RFC 6455,
/// section 7.4). The codec has rejected a reason that is not UTF-8.
fn reply_to_close(reason: Option<CloseReason>) -> Close {
    match reason.map(|reason| u16::from(reason.code)) {
        None | Some(1000..=1003 | 1007..=1014 | 3000..=4999) => Close::Normal,
        Some(_) => Close::Protocol,
    }
}

impl Transport for WebSocket {
    fn driver(&mut self) -> Option<&mut Driver> {
        self.driver.as_mut().ok()
    }

    fn send(&mut self, frame: FeedFrame, ctx: &mut Ctx) {
        ctx.text(frame.text);
    }

    /// Sends the age of the session as the payload. The pong returns it, which gives the round-trip time.
    fn ping(&mut self, ctx: &mut Ctx) {
        let Ok(driver) = &self.driver else { return };
        ctx.ping(&driver.session().age_ms().to_be_bytes());
    }

    fn close(&mut self, why: Close, ctx: &mut Ctx) {
        self.fragments = BytesMut::new();
        self.status.is_closing.set(true);
        let reason = match driver::retry_ms(self.driver.as_ref().ok(), why) {
            Some(retry_ms) => format!("{{\"retry_ms\":{retry_ms}}}"),
            None => why.reason().to_owned(),
        };
        let description = Some(reason).filter(|reason| !reason.is_empty());
        ctx.close(Some(CloseReason { code: CloseCode::from(why.code()), description }));
        ctx.run_later(CLOSE_WAIT, |_, ctx| ctx.stop());
    }
}

impl Actor for WebSocket {
    type Context = Ctx;

    fn started(&mut self, ctx: &mut Ctx) {
        ctx.set_mailbox_capacity(QUEUE_LEN);
        match &self.driver {
            Ok(_) => driver::join(self, ctx),
            Err(why) => {
                let why = *why;
                self.close(why, ctx);
            }
        }
    }

    fn stopped(&mut self, _: &mut Ctx) {
        if let Ok(driver) = &mut self.driver {
            driver.end();
        }
    }
}

impl Handler<Push> for WebSocket {
    type Result = ();

    fn handle(&mut self, push: Push, ctx: &mut Ctx) {
        driver::pushed(self, push, ctx);
    }
}

impl StreamHandler<Result<Frame, ProtocolError>> for WebSocket {
    fn handle(&mut self, frame: Result<Frame, ProtocolError>, ctx: &mut Ctx) {
        if !self.status.is_closing.get() {
            // Also closes a session that its relay has evicted, now that its client is responding again.
            driver::alive(self, ctx);
        }
        if self.status.is_closing.get() {
            return;
        }
        // The client's close frame is always answered.
        let is_counted = matches!(&frame, Ok(frame) if !matches!(frame, Frame::Close(_)));
        if is_counted && !self.rate.allows(Instant::now()) {
            return driver::handle(self, FeedInput::Ended(Close::TooManyFrames), ctx);
        }
        match frame {
            Ok(Frame::Text(text)) => driver::handle(self, FeedInput::Message(&text), ctx),
            Ok(Frame::Continuation(item)) => self.fragment(item, ctx),
            Ok(Frame::Ping(bytes)) => ctx.pong(&bytes),
            Ok(Frame::Pong(bytes)) => {
                if let (Ok(driver), Ok(sent)) = (&self.driver, <[u8; 8]>::try_from(&bytes[..])) {
                    let session = driver.session();
                    let rtt_ms = session.age_ms().checked_sub(u64::from_be_bytes(sent));
                    session.set_rtt_ms(rtt_ms.and_then(|ms| u32::try_from(ms).ok()).unwrap_or(0));
                }
            }
            Ok(Frame::Binary(_)) => driver::handle(self, FeedInput::Ended(Close::Binary), ctx),
            Ok(Frame::Close(reason)) => {
                driver::handle(self, FeedInput::Ended(reply_to_close(reason)), ctx);
                ctx.stop();
            }
            Ok(Frame::Nop) => {}
            Err(error) => self.failed(&error, ctx),
        }
    }
}
