//! A TCP stream that does not wait for its peer for ever and does not read from a peer that does
//! not read from us.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};

/// Wraps a stream with three defences against slow clients.
///
/// - A write that the peer leaves blocked for `write_stall` fails.
/// - While a write is blocked nothing is read, so a client cannot pile up answers that it does
///   not fetch.
/// - A stream over which nothing went either way for `idle_max` is closed: a forgotten or half-open
///   socket looks like this.
pub struct PacedStream<S> {
    inner: S,
    write_stall: Duration,
    idle_max: Duration,
    /// Set while a write is blocked; fires when the peer has been slow for too long.
    blocked: Option<Pin<Box<Sleep>>>,
    /// A write was given up: nothing goes either way any more.
    given_up: bool,
    /// The reader that waits for a blocked write.
    reader: Option<Waker>,
    idle: Pin<Box<Sleep>>,
    /// The place among a limited number of connections, free again when the stream is gone.
    _place: Option<OwnedSemaphorePermit>,
}

impl<S> PacedStream<S> {
    /// Wraps `inner`. Must be called on a tokio runtime with timers.
    pub fn new(inner: S, write_stall: Duration, idle_max: Duration) -> Self {
        let idle = Box::pin(sleep(idle_max));
        Self {
            inner,
            write_stall,
            idle_max,
            blocked: None,
            given_up: false,
            reader: None,
            idle,
            _place: None,
        }
    }

    /// Ties a place among a limited number of connections to the life of this stream.
    pub fn holding(mut self, place: OwnedSemaphorePermit) -> Self {
        self._place = Some(place);
        self
    }

    fn stalled(&self) -> io::Error {
        let text = format!("peer took no bytes for {} ms", self.write_stall.as_millis());
        io::Error::new(io::ErrorKind::TimedOut, text)
    }

    /// Keeps the books of one write attempt.
    fn paced<T>(
        &mut self,
        cx: &mut Context<'_>,
        attempt: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if attempt.is_ready() {
            self.blocked = None;
            self.idle.as_mut().reset(Instant::now() + self.idle_max);
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
            return attempt;
        }
        let write_stall = self.write_stall;
        let blocked = self
            .blocked
            .get_or_insert_with(|| Box::pin(sleep(write_stall)));
        match blocked.as_mut().poll(cx) {
            Poll::Ready(()) => {
                // The reader waits for this write and has to learn that it never succeeds.
                self.given_up = true;
                if let Some(reader) = self.reader.take() {
                    reader.wake();
                }
                Poll::Ready(Err(self.stalled()))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PacedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.given_up {
            return Poll::Ready(Err(this.stalled()));
        }
        if this.blocked.is_some() {
            this.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        match Pin::new(&mut this.inner).poll_read(cx, buf) {
            Poll::Ready(result) => {
                this.idle.as_mut().reset(Instant::now() + this.idle_max);
                Poll::Ready(result)
            }
            Poll::Pending => match this.idle.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!(
                        "no bytes went either way for {} ms",
                        this.idle_max.as_millis()
                    ),
                ))),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PacedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let attempt = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.paced(cx, attempt)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let attempt = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.paced(cx, attempt)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    // A socket has nothing to flush, and a flush that is done says nothing of a blocked write.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (ours, _theirs) = tokio::io::duplex(4);
        let mut stream = PacedStream::new(ours, SHORT, LONG);
        let error = stream
            .write_all(&[0; 64])
            .await
            .expect_err("the pipe holds four bytes");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("20 ms"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_waits_for_a_blocked_write_learns_of_its_end() {
        let (ours, _theirs) = tokio::io::duplex(4);
        let (mut reader, mut writer) = tokio::io::split(PacedStream::new(ours, SHORT, LONG));
        let writing = tokio::spawn(async move { writer.write_all(&[0; 64]).await });
        tokio::task::yield_now().await;
        let error = reader.read_u8().await.expect_err("given up");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        writing.await.expect("no panic").expect_err("given up");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_says_nothing_is_given_up() {
        let (ours, _theirs) = tokio::io::duplex(4);
        let mut stream = PacedStream::new(ours, LONG, SHORT);
        let error = stream.read_u8().await.expect_err("nothing was sent");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_read_while_the_peer_leaves_our_bytes_lying() {
        let (ours, mut theirs) = tokio::io::duplex(4);
        theirs.write_all(b"ask!").await.expect("fits the pipe");
        let stream = PacedStream::new(ours, LONG, LONG);
        let (mut reader, mut writer) = tokio::io::split(stream);
        let writing = tokio::spawn(async move { writer.write_all(b"answer").await });
        tokio::task::yield_now().await;
        let reading = tokio::time::timeout(SHORT, reader.read_u8()).await;
        assert!(reading.is_err(), "read although the write was blocked");
        let mut taken = [0; 6];
        theirs
            .read_exact(&mut taken)
            .await
            .expect("six bytes were written");
        writing
            .await
            .expect("no panic")
            .expect("the peer reads again");
        assert_eq!(reader.read_u8().await.expect("reads again"), b'a');
    }
}
