//! The access log: a line a request, formatted and written by a thread of its own.

use std::collections::VecDeque;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use parking_lot::Mutex;

mod entry;

pub use entry::Entry;
pub(crate) use entry::{Asked, Line};

/// Lines on their way to the writer: a tenth of a second at 40,000 requests a second. Each holds on
/// to its request's head, so this also bounds memory.
const WAITING_MAX: usize = 4_096;
/// Lines that can be looked up by request id.
const RECENT_MAX: usize = 4_096;
/// At the end, a writer that is stuck is not waited for longer than this.
const FLUSH_PATIENCE: Duration = Duration::from_secs(2);

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Apache's combined format, and behind it: worker, attempts, reason, the four times in
    /// milliseconds (queue/connect/first byte/total), request id.
    #[default]
    Combined,
    /// One object a line.
    Json,
}

enum Message {
    Line(Box<Line>),
    Flush(SyncSender<()>),
}

/// Takes lines without ever waiting: what the writer cannot keep up with is dropped and counted.
pub struct AccessLog {
    to_writer: SyncSender<Message>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    written: AtomicU64,
    dropped: AtomicU64,
    recent: Mutex<VecDeque<Arc<Entry>>>,
}

impl AccessLog {
    /// Starts the writer; it ends with the last clone of the log.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(to: Box<dyn Write + Send>, format: LogFormat) -> io::Result<Arc<Self>> {
        let (to_writer, lines) = sync_channel(WAITING_MAX);
        let shared = Arc::<Shared>::default();
        let writer = Writer { to: BufWriter::new(to), format, shared: Arc::clone(&shared) };
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || writer.run(&lines))?;
        Ok(Arc::new(Self { to_writer, shared }))
    }

    /// Lines written so far.
    pub fn written(&self) -> u64 {
        self.shared.written.load(Relaxed)
    }

    /// Lines lost so far, because they came too fast or could not be written.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Relaxed)
    }

    /// The recent requests of this id, newest first.
    pub fn find(&self, request_id: &str) -> Vec<Arc<Entry>> {
        let recent = self.shared.recent.lock();
        recent.iter().rev().filter(|entry| entry.request_id == request_id).map(Arc::clone).collect()
    }

    /// Waits until what has been put is written.
    pub fn flush(&self) {
        let (done, finished) = sync_channel(1);
        if self.to_writer.send(Message::Flush(done)).is_ok() {
            // Too slow: the end of the program does not wait for a full disk.
            let _ = finished.recv_timeout(FLUSH_PATIENCE);
        }
    }

    pub(crate) fn put(&self, line: Box<Line>) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.to_writer.try_send(Message::Line(line))
        {
            self.shared.dropped.fetch_add(1, Relaxed);
        }
    }
}

impl std::fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessLog").field("written", &self.written()).finish_non_exhaustive()
    }
}

impl PartialEq for AccessLog {
    /// Each log is only itself.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

struct Writer {
    to: BufWriter<Box<dyn Write + Send>>,
    format: LogFormat,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(mut self, lines: &Receiver<Message>) {
        while let Ok(first) = lines.recv() {
            self.take(first);
            // A burst is one write; a lone line is not kept back.
            while let Ok(next) = lines.try_recv() {
                self.take(next);
            }
            let _ = self.to.flush();
        }
    }

    fn take(&mut self, message: Message) {
        let line = match message {
            Message::Line(line) => line,
            Message::Flush(done) => {
                let _ = self.to.flush();
                let _ = done.try_send(());
                return;
            }
        };
        let entry = Entry::of(&line);
        let text = match self.format {
            LogFormat::Combined => entry.combined(),
            LogFormat::Json => entry.json(),
        };
        let count =
            if writeln!(self.to, "{text}").is_ok() { &self.shared.written } else { &self.shared.dropped };
        count.fetch_add(1, Relaxed);
        let mut recent = self.shared.recent.lock();
        if recent.len() >= RECENT_MAX {
            recent.pop_front();
        }
        recent.push_back(Arc::new(entry));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that is stuck for as long as the test holds the lock.
    struct Stuck(Arc<Mutex<()>>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _held = self.0.lock();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_writer_that_is_stuck_costs_lines_that_are_counted_and_nobody_waits() {
        let disk = Arc::new(Mutex::new(()));
        let log = AccessLog::start(Box::new(Stuck(Arc::clone(&disk))), LogFormat::Json).unwrap();
        let lines = 3 * WAITING_MAX;
        let held = disk.lock();
        for _ in 0..lines {
            log.put(Box::new(Line::new(jiff::Timestamp::UNIX_EPOCH, [127, 0, 0, 1].into())));
        }
        assert!(log.dropped() > 0, "{log:?}");
        drop(held);
        log.flush();
        assert_eq!(log.written() + log.dropped(), u64::try_from(lines).unwrap());
        assert_eq!(log.find("").len(), RECENT_MAX);
    }
}
