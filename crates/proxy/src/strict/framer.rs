//! Message after message in a stream of bytes: heads line by line, bodies by their framing.

use super::chunks::{Chunks, Piece};
use super::{Fault, bytes};

/// A trailer section is a few checksums; longer ones are an attack on memory.
const TRAILER_BYTES_MAX: usize = 8 * 1024;

const BARE_LF: Fault = Fault::bad("bare_line_feed", "a line ends in LF without CR");
const BAD_TRAILER: Fault = Fault::bad("bad_trailer", "the trailer section is malformed or too long");

/// Fields that say what a message is, and so must come before it (RFC 9110, 6.5.1).
const NEVER_TRAILERS: [&[u8]; 6] =
    [b"content-length", b"transfer-encoding", b"host", b"connection", b"trailer", b"upgrade"];

/// Bounds of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Longest head, in bytes.
    pub(crate) head_bytes: usize,
}

/// How a message goes on after its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// With so many bytes, which may be none; `switch` when another protocol may follow.
    Bytes { length: u64, switch: bool },
    /// With chunks.
    Chunked { switch: bool },
    /// With whatever comes until the connection closes.
    UntilClose,
}

/// What some bytes of a message are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A whole head.
    Head,
    /// Of a body's content.
    Data,
    /// Of its framing.
    Framing,
    /// A line of the trailer section, or its end.
    Trailer,
}

/// Judges a head.
pub(crate) trait Head {
    /// The first byte of a message is there.
    fn begin(&mut self, first: u8) -> Result<(), Fault>;
    /// A line of the head, without its end; empty ones only before it has begun.
    fn line(&mut self, line: &[u8]) -> Result<(), Fault>;
    /// Whether the first line has been seen, so that an empty one ends the head.
    fn has_begun(&self) -> bool;
    /// The head is whole. Makes itself ready for the next.
    fn end(&mut self) -> Result<Body, Fault>;
    /// What to say of a head that is longer than `limits` allow.
    fn too_long(&self, limits: Limits) -> Fault;
}

#[derive(Debug)]
enum At {
    Head,
    Bytes {
        left: u64,
        switch: bool,
    },
    Chunks {
        chunks: Chunks,
        switch: bool,
    },
    Trailers {
        length: usize,
        switch: bool,
    },
    /// Whether the protocol changes is not known yet.
    Undecided,
    /// Nothing more is judged.
    Through,
}

/// Finds the messages in a stream.
#[derive(Debug)]
pub(crate) struct Framer<H> {
    pub(crate) head: H,
    limits: Limits,
    at: At,
    /// Of bytes given before and not clean: how many belong to lines that were judged.
    judged: usize,
    /// And how many more were searched for a line's end.
    searched: usize,
}

impl<H: Head> Framer<H> {
    pub(crate) fn new(head: H, limits: Limits) -> Self {
        Self { head, limits, at: At::Head, judged: 0, searched: 0 }
    }

    /// Whether what comes next depends on a decision.
    pub(super) fn is_undecided(&self) -> bool {
        matches!(self.at, At::Undecided)
    }

    /// Whether the stream stands before or in a head.
    pub(crate) fn is_at_head(&self) -> bool {
        matches!(self.at, At::Head)
    }

    /// How many bytes of content the message under way still has, where its head has said it.
    pub(crate) fn length_left(&self) -> Option<u64> {
        match self.at {
            At::Head => Some(0),
            At::Bytes { left, .. } => Some(left),
            _ => None,
        }
    }

    /// Whether nothing more is judged.
    pub(crate) fn is_through(&self) -> bool {
        matches!(self.at, At::Through)
    }

    /// Decides whether the protocol has changed.
    pub(super) fn decide(&mut self, switched: bool) {
        self.at = if switched { At::Through } else { At::Head };
    }

    /// Judges the beginning of bytes that follow those that were clean: how many may pass, and what
    /// they are. None may where they are to be given again, with more behind them. On a fault the
    /// bytes before it are counted.
    pub(crate) fn part(&mut self, bytes: &[u8]) -> (usize, Result<Part, Fault>) {
        if bytes.is_empty() {
            return (0, Ok(Part::Framing));
        }
        match &mut self.at {
            At::Head => whole(self.head_section(bytes), Part::Head),
            At::Bytes { left, switch } => {
                let here = u64::try_from(bytes.len()).unwrap_or(u64::MAX).min(*left);
                *left -= here;
                if *left == 0 {
                    self.at = after_message(*switch);
                }
                (usize::try_from(here).expect("no more than a slice has"), Ok(Part::Data))
            }
            At::Chunks { chunks, switch } => {
                let (taken, piece) = chunks.piece(bytes);
                if piece == Ok(Piece::Last) {
                    self.at = At::Trailers { length: 0, switch: *switch };
                }
                let part = |piece| if piece == Piece::Data { Part::Data } else { Part::Framing };
                (taken, piece.map(part))
            }
            At::Trailers { .. } => whole(self.trailer(bytes), Part::Trailer),
            At::Undecided => (0, Ok(Part::Framing)),
            At::Through => (bytes.len(), Ok(Part::Data)),
        }
    }

