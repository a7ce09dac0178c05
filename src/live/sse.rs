//! Server-Sent Events: the transport of a feed over a plain HTTP response (HTML standard, section 9.2).
//!
//! The actor of a session is polled only by the body of its response, and only when all its events have been taken.
//! actix takes more only while the write buffer of the connection has room. So a client that does not read stops its
//! actor; the pushes of its relay fill the bounded queue, and the relay evicts the session, as on a WebSocket. The
//! events that wait share the bytes of their frames with other sessions; what is encoded for one client at a time is a
//! chunk of at most [`CHUNK_LEN_MAX`] bytes, or a single longer event.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Task, Poll};

use actix::dev::ContextFut;
use actix::prelude::*;
use actix_web::body::{BodySize, MessageBody};
use bytes::{BufMut as _, Bytes, BytesMut};

use crate::live::close::Close;
use crate::live::driver::{self, Driver, QUEUE_LEN, Transport};
use crate::live::feed::FeedFrame;
use crate::live::frames::ServerFrame;
use crate::live::live_session::Transport as TransportKind;
use crate::live::messages::Push;
use crate::live::request::LiveRequest;

/// The media type of a stream of events.
pub const MEDIA_TYPE: &str = "text/event-stream";
/// The maximum length of a chunk of the response, in bytes: that of a burst of a replay. A longer event is sent alone.
const CHUNK_LEN_MAX: usize = 7_600;
/// A heartbeat: a comment line, which clients ignore and proxies take for activity.
const HEARTBEAT: &str = ":\n\n";
/// How each frame begins: `type` is its first member.
const TYPE_START: &str = "{\"type\":\"";

/// An event that has not been encoded yet.
enum Event {
    Frame(FeedFrame),
    Heartbeat,
    /// The last event: why the stream ends, and when the client should reconnect.
    Close(Close, Option<u64>),
}

/// The events of a session that the body of its response has not taken yet.
type Outgoing = Rc<RefCell<VecDeque<Event>>>;

/// The actor of a stream.
struct EventSession {
    driver: Driver,
    outgoing: Outgoing,
}

/// Opens a stream of events. `is_gone` returns whether the client has closed its connection.
///
/// # Errors
/// The reason why the connection is not admitted.
pub fn open(request: LiveRequest, user_agent: &str, is_gone: impl Fn() -> bool + 'static) -> Result<EventBody, Close> {
    let driver = request.admit(user_agent, TransportKind::Sse)?;
    let outgoing = Outgoing::default();
    let actor = EventSession { driver, outgoing: outgoing.clone() };
    let actor = Context::new().into_future(actor);
    Ok(EventBody { actor, is_stopped: false, outgoing, is_gone: Box::new(is_gone) })
}

impl EventSession {
    fn push(&self, event: Event) {
        self.outgoing.borrow_mut().push_back(event);
    }
}

impl Transport for EventSession {
    fn driver(&mut self) -> Option<&mut Driver> {
        Some(&mut self.driver)
    }

    fn send(&mut self, frame: FeedFrame, _: &mut Context<Self>) {
        self.push(Event::Frame(frame));
    }

    /// Sends a comment. The client itself sends nothing, so its connection counts as alive while it takes heartbeats;
    /// TCP ends the connection of a client that does not acknowledge them.
    fn ping(&mut self, _: &mut Context<Self>) {
        self.driver.session().touch();
        self.push(Event::Heartbeat);
    }

    fn close(&mut self, why: Close, ctx: &mut Context<Self>) {
        let retry_ms = driver::retry_ms(Some(&self.driver), why);
        self.push(Event::Close(why, retry_ms));
        ctx.stop();
    }
}

impl Actor for EventSession {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(QUEUE_LEN);
        driver::join(self, ctx);
    }
}

impl Drop for EventSession {
    /// Ends the session of a lost connection. Not in [`Actor::stopped`], which is not called for an actor without
    /// senders.
    fn drop(&mut self) {
        self.driver.end();
    }
}

impl Handler<Push> for EventSession {
    type Result = ();

    fn handle(&mut self, push: Push, ctx: &mut Context<Self>) {
        driver::pushed(self, push, ctx);
    }
}

/// The body of the response that carries a stream of events.
pub struct EventBody {
    actor: ContextFut<EventSession, Context<EventSession>>,
    is_stopped: bool,
    outgoing: Outgoing,
    is_gone: Box<dyn Fn() -> bool>,
}

