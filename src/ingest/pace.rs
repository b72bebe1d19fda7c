//! How fast a body must come: a client that is silent, or trickles to hold a connection open, is
//! cut off. Only time spent waiting for the client counts, not the time our disk takes.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::error::PayloadError;
use bytes::Bytes;
use futures_util::Stream;
use tokio::time::{Instant, Sleep, sleep};

use super::Options;

/// Why a body was too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slow {
    /// Nothing came for so long.
    Silent(Duration),
    /// Fewer bytes a second than this, over the window.
    Trickle(u64),
}

impl Slow {
    /// The name of the limit that was met in the configuration, and its value.
    pub(super) fn limit(self) -> (&'static str, u64) {
        match self {
            Self::Silent(timeout) => ("upload_idle_seconds", timeout.as_secs()),
            Self::Trickle(rate) => ("min_upload_bytes_per_second", rate),
        }
    }
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(timeout) => write!(f, "no bytes came for {} s", timeout.as_secs()),
            Self::Trickle(rate) => write!(f, "fewer than {rate} bytes a second came"),
        }
    }
}

impl std::error::Error for Slow {}

/// The rule: at least `rate` bytes a second over each window of waiting, and no silence longer than
/// `idle`.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    rate: u64,
    window: Duration,
    idle: Duration,
    /// Waited in this window.
    waited: Duration,
    /// Received in this window.
    bytes: u64,
    /// Waited since the last byte.
    silent: Duration,
}

impl Pace {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            rate: options.min_rate_bytes_per_second,
            window: options.rate_window,
            idle: options.idle_timeout,
            waited: Duration::ZERO,
            bytes: 0,
            silent: Duration::ZERO,
        }
    }

    /// How long to wait for the next bytes before the rule must be looked at again.
    fn patience(&self) -> Duration {
        let to_silence = self.idle.saturating_sub(self.silent);
        let to_window = self.window.saturating_sub(self.waited);
        to_silence.min(to_window)
    }

    /// `bytes` came after waiting for them.
    fn received(&mut self, bytes: u64, waited: Duration) -> Result<(), Slow> {
        self.bytes += bytes;
        self.silent = Duration::ZERO;
        self.wait(waited)
    }

    /// Nothing came.
    fn waited_in_vain(&mut self, waited: Duration) -> Result<(), Slow> {
        self.silent += waited;
        if self.silent >= self.idle {
            return Err(Slow::Silent(self.idle));
        }
        self.wait(waited)
    }

    fn wait(&mut self, waited: Duration) -> Result<(), Slow> {
        self.waited += waited;
        if self.waited < self.window {
            return Ok(());
        }
        let expected = u128::from(self.rate) * self.waited.as_millis() / 1000;
        if u128::from(self.bytes) < expected {
            return Err(Slow::Trickle(self.rate));
        }
        self.waited = Duration::ZERO;
        self.bytes = 0;
        Ok(())
    }
}

/// A body that ends with [`Slow`] where it doesn't keep the pace.
pub(super) struct Paced<S> {
    body: S,
    pace: Pace,
    /// Since when we wait for the client, and until when.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<S> Paced<S> {
    pub(super) fn new(body: S, options: &Options) -> Self {
        Self {
            body,
            pace: Pace::new(options),
            waiting: None,
        }
    }
}

impl<S, E> Stream for Paced<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: From<Slow>,
{
    type Item = Result<Bytes, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Poll::Ready(item) = Pin::new(&mut self.body).poll_next(cx) {
                let waited = self
                    .waiting
                    .take()
                    .map_or(Duration::ZERO, |(since, _)| since.elapsed());
                let Some(Ok(bytes)) = &item else {
                    return Poll::Ready(item);
                };
                let kept = self.pace.received(bytes.len() as u64, waited);
                return Poll::Ready(Some(kept.map_err(E::from).and(item.expect("looked at"))));
            }
            let patience = self.pace.patience();
            let (since, alarm) = self
                .waiting
                .get_or_insert_with(|| (Instant::now(), Box::pin(sleep(patience))));
            std::task::ready!(alarm.as_mut().poll(cx));
            let waited = since.elapsed();
            self.waiting = None;
            if let Err(error) = self.pace.waited_in_vain(waited) {
                return Poll::Ready(Some(Err(error.into())));
            }
        }
    }
}

/// For bodies that a library reads on: [`super::refusal::Refusal::from_payload`] finds it again.
impl From<Slow> for PayloadError {
    fn from(slow: Slow) -> Self {
        Self::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, slow))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        Pace::new(&Options {
            min_rate_bytes_per_second: 100,
            rate_window: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(10),
            ..Options::default()
        })
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_trickle_is_cut_at_the_end_of_the_window() {
        let mut pace = pace();
        for _ in 0..29 {
            assert_eq!(pace.received(99, SECOND), Ok(()));
        }
        assert_eq!(pace.received(99, SECOND), Err(Slow::Trickle(100)));
    }

    #[test]
    fn a_steady_body_goes_on_for_ever() {
        let mut pace = pace();
        for _ in 0..1000 {
            assert_eq!(pace.received(100, SECOND), Ok(()));
        }
    }

    #[test]
    fn silence_is_cut_even_after_a_burst() {
        let mut pace = pace();
        assert_eq!(pace.received(1 << 30, SECOND), Ok(()));
        assert_eq!(pace.patience(), Duration::from_secs(10));
        assert_eq!(pace.waited_in_vain(SECOND * 9), Ok(()));
        assert_eq!(pace.patience(), SECOND);
        assert_eq!(pace.waited_in_vain(SECOND), Err(Slow::Silent(SECOND * 10)));
    }

    #[test]
    fn our_own_slowness_is_not_the_clients() {
        let mut pace = pace();
        // A thousand pieces that were there as soon as we asked.
        for _ in 0..1000 {
            assert_eq!(pace.received(1, Duration::ZERO), Ok(()));
        }
        assert_eq!(pace.patience(), Duration::from_secs(10));
    }
}
