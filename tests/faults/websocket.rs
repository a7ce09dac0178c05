//! The protocol of the WebSocket, byte by byte. The cases have the numbers of the Autobahn test suite, whose cases
//! expect an echo. The hub replies to each message that is not JSON with an `error` instead.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;

use crate::support::WAIT_MAX;
use crate::support::server::{Home, Server};
use crate::support::socket::{Socket, frame};

/// Returns a close frame.
fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(0x88, &[&code.to_be_bytes(), reason].concat())
}

#[test]
fn violations_close_the_connection_with_the_code_of_the_rfc() {
    let reserved = |bits: u8| frame(0x81 | bits, b"{}");
    let mut cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("1.2.1 a binary message", frame(0x82, b""), 1003),
        ("2.5 a ping of 126 bytes", frame(0x89, &[0xfe; 126]), 1002),
        ("3.1 reserved bit 3", reserved(0x10), 1002),
        ("3.2 reserved bit 2", reserved(0x20), 1002),
        ("3.4 reserved bit 1", reserved(0x40), 1002),
        ("3.3 reserved bits 2 and 3", reserved(0x30), 1002),
        ("3.5 reserved bits 1 and 3 in a binary message", frame(0xd2, b"a"), 1002),
        ("3.6 reserved bits in a ping", frame(0xf9, b""), 1002),
        ("3.7 reserved bits in a close frame", frame(0xf8, b"\x03\xe8"), 1002),
        ("5.1 a ping in two fragments", [frame(0x09, b"a"), frame(0x80, b"b")].concat(), 1002),
        ("5.2 a pong in two fragments", [frame(0x0a, b"a"), frame(0x80, b"b")].concat(), 1002),
        ("5.9 a continuation without a message", frame(0x80, b"a"), 1002),
        ("5.12 an open continuation without a message", frame(0x00, b"a"), 1002),
        ("5.16 the same before a message", [frame(0x00, b"a"), frame(0x81, b"b")].concat(), 1002),
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
        let mut client = connect(&server);
        client.stream().write_all(&bytes).unwrap();
        assert_eq!(client.wait_for_close().0, code, "{case}: {:02x?}", &bytes[..bytes.len().min(16)]);
    }
}

/// A message that is not JSON, to which the hub replies with an `error`.
const MESSAGE: &[u8] = b"Hello";

fn connect(server: &Server) -> Socket {
    let mut client = Socket::connect(server.address(), None);
    client.wait_for("live", |frame| frame["type"] == "live");
    client
}

/// Returns how many messages of the client were replied to.
fn replies(client: &Socket) -> usize {
    client.seen().iter().filter(|frame| frame["type"] == "error").count()
}

#[test]
fn a_message_before_a_violation_is_replied_to() {
    let message = frame(0x81, MESSAGE);
    let fragmented = [frame(0x01, b"He"), frame(0x80, b"llo")].concat();
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("3.2 reserved bit 2", vec![message.clone(), frame(0xa1, MESSAGE), frame(0x89, b"")]),
        ("3.3 reserved bits 2 and 3", vec![message.clone(), frame(0xb1, MESSAGE), frame(0x89, b"")]),
        ("3.4 reserved bit 1", vec![message.clone(), frame(0xc1, MESSAGE), frame(0x89, b"")]),
        ("4.1.3 a reserved opcode", vec![message.clone(), frame(0x85, b""), frame(0x89, b"")]),
        ("4.2.3 a reserved control opcode", vec![message.clone(), frame(0x8d, b""), frame(0x89, b"")]),
        ("5.15 an open continuation", vec![fragmented, frame(0x00, b"a"), message]),
    ];
    let home = Home::new();
    let server = home.serve();
    for (case, frames) in cases {
        for len in [1, 4_096] {
            let mut client = connect(&server);
            for chop in frames.concat().chunks(len) {
                // The hub closes the connection before the last bytes.
                let _ = client.stream().write_all(chop);
            }
            assert_eq!(client.wait_for_close().0, 1002, "{case}, in pieces of {len} bytes");
            assert_eq!(replies(&client), 1, "{case}, in pieces of {len} bytes");
        }
    }
}