impl MessageBody for EventBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        // actix itself would only find out when it cannot write.
        if (self.is_gone)() {
            return Poll::Ready(None);
        }
        if !self.is_stopped && self.outgoing.borrow().is_empty() {
            self.is_stopped = Pin::new(&mut self.actor).poll(cx).is_ready();
        }
        match chunk(&mut self.outgoing.borrow_mut()) {
            Some(chunk) => Poll::Ready(Some(Ok(chunk))),
            None if self.is_stopped => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

/// Takes and encodes the next events, at least one if there are any.
fn chunk(events: &mut VecDeque<Event>) -> Option<Bytes> {
    let mut out = BytesMut::new();
    while let Some(event) = events.front() {
        if !out.is_empty() && out.len() + encoded_len(event) > CHUNK_LEN_MAX {
            break;
        }
        if let Some(event) = events.pop_front() {
            encode(&event, &mut out);
        }
    }
    (!out.is_empty()).then(|| out.freeze())
}

/// Returns the approximate length of an encoded event, in bytes.
fn encoded_len(event: &Event) -> usize {
    /// Field names, the type and the position.
    const FIELDS_LEN: usize = 64;
    match event {
        Event::Frame(frame) => frame.text.len() + FIELDS_LEN,
        Event::Heartbeat | Event::Close(..) => 2 * FIELDS_LEN,
    }
}

/// Appends an event. Frames are JSON without line breaks, so each is one line of data.
fn encode(event: &Event, out: &mut BytesMut) {
    match event {
        Event::Frame(frame) => push_event(&frame.text, frame.position, out),
        Event::Heartbeat => out.put_slice(HEARTBEAT.as_bytes()),
        Event::Close(why, retry_ms) => {
            if let Some(retry_ms) = retry_ms {
                // Browsers reconnect after this time.
                out.put_slice(format!("retry: {retry_ms}\n").as_bytes());
            }
            let frame = ServerFrame::Close { code: why.code(), reason: why.reason(), retry_ms: *retry_ms };
            push_event(&frame.encode(), None, out);
        }
    }
}

fn push_event(text: &str, position: Option<u64>, out: &mut BytesMut) {
    let kind = text.strip_prefix(TYPE_START).and_then(|rest| rest.split('"').next()).unwrap_or("message");
    let id = position.map(|position| format!("id: {position}\n")).unwrap_or_default();
    for part in ["event: ", kind, "\n", id.as_str(), "data: ", text, "\n\n"] {
        out.put_slice(part.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::frames::ErrorCode;

    fn frame(text: &str, position: Option<u64>) -> Event {
        Event::Frame(FeedFrame { text: text.into(), position })
    }

    fn text(events: impl IntoIterator<Item = Event>) -> String {
        let bytes = chunk(&mut events.into_iter().collect()).unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn frames_are_events_with_the_position_as_id() {
        let alert = frame(r#"{"type":"alert","seq":7}"#, Some(7));
        assert_eq!(text([alert]), "event: alert\nid: 7\ndata: {\"type\":\"alert\",\"seq\":7}\n\n");
        let error = crate::live::frames::error(ErrorCode::NotFound, "two\nlines\r");
        let event = text([frame(&error, None)]);
        assert!(event.starts_with("event: error\ndata: {"), "{event}");
        assert_eq!(event.lines().count(), 3, "an event has no line breaks within its data: {event}");
        assert_eq!(text([Event::Heartbeat]), ":\n\n");
    }

    #[test]
    fn the_last_event_has_the_close_code_and_the_time_to_reconnect() {
        let signed_out = text([Event::Close(Close::SignedOut, None)]);
        assert_eq!(signed_out, "event: close\ndata: {\"type\":\"close\",\"code\":4003,\"reason\":\"signed out\"}\n\n");
        let restarting = text([Event::Close(Close::Restarting, Some(750))]);
        assert!(restarting.starts_with("retry: 750\nevent: close\n"), "{restarting}");
        assert!(restarting.contains("\"retry_ms\":750"), "{restarting}");
    }

    #[test]
    fn chunks_are_bounded_and_lose_no_event() {
        let long = format!("{{\"type\":\"seats\",\"x\":\"{}\"}}", "x".repeat(3_000));
        let mut events: VecDeque<Event> = (0..10).map(|n| frame(&long, Some(n))).collect();
        let mut ids = 0;
        while let Some(chunk) = chunk(&mut events) {
            assert!(chunk.len() <= CHUNK_LEN_MAX, "{} bytes", chunk.len());
            ids += String::from_utf8_lossy(&chunk).lines().filter(|line| line.starts_with("id: ")).count();
        }
        assert_eq!(ids, 10);
        let longest = frame(&"x".repeat(4 * CHUNK_LEN_MAX), None);
        assert!(text([longest]).len() > CHUNK_LEN_MAX, "an event longer than a chunk is sent alone");
    }
}
