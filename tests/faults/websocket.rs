//! The protocol of the WebSocket, byte by byte. The cases have the numbers of the Autobahn test suite, whose cases expect
//! an echo. The hub answers each message that is not JSON with an `error` instead.

use std::io::Write as _;

use serde_json::json;

use crate::support::server::Home;
use crate::support::socket::{Socket, frame};

/// Returns a close frame.
fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(0x88, &[&code.to_be_bytes(), reason].concat())
}

#[test]
fn violations_are_closed_with_the_code_of_the_rfc() {
    let reserved = |bits: u8| frame(0x81 | bits, b"{}");
    let mut cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("1.2.1 a binary message", frame(0x82, b""), 1003),
        ("2.5 a ping of 126 bytes", frame(0x89, &[0xfe; 126]), 1002),
        ("3.1 reserved bit 3", reserved(0x10), 1002),
        ("3.2 reserved bit 2", reserved(0x20), 1002),
        ("3.4 reserved bit 1", reserved(0x40), 1002),
        ("3.6 reserved bits in a ping", frame(0xf9, b""), 1002),
        ("5.1 a ping in two fragments", [frame(0x09, b"a"), frame(0x80, b"b")].concat(), 1002),
        ("5.2 a pong in two fragments", [frame(0x0a, b"a"), frame(0x80, b"b")].concat(), 1002),
        ("5.9 a continuation without a message", frame(0x80, b"a"), 1002),
        ("5.12 an open continuation without a message", frame(0x00, b"a"), 1002),
        ("5.18 a message within a message", [frame(0x01, b"a"), frame(0x81, b"b")].concat(), 1002),
        ("6.3.1 bytes that are not UTF-8", frame(0x81, b"\xce\xba\xed\xa0\x80edited"), 1007),
        (
            "6.4.1 the same in a fragment, before the last",
            [frame(0x01, b"\xce\xba"), frame(0x00, b"\xf4\x90")].concat(),
            1007,
        ),
        ("6.4 the same in the first fragment", frame(0x01, b"\xf4\x90"), 1007),
        ("6.6.1 a message that ends within a character", frame(0x81, b"\xce"), 1007),
        ("6.6 a fragmented message that ends within one", [frame(0x01, b"a"), frame(0x80, b"\xce")].concat(), 1007),
        ("7.3.2 a close frame of one byte", frame(0x88, b"a"), 1002),
        ("7.3.6 a close frame of 126 bytes", close(1000, &[b'*'; 124]), 1002),
        ("7.5.1 a reason that is not UTF-8", close(1000, b"\xce\xba\xed\xa0\x80"), 1002),
        ("a message over 64 KiB", frame(0x81, &[b'*'; 64 * 1024 + 1]), 1009),
        ("an unmasked frame", vec![0x81, 2, b'{', b'}'], 1002),
    ];
    cases
        .extend([3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map(|code| ("4 a reserved opcode", frame(0x80 | code, b""), 1002)));
    let invalid = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535];
    cases.extend(invalid.map(|code| ("7.9 and 7.13 an invalid close code", close(code, b""), 1002)));
    let home = Home::new();
    let server = home.serve();
    for (case, bytes, code) in cases {
        let mut client = Socket::connect(server.address(), None);
        client.wait_for("live", |frame| frame["type"] == "live");
        client.stream().write_all(&bytes).unwrap();
        assert_eq!(client.wait_for_close().0, code, "{case}: {:02x?}", &bytes[..bytes.len().min(16)]);
    }
}

#[test]
fn valid_frames_are_accepted_and_answered() {
    let text = "κόσμε 🎉".as_bytes();
    let chop = |len: usize| {
        let mut chopped = vec![frame(0x01, b"")];
        chopped.extend(text.chunks(len).map(|piece| frame(0x00, piece)));
        chopped.push(frame(0x80, b""));
        chopped.concat()
    };
    let mut cases: Vec<(&str, Vec<u8>, usize)> = vec![
        ("2.7 an unsolicited pong", frame(0x8a, b"x"), 0),
        ("2.10 ten pings", (0..10).flat_map(|_| frame(0x89, b"x")).collect(), 0),
        ("2.4 a ping of 125 bytes", frame(0x89, &[0xfe; 125]), 0),
        ("5.3 two fragments", [frame(0x01, b"a"), frame(0x80, b"b")].concat(), 1),
        ("5.6 a ping between", [frame(0x01, b"a"), frame(0x89, b"x"), frame(0x80, b"b")].concat(), 1),
        ("6.1.3 empty fragments", [frame(0x01, b""), frame(0x00, b"a"), frame(0x80, b"")].concat(), 1),
        ("6.2.3 one byte in a fragment", chop(1), 1),
        ("6.2 three bytes in a fragment", chop(3), 1),
    ];
    cases.extend(
        [1, 125, 126, 127, 128, 65_535, 65_536].map(|len| ("1.1 a text message", frame(0x81, &vec![b'*'; len]), 1)),
    );
    let home = Home::new();
    let server = home.serve();
    for (case, bytes, errors) in cases {
        let mut client = Socket::connect(server.address(), None);
        client.wait_for("live", |frame| frame["type"] == "live");
        client.stream().write_all(&bytes).unwrap();
        client.send(&json!({"type": "ping"}));
        client.wait_for("pong", |frame| frame["type"] == "pong");
        let answered = client.seen().iter().filter(|frame| frame["type"] == "error").count();
        assert_eq!(answered, errors, "{case}");
    }
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
        for reason in [&b""[..], b"Hello World!", &[b'*'; 123]] {
            let mut client = Socket::connect(server.address(), None);
            client.wait_for("live", |frame| frame["type"] == "live");
            client.stream().write_all(&close(code, reason)).unwrap();
            assert_eq!(client.wait_for_close().0, 1000, "7.7 the close code {code}");
        }
    }
}
