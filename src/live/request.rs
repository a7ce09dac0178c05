//! A request for a live session, whatever its transport.

use std::net::IpAddr;
use std::sync::Arc;

use actix::Addr;

use crate::domain::channel::Channel;
use crate::identity::Caller;
use crate::live::close::Close;
use crate::live::context::Live;
use crate::live::driver::Driver;
use crate::live::feed::Feed;
use crate::live::live_session::{Client, Transport};
use crate::live::relay::Relay;

/// A request for a live session.
pub struct LiveRequest {
    /// What all sessions share.
    pub live: Arc<Live>,
    /// The relay of this thread.
    pub relay: Addr<Relay>,
    /// The caller (`None` for a visitor), or the reason why the connection is not admitted.
    pub caller: Result<Option<Caller>, Close>,
    /// The client's address.
    pub address: IpAddr,
    /// The position at which the client resumes; `None` for a new client.
    pub since: Option<u64>,
    /// Channels to subscribe to once the session is live, all of them open to the caller.
    pub channels: Vec<Channel>,
}

impl LiveRequest {
    /// Adds the session to the list of connections, and returns its driver.
    ///
    /// # Errors
    /// The reason why the connection is not admitted.
    pub(super) fn admit(self, user_agent: &str, transport: Transport) -> Result<Driver, Close> {
        let Self { live, relay, caller, address, since, channels } = self;
        let client = Client { address, user_agent, transport };
        let session = live.presence.admit(caller?, client, live.clock.now())?;
        Ok(Driver::new(live, relay, Feed::new(session, since).with_channels(channels)))
    }
}
