//! Runs a [`Feed`] inside an actor: carries out its outputs, and passes the replies to it.
//!
//! An output that needs a reply is carried out in `ctx.wait`: until the reply has arrived, the actor handles neither
//! its client's messages nor its relay's pushes. The first pushes wait in the actor's mailbox, which is bounded. The
//! relay holds later seats and alerts back, and the session asks for them when it has handled its mailbox.

use std::sync::Arc;
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::fut::wrap_future;
use actix::prelude::*;
use futures_util::future::{FutureExt as _, TryFutureExt as _, ready};
use rand::RngExt as _;

use crate::live::appointments::ClientKey;
use crate::live::close::Close;
use crate::live::context::Live;
use crate::live::feed::{Feed, FeedFrame, FeedInput, FeedOutput, Joined};
use crate::live::joins::{NoTurn, Turn};
use crate::live::live_session::LiveSession;
use crate::live::messages::{CatchUp, Join, Leave, Push, Subscribe, Unsubscribe};
use crate::live::relay::Relay;
use crate::live::replay::{REPLAY_PAGE_LEN, ReplayPage};
use crate::store::StoreFuture;
use crate::store::alerts::{Ack, Span};

/// The range of the random delays after which clients reconnect when the hub restarts, in milliseconds.
const RETRY_MS: std::ops::RangeInclusive<u64> = 500..=20_000;
/// Capacity of a session's queue: a few seconds of ticks. A session that is further behind is evicted, and its client
/// resumes.
pub(super) const QUEUE_LEN: usize = 64;

/// An actor that drives a feed over one transport. Its mailbox, bounded by [`QUEUE_LEN`], is the session's queue.
pub(super) trait Transport: Handler<Push>
where
    Self: Actor<Context: AsyncContext<Self> + ToEnvelope<Self, Push>>,
{
    /// Returns the driver; `None` for a connection that was not admitted.
    fn driver(&mut self) -> Option<&mut Driver>;
    /// Sends a frame.
    fn send(&mut self, frame: FeedFrame, ctx: &mut Self::Context);
    /// Sends a ping.
    fn ping(&mut self, ctx: &mut Self::Context);
    /// Closes the connection for this reason. The session has left its relay.
    fn close(&mut self, why: Close, ctx: &mut Self::Context);
}

/// A feed, and what its outputs need.
pub(super) struct Driver {
    live: Arc<Live>,
    relay: Addr<Relay>,
    feed: Feed,
    /// The turn in the queue of joins, until the session is live.
    turn: Option<Turn>,
    /// The time after which the client should reconnect, for [`Close::Busy`].
    retry_after: Option<Duration>,
}

impl Driver {
    /// Creates the driver of an admitted session.
    pub(super) const fn new(live: Arc<Live>, relay: Addr<Relay>, feed: Feed) -> Self {
        Self { live, relay, feed, turn: None, retry_after: None }
    }

    /// Returns the session.
    pub(super) const fn session(&self) -> &Arc<LiveSession> {
        self.feed.session()
    }

    /// Ends the session of a connection that is already closed.
    pub(super) fn end(&mut self) {
        if self.feed.end() {
            self.live.presence.ends.count_lost(self.session().silent_ms());
            self.leave(Close::Normal);
        }
    }

    /// Removes the session from the list of connections and from its relay.
    fn leave(&self, why: Close) {
        let session = self.feed.session();
        self.live.presence.remove(session.id);
        // If the relay's queue is full, its next sweep removes the session, which is marked here for that.
        session.request_close(why);
        let _ = self.relay.try_send(Leave(session.id));
    }
}

/// Returns after how many milliseconds the client of a session that ends should reconnect; `None` if it is not asked to
/// wait. `driver` is `None` for a connection that was not admitted.
pub(super) fn retry_ms(driver: Option<&Driver>, why: Close) -> Option<u64> {
    if !matches!(why, Close::Restarting | Close::Busy) {
        return None;
    }
    let appointed = driver.and_then(|driver| driver.retry_after);
    let appointed = appointed.and_then(|after| u64::try_from(after.as_millis()).ok());
    Some(appointed.unwrap_or_else(|| rand::rng().random_range(RETRY_MS)))
}

/// Waits for a turn, and joins the relay. Must be called when the actor has started.
pub(super) fn join<T: Transport>(actor: &mut T, ctx: &mut T::Context) {
    let queue = ctx.address().recipient();
    let Some(driver) = actor.driver() else { return };
    let (relay, session) = (driver.relay.clone(), driver.session().clone());
    let joins = driver.live.presence.joins.clone();
    session.set_waiting(true);
    let request = async move {
        let turn = joins.turn(&ClientKey::of(&session)).await?;
        let seq = relay.send(Join { queue, session }).await.map_err(|_| NoTurn::Stopping)?;
        Ok((turn, seq))
    };
    let joined = wrap_future::<_, T>(request).map(|joined, actor: &mut T, ctx: &mut T::Context| {
        let Some(driver) = actor.driver() else { return };
        let (turn, joined) = match joined {
            Ok((turn, seq)) => (Some(turn), Ok(seq)),
            Err(NoTurn::Stopping) => (None, Err(Close::Restarting)),
            Err(NoTurn::Busy(retry_after)) => {
                driver.retry_after = Some(retry_after);
                (None, Err(Close::Busy))
            }
        };
        driver.turn = turn;
        let live = &driver.live;
        let input = match joined {
            Ok(seq) => FeedInput::Joined(Joined {
                seq,
                now: live.clock.now(),
                heartbeat: live.options.heartbeat,
                is_token_valid: driver.session().caller.as_ref().is_none_or(|caller| (live.is_token_valid)(caller)),
                is_draining: live.presence.is_draining(),
            }),
            Err(why) => FeedInput::Ended(why),
        };
        replied(actor, input, ctx);
    });
    ctx.wait(joined);
}

