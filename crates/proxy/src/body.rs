//! The body of a request on its way to a worker: streamed, or held so that it can be sent again.

use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use clock::Clock;
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};
use jiff::Timestamp;

use crate::downstream::{Asker, Connection, Inflow};
use crate::strict::Fault;

/// Bodies up to this size are held, so that a slow client keeps no worker and an idempotent request can
/// be sent again: most forms and API calls fit, and a queue full of them stays under 64 MiB.
pub(crate) const HELD_BYTES_MAX: usize = 64 * 1024;

/// Pieces shorter than this are joined to the one before.
const JOINED_BYTES_MAX: usize = 4 * 1024;

/// What went wrong with a body on the client's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyFault {
    #[error("the request's body broke off or is malformed")]
    Broken,
    #[error("the request's body is longer than allowed")]
    TooLarge,
    #[error("{}", .0.text)]
    Malformed(Fault),
}

/// How far a body has got, for whoever handed it out to be sent.
#[derive(Debug)]
pub(crate) struct Progress {
    /// When its latest piece was sent on.
    pub(crate) moved_at: Cell<Timestamp>,
    /// Whether the worker could take more than the client has sent.
    pub(crate) starved: Cell<bool>,
    pub(crate) fault: Cell<Option<BodyFault>>,
}

impl Progress {
    /// Whoever sends the body says when that begins.
    fn new() -> Rc<Self> {
        let moved_at = Cell::new(Timestamp::UNIX_EPOCH);
        Rc::new(Self { moved_at, starved: Cell::default(), fault: Cell::default() })
    }
}

/// Where a body comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// The client's connection, which brings one request after the other.
    Http1(Rc<Connection>),
    /// A stream among others.
    Http2(Box<Inflow>),
}

