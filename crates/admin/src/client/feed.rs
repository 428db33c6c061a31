//! Reads server-sent events: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

use std::collections::VecDeque;
use std::fmt::Display;

use futures_util::stream::{self, Stream, StreamExt};
use serde::de::DeserializeOwned;

use super::{ClientError, Feed, innermost};
use crate::api::LAGGED;
use crate::failure::Told;

/// Bytes of one event at most: a turn of a thousand workers is well below.
const EVENT_MAX: usize = 4 * 1024 * 1024;

/// One event as received.
#[derive(Debug, Default, PartialEq, Eq)]
struct Raw {
    name: String,
    text: String,
}

/// Cuts a stream of bytes, however they come in pieces, into events.
#[derive(Default)]
struct Cutter {
    line: Vec<u8>,
    event: Raw,
    whole: VecDeque<Raw>,
}

impl Cutter {
    /// Takes a piece. An error says that an event has no end.
    fn take(&mut self, piece: &[u8]) -> Result<(), String> {
        for byte in piece {
            match byte {
                b'\n' => self.end_line(),
                byte => self.line.push(*byte),
            }
            if self.line.len() + self.event.text.len() > EVENT_MAX {
                return Err(format!("an event is longer than {EVENT_MAX} bytes"));
            }
        }
        Ok(())
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(&line));
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            if !event.text.is_empty() {
                self.whole.push_back(event);
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.event.name = value.to_owned(),
            "data" => {
                if !self.event.text.is_empty() {
                    self.event.text.push('\n');
                }
                self.event.text.push_str(value);
            }
            // An empty field is a comment, by which the server keeps the connection alive.
            _ => {}
        }
    }
}

struct Reading<B> {
    pieces: B,
    cutter: Cutter,
    ended: bool,
}

/// The events of a body, read as `T`.
pub(super) fn of<T, B, P, E>(pieces: B) -> Feed<T>
where
    T: DeserializeOwned + Send + 'static,
    B: Stream<Item = Result<P, E>> + Send + Unpin + 'static,
    P: AsRef<[u8]> + Send,
    E: std::error::Error + Send,
{
    let start = Reading { pieces, cutter: Cutter::default(), ended: false };
    stream::unfold(start, |mut reading| async move {
        loop {
            if reading.ended {
                return None;
            }
            if let Some(event) = reading.cutter.whole.pop_front() {
                let item = read(&event);
                reading.ended = item.is_err();
                return Some((item, reading));
            }
            let taken = match reading.pieces.next().await? {
                Ok(piece) => reading.cutter.take(piece.as_ref()),
                Err(error) => Err(innermost(&error)),
            };
            if let Err(because) = taken {
                reading.ended = true;
                return Some((Err(ClientError::Broken(because)), reading));
            }
        }
    })
    .boxed()
}

fn read<T: DeserializeOwned>(event: &Raw) -> Result<T, ClientError> {
    let broken = |because: &dyn Display| ClientError::Broken(because.to_string());
    if event.name == LAGGED {
        let told: Told = serde_json::from_str(&event.text).map_err(|error| broken(&error))?;
        return Err(ClientError::Broken(told.error));
    }
    serde_json::from_str(&event.text).map_err(|error| broken(&error))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    async fn feed(pieces: Vec<io::Result<Vec<u8>>>) -> Vec<Result<u32, String>> {
        let items = of::<u32, _, _, _>(stream::iter(pieces));
        items.map(|item| item.map_err(|error| error.to_string())).collect().await
    }

    #[tokio::test]
    async fn events_are_read_however_they_are_cut() {
        let text = ": alive\n\nevent: a\ndata: 1\n\ndata:2\r\n\r\nid: x\ndata: 3\n\n: alive\n\n";
        for size in 1..text.len() {
            let pieces = text.as_bytes().chunks(size).map(|piece| Ok(piece.to_vec())).collect();
            assert_eq!(feed(pieces).await, [Ok(1), Ok(2), Ok(3)], "{size}");
        }
    }

    #[tokio::test]
    async fn trouble_is_told_once_and_ends_the_feed() {
        let lagged = b"event: lagged\ndata: {\"error\":\"too slow\"}\n\ndata: 4\n\n".to_vec();
        let items = feed(vec![Ok(b"data: 1\n\n".to_vec()), Ok(lagged)]).await;
        assert_eq!(items, [Ok(1), Err("the stream ended: too slow".to_owned())]);
        let items = feed(vec![Err(io::Error::other("reset")), Ok(b"data: 1\n\n".to_vec())]).await;
        assert_eq!(items, [Err("the stream ended: reset".to_owned())]);
        let endless = vec![Ok(b"data: ".to_vec()), Ok(vec![b'1'; EVENT_MAX + 1])];
        assert!(feed(endless).await[0].is_err());
    }
}
