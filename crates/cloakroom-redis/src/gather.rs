//! What several requests send at the same time leaves in one write.
//!
//! A connection's task writes as soon as it is polled, which is when the first of many has something
//! to send. Here it lets those have their turn that are ready to run, once, and then writes for all:
//! no timer, no queue of our own, and nothing changes hands, so that who is cancelled takes nothing
//! along. A request that is alone is written at once.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many requests wait for an answer of one connection.
#[derive(Clone, Default)]
pub(crate) struct Waiting(Arc<AtomicUsize>);

/// One of them, until it is dropped.
pub(crate) struct OneMore(Arc<AtomicUsize>);

impl Waiting {
    pub(crate) fn one_more(&self) -> OneMore {
        // Only a hint, and guards nothing.
        self.0.fetch_add(1, Ordering::Relaxed);
        OneMore(Arc::clone(&self.0))
    }

    fn are_several(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 1
    }
}

impl Drop for OneMore {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream that holds a write back for one turn of the scheduler while several wait.
pub(crate) struct Gathering<S> {
    stream: S,
    waiting: Waiting,
    next: Next,
}

enum Next {
    /// The next write may wait for company.
    MayWait,
    /// It has waited.
    Goes,
}

impl<S> Gathering<S> {
    pub(crate) fn over(stream: S, waiting: Waiting) -> Self {
        Self { stream, waiting, next: Next::MayWait }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathering<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if matches!(self.next, Next::MayWait) && self.waiting.are_several() {
            self.next = Next::Goes;
            // A task that wakes itself comes behind all that are ready.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    /// Comes when all has been written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.next = Next::MayWait;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::task::{Wake, Waker};

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicU32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes, and says whether it was done at once and how often the task was woken.
    fn write(stream: &mut Gathering<Vec<u8>>) -> (bool, u32) {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let written = Pin::new(stream).poll_write(&mut Context::from_waker(&waker), b"x");
        (written.is_ready(), woken.0.load(Ordering::Relaxed))
    }

    fn flush(stream: &mut Gathering<Vec<u8>>) {
        let flushed = Pin::new(stream).poll_flush(&mut Context::from_waker(Waker::noop()));
        assert!(flushed.is_ready());
    }

    #[test]
    fn a_request_that_is_alone_is_written_at_once() {
        let waiting = Waiting::default();
        let mut stream = Gathering::over(Vec::new(), waiting.clone());
        let _alone = waiting.one_more();
        assert_eq!(write(&mut stream), (true, 0));
        flush(&mut stream);
        // Others came and went.
        drop(waiting.one_more());
        assert_eq!(write(&mut stream), (true, 0));
    }

    #[test]
    fn several_wait_for_one_turn_and_no_longer() {
        let waiting = Waiting::default();
        let mut stream = Gathering::over(Vec::new(), waiting.clone());
        let _several = (waiting.one_more(), waiting.one_more());
        for _ in 0..2 {
            assert_eq!(write(&mut stream), (false, 1), "held back, and woken for the next turn");
            assert_eq!(write(&mut stream), (true, 0), "then written");
            assert_eq!(write(&mut stream), (true, 0), "with what the socket did not take at once");
            flush(&mut stream);
        }
    }
}
