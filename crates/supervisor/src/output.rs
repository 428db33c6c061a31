//! What workers print: captured, bounded, kept a while after their end.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use clock::Clock;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::broadcast;
use tokio_util::task::TaskTracker;
use traffic::WorkerId;

/// Lines kept for each slot; enough to see how a crash came about.
const LINES_MAX: usize = 1000;
/// Bytes of text kept for each slot; five chatty slots stay near 1 MiB.
const BYTES_MAX: usize = 256 << 10;
/// A longer line is cut; a stack trace in one line still fits.
const LINE_MAX: usize = 8 << 10;
/// Lines that a slow follower may lag behind before it misses some.
const FOLLOW_MAX: usize = 256;

/// Which of its two streams a worker wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line that a worker wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When it was read, moments after it was written.
    pub at: Timestamp,
    /// Who wrote it.
    pub worker: WorkerId,
    /// Where to.
    pub stream: Stream,
    /// Without its end; bytes that are no UTF-8 are replaced.
    pub text: String,
}

struct Slot {
    lines: VecDeque<Line>,
    bytes: usize,
    followers: broadcast::Sender<Line>,
    /// Streams that may still bring lines, by run.
    open: BTreeMap<u32, u32>,
}

impl Default for Slot {
    fn default() -> Self {
        let (followers, _) = broadcast::channel(FOLLOW_MAX);
        Self { lines: VecDeque::new(), bytes: 0, followers, open: BTreeMap::new() }
    }
}

/// The output of all slots. It outlives the workers, so that a crash can be explained.
pub struct Outputs {
    clock: Clock,
    slots: Mutex<BTreeMap<u32, Slot>>,
}

impl Outputs {
    pub(crate) fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self { clock, slots: Mutex::default() })
    }

    /// The last lines of a slot, oldest first; `None` if it never had a worker.
    pub fn last(&self, slot: u32, count: usize) -> Option<Vec<Line>> {
        Some(tail(self.slots.lock().get(&slot)?, count))
    }

    /// The last lines of a slot and all that follow, none twice, none missed: a receiver that
    /// lags behind is told how many it lost.
    pub fn follow(&self, slot: u32, count: usize) -> Option<(Vec<Line>, broadcast::Receiver<Line>)> {
        let slots = self.slots.lock();
        let slot = slots.get(&slot)?;
        Some((tail(slot, count), slot.followers.subscribe()))
    }

    /// The last words of one process.
    pub(crate) fn last_of(&self, id: WorkerId, count: usize) -> Vec<String> {
        let slots = self.slots.lock();
        let Some(slot) = slots.get(&id.slot) else { return Vec::new() };
        let own = slot.lines.iter().rev().filter(|line| line.worker == id && !line.text.trim().is_empty());
        let mut words: Vec<String> = own.take(count).map(|line| line.text.clone()).collect();
        words.reverse();
        words
    }

    /// Whether all that this process will ever have written has been read.
    pub(crate) fn is_complete(&self, id: WorkerId) -> bool {
        self.slots.lock().get(&id.slot).is_none_or(|slot| !slot.open.contains_key(&id.run))
    }

    /// Reads a stream to its end, line by line, as fast as it comes: the worker never waits.
    pub(crate) fn capture(
        self: &Arc<Self>,
        worker: WorkerId,
        stream: Stream,
        from: OwnedFd,
        tasks: &TaskTracker,
    ) -> std::io::Result<()> {
        let mut from = pipe::Receiver::from_owned_fd(from)?;
        let outputs = Arc::clone(self);
        *outputs.slots.lock().entry(worker.slot).or_default().open.entry(worker.run).or_default() += 1;
        tasks.spawn(async move {
            let mut lines = Splitter::default();
            let mut bytes = vec![0_u8; 8 << 10];
            while let Ok(count @ 1..) = from.read(&mut bytes).await {
                lines.feed(&bytes[..count], |text| outputs.keep(worker, stream, text));
            }
            lines.finish(|text| outputs.keep(worker, stream, text));
            outputs.close(worker);
        });
        Ok(())
    }

    fn keep(&self, worker: WorkerId, stream: Stream, text: &[u8]) {
        let text = String::from_utf8_lossy(text).into_owned();
        let line = Line { at: self.clock.now(), worker, stream, text };
        let mut slots = self.slots.lock();
        let slot = slots.entry(worker.slot).or_default();
        slot.bytes += line.text.len();
        slot.lines.push_back(line.clone());
        while slot.lines.len() > LINES_MAX || slot.bytes > BYTES_MAX {
            let Some(oldest) = slot.lines.pop_front() else { break };
            slot.bytes -= oldest.text.len();
        }
        // Without followers nobody takes it.
        let _ = slot.followers.send(line);
    }

    fn close(&self, worker: WorkerId) {
        let mut slots = self.slots.lock();
        let Some(slot) = slots.get_mut(&worker.slot) else { return };
        if let Some(open) = slot.open.get_mut(&worker.run) {
            *open -= 1;
            if *open == 0 {
                slot.open.remove(&worker.run);
            }
        }
    }
}