#[test]
fn invalid_text_in_pieces_of_one_frame_is_rejected_before_its_end() {
    let (valid, invalid) = (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", b"\xf4\x90\x80\x80");
    // Pongs, which the client may send within the frame, must not complete it, so the rest is long.
    let rest = b"edited".repeat(5_000);
    let whole = frame(0x81, &[&valid[..], invalid, &rest].concat());
    let begin = whole.len() - rest.len() - invalid.len();
    let home = Home::new();
    let server = home.serve();
    // 6.4.3 ends the second piece after the invalid character, and 6.4.4 after the byte that makes it invalid. The rest
    // of the frame is never sent.
    for invalid_len in [invalid.len(), 2] {
        let mut client = connect(&server);
        for piece in [&whole[..begin], &whole[begin..begin + invalid_len]] {
            client.stream().write_all(piece).unwrap();
        }
        assert_eq!(client.wait_for_close().0, 1007, "{invalid_len} bytes of the character in the second piece");
        assert_eq!(replies(&client), 0);
    }
}

/// Reads until the hub closes the connection, and returns the first byte and the payload of each frame.
fn frames_until_end(stream: &mut TcpStream) -> Vec<(u8, Vec<u8>)> {
    stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
    let (mut bytes, mut frames) = (Vec::new(), Vec::new());
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        // The hub has closed the connection before it read what the client sent after its close frame.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the hub closes the connection: {error}"),
    }
    let mut rest = &bytes[..];
    while let [first, len, tail @ ..] = rest {
        let (len, tail) = match len {
            126 => (usize::from(u16::from_be_bytes([tail[0], tail[1]])), &tail[2..]),
            short => (usize::from(*short), tail),
        };
        frames.push((*first, tail[..len].to_vec()));
        rest = &tail[len..];
    }
    frames
}

#[test]
fn nothing_is_handled_after_a_close_frame() {
    let bye = close(1000, b"");
    let message = frame(0x81, MESSAGE);
    let large = frame(0x81, &[b'*'; 60_000]);
    let cases: [(&str, Vec<u8>, usize); 7] = [
        ("7.1.1 a close frame after a message", [&message[..], &bye].concat(), 1),
        ("7.1.2 two close frames", [&bye[..], &bye].concat(), 0),
        ("7.1.3 a ping after a close frame", [&bye[..], &frame(0x89, b"x")].concat(), 0),
        ("7.1.4 a message after a close frame", [&bye[..], &message].concat(), 0),
        ("7.1.5 a close frame within a message", [&frame(0x01, b"a"), &bye[..], &frame(0x80, b"b")].concat(), 0),
        ("7.1.6 a long message, a close frame and a ping", [&large[..], &bye, &frame(0x89, b"x")].concat(), 1),
        ("7.3.1 a close frame without a code", frame(0x88, b""), 0),
    ];
    let home = Home::new();
    let server = home.serve();
    for (case, bytes, expected) in cases {
        let mut client = connect(&server);
        client.stream().write_all(&bytes).unwrap();
        let received = frames_until_end(client.stream());
        let (last, before) = received.split_last().expect("a close frame");
        assert_eq!(last, &(0x88, 1000_u16.to_be_bytes().to_vec()), "{case}");
        let texts = before.iter().filter(|(first, text)| *first == 0x81 && text.starts_with(b"{\"type\":\"error\""));
        assert_eq!((before.len(), texts.count()), (expected, expected), "{case}");
    }
}

