//! A TCP connection to Plone on which end of file is an error.
//!
//! The HTTP parser treats the end of a connection as the end of a body. However, only `Content-Length` or a last chunk
//! shows that a response is complete (RFC 9112, 6.3). A response without either cannot be distinguished from a
//! truncated one. So the hub rejects responses that end with the connection.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use actix_rt::net::{ActixStream, Ready, TcpStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection that is counted while it is open. See the [module](self).
#[derive(Debug)]
pub(super) struct PloneConnection {
    stream: TcpStream,
    open: Arc<AtomicUsize>,
}

impl PloneConnection {
    /// Connects to a host and counts the connection in `open`.
    pub(super) async fn connect(host: &str, port: u16, open: Arc<AtomicUsize>) -> Result<Self> {
        // The host of a URL has brackets around an IPv6 address, which the resolver does not accept.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        open.fetch_add(1, Relaxed);
        Ok(Self { stream, open })
    }
}

impl Drop for PloneConnection {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Relaxed);
    }
}

impl AsyncRead for PloneConnection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() == before && buf.remaining() > 0 {
            return Poll::Ready(Err(Error::new(ErrorKind::UnexpectedEof, "Plone closed the connection")));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for PloneConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl ActixStream for PloneConnection {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<Result<Ready>> {
        ActixStream::poll_read_ready(&self.stream, cx)
    }
    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<Result<Ready>> {
        ActixStream::poll_write_ready(&self.stream, cx)
    }
}
