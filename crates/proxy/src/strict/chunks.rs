//! Chunked framing, byte for byte (RFC 9112, 7.1); data is passed over, not looked at.

use super::{Fault, bytes};

/// Chunk sizes have at most this many digits, leading zeros included: no parser's integer
/// overflows.
const SIZE_DIGITS_MAX: u8 = 15;
/// All extensions of a body together: nobody sends them but to exhaust a parser.
const EXTENSION_BYTES_MAX: u32 = 4 * 1024;

const BAD_SIZE: Fault = Fault::bad("bad_chunk_size", "a chunk's size is not a plain hexadecimal number");
const BAD_END: Fault = Fault::bad("bad_chunk_end", "a chunk does not end where its size says");
const BAD_EXTENSION: Fault =
    Fault::bad("bad_chunk_extension", "a chunk's extension is malformed or too long");

/// Where in a chunked body its bytes have got to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Digits of a size, this many so far.
    Size(u8),
    /// White space after a size: an extension must follow.
    BeforeExtension,
    Extension,
    /// In a quoted string of an extension; whether the next byte is escaped.
    Quoted(bool),
    /// LF of a size's line.
    SizeEnd,
    Data(u64),
    /// CR, then LF, after the data.
    DataEnd,
    DataEndLf,
}

/// What some bytes of a chunked body are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Data,
    /// Sizes, extensions and line ends.
    Framing,
    /// The same, up to the end of the last chunk's line.
    Last,
}

/// A chunked body under way, up to its trailer section.
#[derive(Debug)]
pub(super) struct Chunks {
    at: At,
    size: u64,
    extension_bytes: u32,
}

impl Chunks {
    pub(super) fn new() -> Self {
        Self { at: At::Size(0), size: 0, extension_bytes: 0 }
    }

    /// Takes the next piece of some bytes, and tells how long it is. On a fault the bytes before it
    /// are counted.
    pub(super) fn piece(&mut self, bytes: &[u8]) -> (usize, Result<Piece, Fault>) {
        if let At::Data(left) = self.at {
            let here = u64::try_from(bytes.len()).unwrap_or(u64::MAX).min(left);
            self.at = if here == left { At::DataEnd } else { At::Data(left - here) };
            return (usize::try_from(here).expect("no more than a slice has"), Ok(Piece::Data));
        }
        for (taken, &byte) in bytes.iter().enumerate() {
            match self.step(byte) {
                Ok(at) => self.at = at,
                Err(fault) => return (taken, Err(fault)),
            }
            match self.at {
                At::Data(0) => return (taken + 1, Ok(Piece::Last)),
                At::Data(_) => return (taken + 1, Ok(Piece::Framing)),
                _ => {}
            }
        }
        (bytes.len(), Ok(Piece::Framing))
    }

    fn step(&mut self, byte: u8) -> Result<At, Fault> {
        match (self.at, byte) {
            (At::Size(digits), _) if bytes::is(byte, bytes::HEX) => {
                if digits == SIZE_DIGITS_MAX {
                    return Err(BAD_SIZE);
                }
                self.size = self.size * 16 + u64::from(char::from(byte).to_digit(16).unwrap_or_default());
                Ok(At::Size(digits + 1))
            }
            (At::Size(0), _) => Err(BAD_SIZE),
            (At::Size(_) | At::Extension, b'\r') => Ok(At::SizeEnd),
            (At::Size(_) | At::BeforeExtension, b';') => self.extension(At::Extension),
            (At::Size(_) | At::BeforeExtension, b' ' | b'\t') => self.extension(At::BeforeExtension),
            (At::Size(_) | At::BeforeExtension, _) => Err(BAD_SIZE),
            (At::Extension, b'"') => self.extension(At::Quoted(false)),
            (At::Quoted(false), b'"') => self.extension(At::Extension),
            (At::Quoted(false), b'\\') => self.extension(At::Quoted(true)),
            (At::Quoted(_), _) if bytes::is(byte, bytes::VALUE) => self.extension(At::Quoted(false)),
            (At::Extension, b';' | b'=' | b' ' | b'\t') => self.extension(At::Extension),
            (At::Extension, _) if bytes::is(byte, bytes::TOKEN) => self.extension(At::Extension),
            (At::Extension | At::Quoted(_), _) => Err(BAD_EXTENSION),
            (At::SizeEnd, b'\n') => Ok(At::Data(std::mem::take(&mut self.size))),
            (At::SizeEnd, _) => Err(BAD_SIZE),
            (At::DataEnd, b'\r') => Ok(At::DataEndLf),
            (At::DataEndLf, b'\n') => Ok(At::Size(0)),
            (At::DataEnd | At::DataEndLf, _) => Err(BAD_END),
            (At::Data(_), _) => unreachable!("data is passed over"),
        }
    }

    fn extension(&mut self, at: At) -> Result<At, Fault> {
        self.extension_bytes += 1;
        if self.extension_bytes > EXTENSION_BYTES_MAX { Err(BAD_EXTENSION) } else { Ok(at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the bytes reach the end of the last chunk's line, and how long they are up to there.
    fn run(chunks: &mut Chunks, bytes: &[u8]) -> Result<(usize, bool), Fault> {
        let mut taken = 0;
        while taken < bytes.len() {
            let (length, piece) = chunks.piece(&bytes[taken..]);
            taken += length;
            if piece? == Piece::Last {
                return Ok((taken, true));
            }
        }
        Ok((taken, false))
    }

    fn take(body: &str) -> Result<bool, Fault> {
        run(&mut Chunks::new(), body.as_bytes()).map(|(_, done)| done)
    }

    #[test]
    fn sizes_and_extensions_are_to_the_letter() {
        for good in [
            "0\r\n",
            "5\r\nhello\r\n0\r\n",
            "00a\r\n0123456789\r\n0\r\n",
            "1;a=b;c=\"d\\\"\"\r\nx\r\n0 ;e\r\n",
        ] {
            assert_eq!(take(good), Ok(true), "{good:?}");
        }
        for bad in [
            "\r\n",
            "x\r\n",
            "0x5\r\n",
            "+5\r\n",
            "-1\r\n",
            " 5\r\n",
            "5 \r\n",
            "5\n",
            "5\rx",
            "5;a\nb",
            "5;a\rb",
            "5;\u{0}\r\n",
            "5,\r\n",
            "fffffffffffffffff\r\n",
            "0000000000000000\r\n",
            "5\r\nhello0",
            "5\r\nhello\n",
            "5\r\nhello\rx",
            "5;a=\"b\r\n",
        ] {
            assert!(take(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn pieces_make_no_difference() {
        let body = b"5;a=\"b\"\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\nrest";
        for size in 1..body.len() {
            let mut chunks = Chunks::new();
            let mut rest = &body[..];
            let done = loop {
                let piece = &rest[..size.min(rest.len())];
                let (taken, done) = run(&mut chunks, piece).unwrap();
                rest = &rest[taken..];
                if done {
                    break rest;
                }
            };
            assert_eq!(done, b"rest", "in pieces of {size}");
        }
    }
}