    /// The length of the head at the beginning of `bytes`; 0 while it is not whole.
    fn head_section(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        if self.judged + self.searched == 0 {
            self.head.begin(bytes[0])?;
        }
        while let Some(line) = self.next_line(bytes)? {
            if self.judged > self.limits.head_bytes {
                break;
            }
            if line.is_empty() && self.head.has_begun() {
                let body = self.head.end()?;
                self.at = match body {
                    Body::Bytes { length: 0, switch } => after_message(switch),
                    Body::Bytes { length, switch } => At::Bytes { left: length, switch },
                    Body::Chunked { switch } => At::Chunks { chunks: Chunks::new(), switch },
                    Body::UntilClose => At::Through,
                };
                return Ok(std::mem::take(&mut self.judged));
            }
            self.head.line(line)?;
        }
        let too_long = self.judged + self.searched > self.limits.head_bytes;
        if too_long { Err(self.head.too_long(self.limits)) } else { Ok(0) }
    }

    /// The length of the trailer line at the beginning of `bytes`; 0 while it is not whole.
    fn trailer(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let line = self.next_line(bytes)?;
        let At::Trailers { length, switch } = &mut self.at else {
            unreachable!("called in a trailer section")
        };
        if *length + self.judged + self.searched > TRAILER_BYTES_MAX {
            return Err(BAD_TRAILER);
        }
        match line {
            None => return Ok(0),
            Some([]) => self.at = after_message(*switch),
            Some(line) => {
                let (name, _) = bytes::field(line).ok_or(BAD_TRAILER)?;
                if NEVER_TRAILERS.iter().any(|never| never.eq_ignore_ascii_case(name)) {
                    return Err(BAD_TRAILER);
                }
                *length += self.judged;
            }
        }
        Ok(std::mem::take(&mut self.judged))
    }

    /// The next line that was not judged before, without its end.
    fn next_line<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, Fault> {
        let start = self.judged;
        let from = start + self.searched;
        let Some(found) = bytes.get(from..).and_then(|rest| memchr::memchr(b'\n', rest)) else {
            self.searched = bytes.len() - start;
            return Ok(None);
        };
        let end = from + found;
        (self.judged, self.searched) = (end + 1, 0);
        bytes[start..end].strip_suffix(b"\r").map(Some).ok_or(BARE_LF)
    }
}

/// What passes of a section that passes as a whole.
fn whole(length: Result<usize, Fault>, part: Part) -> (usize, Result<Part, Fault>) {
    match length {
        Ok(length) => (length, Ok(part)),
        Err(fault) => (0, Err(fault)),
    }
}

fn after_message(switch: bool) -> At {
    if switch { At::Undecided } else { At::Head }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::RequestHead;
    use super::*;

    const LIMITS: Limits = Limits { head_bytes: 1_000 };

    /// Gives `bytes` in pieces, as a stream does; what passed, and what was wrong.
    fn run(pieces: &[&[u8]]) -> (Vec<u8>, Option<Fault>) {
        let mut framer = Framer::new(RequestHead::default(), LIMITS);
        let (mut passed, mut held) = (Vec::new(), Vec::new());
        for piece in pieces {
            held.extend_from_slice(piece);
            loop {
                let (length, part) = framer.part(&held);
                passed.extend(held.drain(..length));
                match part {
                    Err(fault) => return (passed, Some(fault)),
                    Ok(_) if length == 0 => break,
                    Ok(_) => {}
                }
            }
        }
        (passed, None)
    }

    const STREAM: &[u8] = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nPOST /b HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
        3;x=y\r\nabc\r\n0\r\nx-sum: 1\r\n\r\nPUT /c HTTP/1.1\r\nhost:a\r\ncontent-length: 4\r\n\r\nabcdGET /d HTTP/1.0\r\n\r\n";

    #[test]
    fn a_clean_stream_passes_unchanged_in_any_pieces() {
        for size in 1..STREAM.len() {
            let pieces: Vec<&[u8]> = STREAM.chunks(size).collect();
            assert_eq!(run(&pieces), (STREAM.to_vec(), None), "in pieces of {size}");
        }
    }

    #[test]
    fn nothing_of_a_bad_head_passes() {
        let stream = b"GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n";
        let (passed, fault) = run(&[stream]);
        assert_eq!((passed.len(), fault.map(|fault| fault.code)), (27, Some("several_hosts")));
        let long = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}", "y".repeat(1_000));
        assert_eq!(run(&[long.as_bytes()]).1.map(|fault| fault.code), Some("head_too_long"));
    }

    proptest! {
        /// Whatever is broken in a stream, where it is cut makes no difference to the verdict.
        #[test]
        fn verdicts_do_not_depend_on_pieces(
            at in 0..STREAM.len(), byte in any::<u8>(), cut in 0..STREAM.len(), insert in any::<bool>(),
        ) {
            let mut stream = STREAM.to_vec();
            if insert { stream.insert(at, byte) } else { stream[at] = byte }
            let whole = run(&[&stream]);
            let (first, second) = stream.split_at(cut);
            let (passed, fault) = run(&[first, second]);
            prop_assert_eq!((&passed, fault), (&whole.0, whole.1));
            let single: Vec<&[u8]> = stream.chunks(1).collect();
            let (passed, fault) = run(&single);
            prop_assert_eq!((passed, fault), whole);
        }
    }
}
