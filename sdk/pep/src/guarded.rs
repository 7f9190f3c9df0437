//! What outlives the answer to a request, and does not outlive the decision that allowed it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum_core::BoxError;
use axum_core::body::Body;
use bytes::Bytes;
use futures_core::Stream;
use futures_sink::Sink;
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::life::{Ended, Life};

pin_project! {
    /// A socket that works as long as its decision holds ([`Permitted::guard`](crate::Permitted::guard)).
    ///
    /// ```
    /// # async fn shows(permitted: countersign_sdk_pep::Permitted) -> std::io::Result<()> {
    /// use tokio::io::AsyncWriteExt;
    ///
    /// let (ours, theirs) = tokio::io::duplex(64);
    /// let mut guarded = permitted.guard(ours);
    /// guarded.write_all(b"as long as it is allowed").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[derive(Debug)]
    pub struct Guarded<S> {
        #[pin]
        socket: S,
        life: Life,
    }
}

impl<S> Guarded<S> {
    pub(crate) const fn new(socket: S, life: Life) -> Self {
        Self { socket, life }
    }

    /// The socket without its guard: to say goodbye.
    ///
    /// ```
    /// # async fn shows(permitted: countersign_sdk_pep::Permitted) -> std::io::Result<()> {
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// let (ours, theirs) = tokio::io::duplex(64);
    /// let mut guarded = permitted.guard(ours);
    /// let mut read = Vec::new();
    /// guarded.read_to_end(&mut read).await?;
    /// guarded.into_inner().write_all(b"goodbye").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn into_inner(self) -> S {
        self.socket
    }
}

/// Why nothing more can be written.
///
/// ```
/// use countersign_sdk_pep::{Ended, GuardError};
///
/// let error: GuardError<std::io::Error> = GuardError::Ended(Ended);
/// assert_eq!(error.to_string(), "the decision that allowed this has ended");
/// ```
#[derive(Debug, thiserror::Error)]
pub enum GuardError<E> {
    /// The decision is over.
    #[error(transparent)]
    Ended(Ended),
    /// The socket fails.
    #[error("the socket failed")]
    Socket(#[source] E),
}

impl<S: Stream> Stream for Guarded<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        match ready!(this.life.poll(cx)) {
            Ok(()) => this.socket.poll_next(cx),
            Err(Ended) => Poll::Ready(None),
        }
    }
}

impl<T, S: Sink<T>> Sink<T> for Guarded<S> {
    type Error = GuardError<S::Error>;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let this = self.project();
        ready!(this.life.poll(cx)).map_err(GuardError::Ended)?;
        this.socket.poll_ready(cx).map_err(GuardError::Socket)
    }

    fn start_send(self: Pin<&mut Self>, item: T) -> Result<(), Self::Error> {
        self.project().socket.start_send(item).map_err(GuardError::Socket)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let this = self.project();
        ready!(this.life.poll(cx)).map_err(GuardError::Ended)?;
        this.socket.poll_flush(cx).map_err(GuardError::Socket)
    }

    /// Closing is allowed to everybody.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.project().socket.poll_close(cx).map_err(GuardError::Socket)
    }
}

impl<S: AsyncRead> AsyncRead for Guarded<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.project();
        match ready!(this.life.poll(cx)) {
            Ok(()) => this.socket.poll_read(cx, buffer),
            Err(Ended) => Poll::Ready(Ok(())),
        }
    }
}

impl<S: AsyncWrite> AsyncWrite for Guarded<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.project();
        ready!(this.life.poll(cx)).map_err(over)?;
        this.socket.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.project();
        ready!(this.life.poll(cx)).map_err(over)?;
        this.socket.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().socket.poll_shutdown(cx)
    }
}

fn over(ended: Ended) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, ended)
}

/// The body of an answer. When its decision is over it ends with an error, by which the client sees a stream that broke off.
pub(crate) struct GuardedBody {
    body: Option<Body>,
    life: Life,
}

impl GuardedBody {
    pub(crate) const fn new(body: Body, life: Life) -> Self {
        Self { body: Some(body), life }
    }
}

impl http_body::Body for GuardedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        if let Err(ended) = ready!(this.life.poll(cx)) {
            // What made the body is let go at once.
            this.body = None;
            return Poll::Ready(Some(Err(ended.into())));
        }
        Pin::new(body).poll_frame(cx).map_err(Into::into)
    }

    /// A body that was cut is not at its end.
    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_some_and(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(http_body::Body::size_hint).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