fn tail(slot: &Slot, count: usize) -> Vec<Line> {
    slot.lines.iter().skip(slot.lines.len().saturating_sub(count)).cloned().collect()
}

/// Cuts a stream of bytes into lines of bounded length.
#[derive(Default)]
struct Splitter {
    line: Vec<u8>,
    lost: usize,
}

impl Splitter {
    fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.add(&bytes[..end]);
            self.end(&mut each);
            bytes = &bytes[end + 1..];
        }
        self.add(bytes);
    }

    /// A last line need not have an end.
    fn finish(&mut self, mut each: impl FnMut(&[u8])) {
        if !self.line.is_empty() {
            self.end(&mut each);
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        let room = LINE_MAX.saturating_sub(self.line.len()).min(bytes.len());
        self.line.extend_from_slice(&bytes[..room]);
        self.lost += bytes.len() - room;
    }

    fn end(&mut self, each: &mut impl FnMut(&[u8])) {
        if self.lost > 0 {
            self.line.extend_from_slice(format!("… ({} bytes cut)", self.lost).as_bytes());
        }
        each(self.line.strip_suffix(b"\r").unwrap_or(&self.line));
        self.line.clear();
        self.lost = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_they_come_and_bounded() {
        let text = format!("one\r\n\ntwo\n{}\nlast", "x".repeat(LINE_MAX + 7));
        for step in [1, 2, 3, 5, 100_000] {
            let mut got: Vec<String> = Vec::new();
            let mut lines = Splitter::default();
            for chunk in text.as_bytes().chunks(step) {
                lines.feed(chunk, |line| got.push(String::from_utf8_lossy(line).into_owned()));
            }
            lines.finish(|line| got.push(String::from_utf8_lossy(line).into_owned()));
            assert_eq!((got[0].as_str(), got[1].as_str(), got[2].as_str()), ("one", "", "two"));
            assert!(got[3].ends_with("x… (7 bytes cut)") && got[3].len() < LINE_MAX + 30);
            assert_eq!((got[4].as_str(), got.len()), ("last", 5));
        }
    }

    #[test]
    fn a_slot_keeps_the_latest_within_bounds() {
        let outputs = Outputs::new(Clock::start());
        let worker = WorkerId { slot: 1, run: 1 };
        assert!(outputs.last(1, 10).is_none());
        for number in 0..LINES_MAX * 2 {
            outputs.keep(worker, Stream::Stdout, format!("line {number}").as_bytes());
        }
        let all = outputs.last(1, usize::MAX).unwrap();
        assert_eq!((all.len(), all[0].text.as_str()), (LINES_MAX, "line 1000"));
        let long = vec![b'x'; LINE_MAX];
        (0..100).for_each(|_| outputs.keep(worker, Stream::Stderr, &long));
        assert_eq!(outputs.last(1, usize::MAX).unwrap().len(), BYTES_MAX / LINE_MAX);
        let (last, mut next) = outputs.follow(1, 1).unwrap();
        outputs.keep(worker, Stream::Stdout, b"new");
        assert_eq!((last.len(), next.try_recv().unwrap().text.as_str()), (1, "new"));
        assert_eq!(outputs.last_of(worker, 1), ["new"]);
        assert!(outputs.last_of(WorkerId { slot: 1, run: 2 }, 1).is_empty());
    }
}
