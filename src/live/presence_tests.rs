//! Tests of the list of connections.

use super::*;
use crate::live::live_session::{TooManyChannels, Transport};

fn caller(user: &str) -> Option<Caller> {
    let user = UserName::parse(user).unwrap();
    let (name, token_id) = (user.as_str().into(), Uuid::nil());
    let source = crate::identity::Source::Hub;
    let expires_at = Timestamp::MAX;
    Some(Caller {
        user,
        name,
        role: Role::Student,
        subjects: None,
        source,
        plone_user: None,
        token_id,
        issued_ms: 0,
        expires_at,
        realm: crate::domain::realm::Realm::College,
    })
}

/// Returns a client at the address 10.0.0.`last`.
fn at(last: u8) -> Client<&'static str> {
    Client { address: IpAddr::from([10, 0, 0, last]), user_agent: "a", transport: Transport::WebSocket }
}

#[test]
fn limits_apply_per_user_per_address_and_in_total() {
    let presence = Presence::new(ConnectionLimits { all: 4, per_user: 2, per_address: 3 });
    let now = Timestamp::UNIX_EPOCH;
    let first = presence.admit(caller("ann"), at(1), now).unwrap();
    presence.admit(caller("ann"), at(1), now).unwrap();
    assert_eq!(presence.admit(caller("ann"), at(2), now).unwrap_err(), Close::TooMany, "per user");
    presence.admit(None, at(1), now).unwrap();
    assert_eq!(presence.admit(None, at(1), now).unwrap_err(), Close::TooMany, "per address");
    presence.admit(None, at(2), now).unwrap();
    assert_eq!(presence.admit(None, at(3), now).unwrap_err(), Close::TooMany, "in all");
    presence.remove(first.id);
    presence.remove(first.id);
    assert_eq!(presence.len(), 3);
    presence.admit(caller("ann"), at(1), now).unwrap();
}

#[test]
fn visitors_leave_a_quarter_of_all_connections_to_signed_in_users() {
    let presence = Presence::new(ConnectionLimits { all: 8, ..ConnectionLimits::default() });
    let now = Timestamp::UNIX_EPOCH;
    let first = presence.admit(None, at(1), now).unwrap();
    for _ in 1..6 {
        presence.admit(None, at(1), now).unwrap();
    }
    assert_eq!(presence.admit(None, at(2), now).unwrap_err(), Close::TooMany);
    presence.admit(caller("ann"), at(1), now).unwrap();
    presence.admit(caller("bob"), at(1), now).unwrap();
    assert_eq!(presence.admit(caller("eve"), at(1), now).unwrap_err(), Close::TooMany, "in all");
    presence.remove(first.id);
    presence.admit(None, at(1), now).unwrap();
    assert_eq!((presence.len(), presence.by_role()[0]), (8, (None, 6)));
    assert_eq!(presence.refused()[..2], [("all", 1), ("visitors", 1)]);
}

#[test]
fn a_user_is_connected_until_the_last_connection_ends() {
    let presence = Presence::new(ConnectionLimits::default());
    let ann = UserName::parse("ann").unwrap();
    let one = presence.admit(caller("ann"), at(1), Timestamp::UNIX_EPOCH).unwrap();
    let two = presence.admit(caller("ann"), at(1), Timestamp::UNIX_EPOCH).unwrap();
    assert!(Arc::ptr_eq(&one.user_agent, &two.user_agent));
    assert_eq!(presence.by_role()[1], (Some(Role::Student), 2));
    let visitor = presence.admit(None, at(2), Timestamp::UNIX_EPOCH).unwrap();
    let online = presence.count_people(|_| true);
    assert_eq!((online.users, online.visitors, online.total()), (1, 1, 2), "one person has two connections");
    presence.remove(visitor.id);
    presence.remove(one.id);
    assert!(presence.is_connected(&ann));
    presence.remove(two.id);
    assert!(!presence.is_connected(&ann));
    assert!(presence.is_empty());
    assert_eq!(presence.by_role().map(|(_, count)| count), [0; 5]);
}

#[test]
fn no_connection_is_admitted_while_the_hub_drains() {
    let presence = Presence::new(ConnectionLimits::default());
    presence.drain();
    assert_eq!(presence.admit(None, at(1), Timestamp::UNIX_EPOCH).unwrap_err(), Close::Restarting);
}

#[test]
fn ids_ascend_even_when_the_clock_is_set_back() {
    let presence = Presence::new(ConnectionLimits::default());
    let times = [5_000, 5_000, 5_001, 4_000, 4_000, 6_000].map(|ms| Timestamp::from_millisecond(ms).unwrap());
    let ids = times.map(|now| presence.admit(None, at(1), now).unwrap().id);
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
}

#[test]
fn channels_of_all_sessions_together_are_bounded() {
    let mut presence = Presence::new(ConnectionLimits::default());
    presence.channels = Arc::new(Budget::new(3));
    let admit = || presence.admit(None, at(1), Timestamp::UNIX_EPOCH).unwrap();
    let section = |number: u32| Channel::parse(&format!("section:T-{number}")).unwrap();
    let (first, second) = (admit(), admit());
    for number in [1, 2] {
        assert_eq!(first.add_channel(&section(number), 9), Ok(true));
        assert_eq!(first.add_channel(&section(number), 9), Ok(false), "again");
    }
    assert_eq!(second.add_channel(&section(1), 9), Ok(true));
    assert_eq!(second.add_channel(&section(2), 9), Err(TooManyChannels::OfAllSessions));
    assert!(first.remove_channel(&section(1)) && !first.remove_channel(&section(1)));
    assert_eq!(second.add_channel(&section(2), 9), Ok(true));
    presence.remove(second.id);
    drop(second);
    assert_eq!(presence.channels(), 1, "an ended session gives its channels back");
    assert_eq!(first.add_channel(&section(3), 2), Err(TooManyChannels::OfSession));
}