impl Source {
    fn is_over(&self) -> bool {
        match self {
            Self::Http1(connection) => connection.is_over(),
            Self::Http2(inflow) => inflow.is_over(),
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        match self {
            Self::Http1(connection) => connection.poll_body(cx),
            Self::Http2(inflow) => inflow.poll_frame(cx),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let left = match self {
            Self::Http1(connection) => connection.length_left(),
            Self::Http2(inflow) => inflow.length_left(),
        };
        left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

/// A request's body.
#[derive(Debug)]
pub(crate) struct RequestBody {
    /// Read, not yet sent.
    held: VecDeque<BytesMut>,
    held_bytes: u64,
    /// Still to be read; `None` once all is read.
    rest: Option<Source>,
    /// What came behind the last byte.
    trailers: Option<Box<HeaderMap>>,
    /// Bytes that may still be read.
    allowance: u64,
    clock: Clock,
    progress: Rc<Progress>,
    asker: Rc<Asker>,
}

impl RequestBody {
    pub(crate) fn new(source: Source, bytes_max: Option<u64>, clock: Clock, asker: Rc<Asker>) -> Self {
        let rest = (!source.is_over()).then_some(source);
        Self {
            held: VecDeque::new(),
            held_bytes: 0,
            rest,
            trailers: None,
            allowance: bytes_max.unwrap_or(u64::MAX),
            clock,
            progress: Progress::new(),
            asker,
        }
    }

    /// One that is not there.
    pub(crate) fn empty(clock: Clock) -> Self {
        Self {
            held: VecDeque::new(),
            held_bytes: 0,
            rest: None,
            trailers: None,
            allowance: 0,
            clock,
            progress: Progress::new(),
            asker: Rc::default(),
        }
    }

    /// Whoever sends it.
    pub(crate) fn asker(&self) -> &Rc<Asker> {
        &self.asker
    }

    pub(crate) fn progress(&self) -> Rc<Progress> {
        Rc::clone(&self.progress)
    }

    /// Whether nothing is left to be read from the client, so that it can be sent more than once.
    pub(crate) fn is_whole(&self) -> bool {
        self.rest.is_none()
    }

    /// Its length in bytes, if the client has told it.
    pub(crate) fn length(&self) -> Option<u64> {
        self.size_hint().exact()
    }

    /// Whether a body of this many bytes is short enough to be held.
    pub(crate) fn can_be_held(bytes: u64) -> bool {
        usize::try_from(bytes).is_ok_and(|bytes| bytes <= HELD_BYTES_MAX)
    }

    /// What is read and not yet sent.
    pub(crate) fn held(&self) -> impl Iterator<Item = &[u8]> {
        self.held.iter().map(|piece| &piece[..])
    }

    /// What came behind the last byte of a whole body.
    pub(crate) fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_deref()
    }

    /// Reads ahead until the body is whole or as much is held as may be. Dropped half way it has
    /// lost nothing.
    pub(crate) async fn read_ahead(&mut self) -> Result<(), BodyFault> {
        let held_max = u64::try_from(HELD_BYTES_MAX).unwrap_or(u64::MAX);
        while self.held_bytes < held_max && !self.is_whole() {
            self.read_piece().await?;
        }
        Ok(())
    }

    /// Reads one piece ahead, or finds that there are no more. Dropped half way it has lost nothing.
    pub(crate) async fn read_piece(&mut self) -> Result<(), BodyFault> {
        if let Some(read) = std::future::poll_fn(|cx| self.poll_rest(cx)).await {
            let bytes = read?;
            self.held_bytes += length(&bytes);
            match self.held.back_mut() {
                // Each piece has a buffer of its own: many small ones would hold many times their length.
                Some(last) if bytes.len() < JOINED_BYTES_MAX => last.extend_from_slice(&bytes),
                _ => self.held.push_back(bytes.into()),
            }
        }
        Ok(())
    }

    /// The next bytes from the client; trailers are put aside.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyFault>>> {
        loop {
            let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
            let frame = ready!(rest.poll_frame(cx));
            match frame {
                Some(Ok(frame)) => {
                    if self.rest.as_ref().is_some_and(Source::is_over) {
                        self.rest = None;
                    }
                    let bytes = match frame.into_data() {
                        Ok(bytes) => bytes,
                        Err(frame) => {
                            self.trailers = frame.into_trailers().ok().map(Box::new);
                            continue;
                        }
                    };
                    let Some(allowance) = self.allowance.checked_sub(length(&bytes)) else {
                        return Poll::Ready(Some(Err(self.fail(BodyFault::TooLarge))));
                    };
                    self.allowance = allowance;
                    self.progress.moved_at.set(self.clock.now());
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Some(Err(fault)) => return Poll::Ready(Some(Err(self.fail(fault)))),
                None => self.rest = None,
            }
        }
    }

    fn fail(&mut self, fault: BodyFault) -> BodyFault {
        self.progress.fault.set(Some(fault));
        fault
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let this = &mut *self;
        let next = match this.held.pop_front() {
            Some(bytes) => {
                this.held_bytes -= length(&bytes);
                this.progress.moved_at.set(this.clock.now());
                Some(Ok(bytes.freeze()))
            }
            None => {
                let read = this.poll_rest(cx);
                this.progress.starved.set(read.is_pending());
                ready!(read)
            }
        };
        let frame = next.map(|read| read.map(Frame::data));
        Poll::Ready(frame.or_else(|| this.trailers.take().map(|trailers| Ok(Frame::trailers(*trailers)))))
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && self.rest.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.rest.as_ref().map(Source::size_hint).unwrap_or_else(|| SizeHint::with_exact(0));
        let (lower, upper) = (hint.lower(), hint.upper());
        // Upper first: `set_upper` refuses one below the lower bound.
        match upper.and_then(|upper| upper.checked_add(self.held_bytes)) {
            Some(upper) => hint.set_upper(upper),
            None => hint = SizeHint::new(),
        }
        hint.set_lower(lower.saturating_add(self.held_bytes));
        hint
    }
}