/// Passes the reply to an output on to the feed.
fn replied<T: Transport>(actor: &mut T, input: FeedInput<'_>, ctx: &mut T::Context) {
    if let Some(driver) = actor.driver() {
        driver.session().set_waiting(false);
    }
    handle(actor, input, ctx);
    catch_up(actor, ctx);
}

/// Ends the turn of a session that waits for no reply. When the session has also handled its queue, asks the relay for
/// what it has held back.
fn catch_up<T: Transport>(actor: &mut T, ctx: &mut T::Context) {
    let Some(driver) = actor.driver() else { return };
    let session = driver.feed.session();
    if session.is_waiting() {
        return;
    }
    driver.turn = None;
    if session.queued() == 0 && session.take_behind() {
        session.set_waiting(true);
        await_reply::<T, _>(driver.relay.send(CatchUp(session.id)), accepted, ctx);
    }
}

/// Passes `input` to the feed, and carries out the outputs.
pub(super) fn handle<T: Transport>(actor: &mut T, input: FeedInput<'_>, ctx: &mut T::Context) {
    let Some(driver) = actor.driver() else { return };
    for output in driver.feed.handle(input) {
        carry_out(actor, output, ctx);
    }
}

/// Records that the client has sent something, and closes the session if it was marked for closing.
pub(super) fn alive<T: Transport>(actor: &mut T, ctx: &mut T::Context) {
    if let Some(driver) = actor.driver() {
        driver.session().touch();
        handle(actor, FeedInput::Alive, ctx);
    }
}

/// Handles a push of the relay.
pub(super) fn pushed<T: Transport>(actor: &mut T, push: Push, ctx: &mut T::Context) {
    if let Some(driver) = actor.driver() {
        driver.session().dequeue();
        handle(actor, FeedInput::Push(push), ctx);
        catch_up(actor, ctx);
    }
}

fn carry_out<T: Transport>(actor: &mut T, output: FeedOutput, ctx: &mut T::Context) {
    let Some(driver) = actor.driver() else { return };
    let session = driver.session();
    if output.needs_reply() {
        session.set_waiting(true);
    }
    match output {
        FeedOutput::Send(frame) => {
            session.count_sent(1);
            actor.send(frame, ctx);
        }
        FeedOutput::Ping => actor.ping(ctx),
        FeedOutput::Close(why) => {
            driver.live.presence.ends.count_closed(why);
            driver.leave(why);
            actor.close(why, ctx);
        }
        FeedOutput::Wait(pause) => await_reply::<T, _>(actix_rt::time::sleep(pause), |()| FeedInput::Done, ctx),
        FeedOutput::Flush => await_reply::<T, _>(flushed(), |()| FeedInput::Done, ctx),
        FeedOutput::ReadRange { since } => {
            let range = match driver.live.tail.range(since) {
                Some(range) => ready(Ok(range)).boxed(),
                None => driver.live.alerts.stored_range(),
            };
            await_reply::<T, _>(range, FeedInput::Range, ctx);
        }
        FeedOutput::ReadPage { after, until } => {
            await_reply::<T, _>(read_page(&driver.live, session, after, until), FeedInput::Page, ctx);
        }
        FeedOutput::Acknowledge { alert, user, role } => {
            let ack = Ack { alert, user, role, at: driver.live.clock.now() };
            await_reply::<T, _>(driver.live.acks.clone().store(ack), FeedInput::Acknowledged, ctx);
        }
        FeedOutput::Subscribe { channels, since, seats_since } => {
            let request = Subscribe { session: session.id, channels, since, seats_since };
            await_reply::<T, _>(driver.relay.send(request), accepted, ctx);
        }
        FeedOutput::Unsubscribe(channels) => {
            let request = Unsubscribe { session: session.id, channels };
            await_reply::<T, _>(driver.relay.send(request), accepted, ctx);
        }
    }
}

/// Waits for the reply to an output, and passes it to the feed.
fn await_reply<T, F>(output: F, input: fn(F::Output) -> FeedInput<'static>, ctx: &mut T::Context)
where
    T: Transport,
    F: Future + 'static,
{
    let output = wrap_future::<_, T>(output);
    ctx.wait(output.map(move |reply, actor: &mut T, ctx: &mut T::Context| replied(actor, input(reply), ctx)));
}

/// Reads a page of a replay, from the tail if that contains the rest of the replay, otherwise from the store.
fn read_page(live: &Live, session: &LiveSession, after: u64, until: u64) -> StoreFuture<ReplayPage> {
    if let Some(page) = live.tail.page(session.identity(), after, until) {
        return flushed().map(|()| Ok(page)).boxed();
    }
    let span = Span { since: after, until: Some(until), limit: REPLAY_PAGE_LEN };
    let page = live.alerts.visible_to(live.reader(session.identity()), span);
    page.map_ok(move |page| ReplayPage::from_store(&page, until)).boxed()
}

/// Waits until the transport polls the session again, which it does only while its write buffer has room. The frames so
/// far are then in the kernel, without a timer for each burst of a replay.
async fn flushed() {
    tokio::task::yield_now().await;
}

fn accepted(request: Result<(), MailboxError>) -> FeedInput<'static> {
    match request {
        Ok(()) => FeedInput::Done,
        Err(_) => FeedInput::RelayGone,
    }
}