/// The name of a case, its frames, the number of messages in them, and the payloads of the expected pongs.
type ValidCase = (&'static str, Vec<u8>, usize, Vec<Vec<u8>>);

#[test]
fn valid_frames_are_accepted_and_replied_to() {
    let text = "κόσμε 🎉".as_bytes();
    let chop = |len: usize| {
        let mut chopped = vec![frame(0x01, b"")];
        chopped.extend(text.chunks(len).map(|piece| frame(0x00, piece)));
        chopped.push(frame(0x80, b""));
        chopped.concat()
    };
    let ping = |payload: &[u8]| frame(0x89, payload);
    let five = [frame(0x01, b"a"), frame(0x00, b"b"), ping(b"1"), frame(0x00, b"c"), frame(0x00, b"d"), ping(b"2")];
    let ten: Vec<Vec<u8>> = (b'0'..=b'9').map(|digit| vec![digit]).collect();
    let none = || Vec::<Vec<u8>>::new();
    let mut cases: Vec<ValidCase> = vec![
        ("2.1 a ping without a payload", ping(b""), 0, vec![vec![]]),
        ("2.2 a ping with text", ping(b"Hello, world!"), 0, vec![b"Hello, world!".to_vec()]),
        (
            "2.3 a ping with bytes that are not text",
            ping(b"\x00\xff\xfe\x00\xff"),
            0,
            vec![b"\x00\xff\xfe\x00\xff".to_vec()],
        ),
        ("2.4 a ping of 125 bytes", ping(&[0xfe; 125]), 0, vec![vec![0xfe; 125]]),
        ("2.7 an unsolicited pong without a payload", frame(0x8a, b""), 0, none()),
        ("2.8 an unsolicited pong", frame(0x8a, b"x"), 0, none()),
        ("2.9 an unsolicited pong and a ping", [frame(0x8a, b"x"), ping(b"y")].concat(), 0, vec![b"y".to_vec()]),
        ("2.10 ten pings", ten.iter().flat_map(|payload| ping(payload)).collect(), 0, ten.clone()),
        ("5.3 two fragments", [frame(0x01, b"a"), frame(0x80, b"b")].concat(), 1, none()),
        ("5.6 a ping between", [frame(0x01, b"a"), ping(b"x"), frame(0x80, b"b")].concat(), 1, vec![b"x".to_vec()]),
        (
            "5.19 and 5.20 two pings between five fragments",
            [&five.concat()[..], &frame(0x80, b"e")].concat(),
            1,
            vec![b"1".to_vec(), b"2".to_vec()],
        ),
        ("6.1.3 empty fragments", [frame(0x01, b""), frame(0x00, b"a"), frame(0x80, b"")].concat(), 1, none()),
        ("6.2.3 one byte in a fragment", chop(1), 1, none()),
        ("6.2 three bytes in a fragment", chop(3), 1, none()),
    ];
    cases.extend(
        [1, 125, 126, 127, 128, 65_535, 65_536]
            .map(|len| ("1.1 a text message", frame(0x81, &vec![b'*'; len]), 1, none())),
    );
    let home = Home::new();
    let server = home.serve();
    for (case, bytes, messages, pongs) in cases {
        // Short frames also byte by byte, as in 2.6, 2.11 and 5.4.
        for len in [1, bytes.len()].into_iter().skip(usize::from(bytes.len() > 500)) {
            let mut client = connect(&server);
            for piece in bytes.chunks(len) {
                client.stream().write_all(piece).unwrap();
            }
            client.send(&json!({"type": "ping"}));
            client.wait_for("pong", |frame| frame["type"] == "pong");
            assert_eq!(replies(&client), messages, "{case}, in pieces of {len} bytes");
            assert_eq!(client.pongs(), pongs, "{case}, in pieces of {len} bytes");
        }
    }
}

#[test]
fn every_valid_close_code_is_replied_to() {
    let home = Home::new();
    let server = home.serve();
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
        for reason in [&b""[..], b"Hello World!", &[b'*'; 123]] {
            let mut client = connect(&server);
            client.stream().write_all(&close(code, reason)).unwrap();
            assert_eq!(client.wait_for_close().0, 1000, "7.7 the close code {code}");
        }
    }
}
