//! Ports for servers that are stopped and started again on the same port.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};

use super::random::Random;

/// The lowest port that is tried. Most services with a fixed port use lower ones.
const FIRST: usize = 10_000;
/// The first port that is not tried. Linux gives the ports from here on to outgoing connections. One of these could
/// take the port of a server that is stopped, and the server could not start again.
const END: usize = 32_768;
/// Maximum number of ports that are tried. All of them are in use only if something is wrong with the machine.
const TRIED_MAX: usize = 100;

/// Returns a port of this machine on which nothing listens, and which no outgoing connection takes while its server is
/// stopped.
pub fn free_port() -> u16 {
    // Not the seed of the test: with it, tests that run at the same time would try the same ports.
    let mut random = Random::seeded(RandomState::new().build_hasher().finish());
    (0..TRIED_MAX)
        .map(|_| u16::try_from(FIRST + random.below(END - FIRST)).expect("a port"))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a free port")
}
