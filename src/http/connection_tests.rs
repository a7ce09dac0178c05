//! Tests of connections and their limits.

use super::*;

fn room(visitors_per_address: usize) -> Room {
    let limits = RoomLimits { connections: 100, visitors_per_address, silent_max: Duration::from_secs(75) };
    Room::new(limits, Site::new(None, 8000).unwrap())
}

#[test]
fn visitors_are_counted_by_address() {
    let limited = room(10);
    let visit = |room: &Room, peer: &str| room.enter(Some(peer.parse().unwrap()));
    let visits = |peer: &str| visit(&limited, peer).map(|address| limited.visitors_at(address));
    assert_eq!((visits("192.0.2.7"), visits("192.0.2.7"), visits("192.0.2.8")), (Some(1), Some(2), Some(1)));
    assert_eq!((visits("2001:db8::1"), visits("2001:db8::2")), (Some(1), Some(2)), "one network");
    limited.leave(AddressKey::from("192.0.2.7".parse::<IpAddr>().unwrap()));
    assert_eq!(visits("192.0.2.7"), Some(2));
    assert_eq!(visit(&room(0), "192.0.2.7"), None, "no limit");
}

#[test]
fn a_bounded_response_must_be_read_at_a_minimum_pace() {
    let connection = Connection {
        activity: Cell::new(Activity::Busy),
        since: Cell::new(Instant::now()),
        is_ended: Cell::new(false),
        is_gone: Cell::new(false),
        is_reserved: false,
        address: Cell::new(None),
        waker: RefCell::default(),
        send_by: Cell::default(),
        room: Arc::new(room(10)),
    };
    connection.room.open.fetch_add(1, Relaxed);
    assert!(
        !connection.is_send_late(Instant::now() + Duration::from_secs(3_600)),
        "other responses may take a long time"
    );
    connection.send_within_pace(10 * 4 * 1024);
    let after = |seconds| Instant::now() + Duration::from_secs(seconds);
    assert!(!connection.is_send_late(after(39)) && connection.is_send_late(after(41)));
    connection.set(Activity::Silent);
    assert!(!connection.is_send_late(after(41)), "it was sent");
}

#[test]
fn one_address_never_takes_more_than_half_of_the_room() {
    assert_eq!(room(1_000).limits.visitors_per_address, 50);
}

#[test]
fn connections_that_are_not_busy_become_overdue() {
    let s = Duration::from_secs;
    // Whether it is overdue when there are enough descriptors, and when they are scarce.
    let table = [
        (Activity::Busy, s(3_600), false, false),
        (Activity::Silent, s(2), false, false),
        (Activity::Silent, s(3), false, true),
        (Activity::Silent, s(3_600), false, true),
        (Activity::Silent, s(3_601), true, true),
        (Activity::Head, s(2), false, false),
        (Activity::Head, s(3), false, true),
        (Activity::Head, s(15), false, true),
        (Activity::Head, s(16), true, true),
    ];
    for (activity, waited, enough, scarce) in table {
        let overdue = [false, true].map(|is_scarce| is_overdue(activity, waited, is_scarce, s(3_600)));
        assert_eq!(overdue, [enough, scarce], "{activity:?} for {waited:?}");
    }
}
