//! Thousands of WebSocket clients in one thread. They do not parse the JSON of frames of which they need a number only.

use std::net::SocketAddr;

use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// Length of the read buffer of a client. It is small, because there are thousands of clients.
const READ_BUFFER_LEN: usize = 4_096;

/// Opens a TCP connection whose receive buffer in the kernel is as small as `buffer`, or has the usual size.
pub(crate) async fn connect(address: SocketAddr, buffer: Option<usize>) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    if let Some(len) = buffer {
        SockRef::from(&socket).set_recv_buffer_size(len).expect("a receive buffer");
    }
    socket.connect(address).await.expect("the server accepts connections")
}

/// Opens a WebSocket on a connection.
pub(crate) async fn upgrade(stream: TcpStream, path: &str) -> WebSocketStream<TcpStream> {
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_LEN);
    let url = format!("ws://{}{path}", stream.peer_addr().expect("a connected socket has a peer"));
    client_async_with_config(url, stream, Some(config)).await.expect("an upgrade").0
}

/// Returns whether a frame has this type.
pub(crate) fn is_type(frame: &str, name: &str) -> bool {
    let rest = frame.strip_prefix("{\"type\":\"").and_then(|rest| rest.strip_prefix(name));
    rest.is_some_and(|rest| rest.starts_with('"'))
}

/// Returns the number after the first occurrence of `begin`.
pub(crate) fn number_after(frame: &str, begin: &str) -> u64 {
    let at = frame.find(begin).unwrap_or_else(|| panic!("no {begin} in {frame}")) + begin.len();
    let digits = frame[at..].find(|c: char| !c.is_ascii_digit()).map_or(&frame[at..], |end| &frame[at..at + end]);
    digits.parse().unwrap_or_else(|_| panic!("no number after {begin} in {frame}"))
}
