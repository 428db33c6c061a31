//! Turns that can be read from the beginning again: a source runs once more, or, as long as it
//! fits, what it gave before is read from memory.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use control::Cycle;

/// Gives every turn, oldest first, until it is told to stop: a simulation, or a run file.
pub(crate) type Source = Arc<dyn Fn(&mut dyn FnMut(Cycle) -> ControlFlow<()>) + Send + Sync>;

/// Turns kept in memory: a day at one in 15 s, some 50 MB with twenty workers. Going back beyond
/// them runs the source again.
const KEPT_MAX: usize = 6_000;

/// Turns that a source is ahead: it waits when nobody takes them.
const AHEAD_MAX: usize = 64;

/// The turns of a source, one after another.
pub(super) struct Tape {
    source: Source,
    kept: Vec<Cycle>,
    running: Receiver<Cycle>,
    /// Turns taken from `running`.
    taken: usize,
    /// The turn that comes next, counted from 0.
    place: usize,
    ahead: Option<Cycle>,
}

impl Tape {
    pub(super) fn new(source: Source) -> Self {
        let running = start(&source);
        Self { source, kept: Vec::new(), running, taken: 0, place: 0, ahead: None }
    }

    /// The turn that comes next; `None` at the end.
    pub(super) fn ahead(&mut self) -> Option<&Cycle> {
        if self.ahead.is_none() {
            self.ahead = self.read();
        }
        self.ahead.as_ref()
    }

    /// Takes the turn that comes next.
    pub(super) fn take(&mut self) -> Option<Cycle> {
        let cycle = self.ahead.take().or_else(|| self.read())?;
        self.place += 1;
        Some(cycle)
    }

    /// Back to the first turn.
    pub(super) fn rewind(&mut self) {
        self.place = 0;
        self.ahead = None;
    }

    fn read(&mut self) -> Option<Cycle> {
        if let Some(cycle) = self.kept.get(self.place) {
            return Some(cycle.clone());
        }
        if self.taken > self.place {
            self.running = start(&self.source);
            self.taken = 0;
        }
        loop {
            // Sources that ended or broke hang up.
            let cycle = self.running.recv().ok()?;
            self.taken += 1;
            if self.taken > self.place {
                if self.kept.len() == self.place && self.place < KEPT_MAX {
                    self.kept.push(cycle.clone());
                }
                return Some(cycle);
            }
        }
    }
}

/// Runs the source on a thread of its own; it ends when its turns are no longer wanted.
fn start(source: &Source) -> Receiver<Cycle> {
    let (turns, running) = sync_channel(AHEAD_MAX);
    let source = Arc::clone(source);
    let run = move || {
        source(&mut |cycle| match turns.send(cycle) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        });
    };
    // Without a thread there is nothing to show, as at the end.
    let _ = std::thread::Builder::new().name("tape".to_owned()).spawn(run);
    running
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use jiff::Timestamp;

    fn source(turns: i64, runs: &Arc<AtomicUsize>) -> Source {
        let runs = Arc::clone(runs);
        Arc::new(move |show| {
            runs.fetch_add(1, Ordering::SeqCst);
            for second in 0..turns {
                let at = Timestamp::from_second(second).unwrap();
                if show(Cycle::Blind { at, because: String::new() }).is_break() {
                    return;
                }
            }
        })
    }

    fn second(cycle: Option<Cycle>) -> Option<i64> {
        cycle.map(|cycle| cycle.at().as_second())
    }

    #[test]
    fn turns_come_again_from_memory_or_from_another_run() {
        let runs = Arc::new(AtomicUsize::new(0));
        let turns = i64::try_from(KEPT_MAX).unwrap() + 10;
        let mut tape = Tape::new(source(turns, &runs));
        for expected in 0..5 {
            assert_eq!(tape.ahead().map(|cycle| cycle.at().as_second()), Some(expected));
            assert_eq!(second(tape.take()), Some(expected));
        }
        tape.rewind();
        for expected in 0..turns {
            assert_eq!(second(tape.take()), Some(expected));
        }
        assert!(tape.ahead().is_none() && tape.take().is_none());
        assert_eq!(runs.load(Ordering::SeqCst), 1, "five of memory, the rest of the same run");
        tape.rewind();
        for expected in 0..turns {
            assert_eq!(second(tape.take()), Some(expected));
        }
        assert_eq!(runs.load(Ordering::SeqCst), 2, "what memory does not hold needs another run");
    }
}
