//! The workers' output, as the admin API shows it.

use std::sync::Arc;

use admin::{LogLine, Logs};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use supervisor::{Line, Outputs, Stream};
use tokio::sync::broadcast::error::RecvError;

/// Keeps the output of every slot.
pub(super) struct Shelf(pub(super) Arc<Outputs>);

impl Logs for Shelf {
    fn last(&self, worker: &str, n: usize) -> Option<Vec<LogLine>> {
        let lines = self.0.last(super::orders::slot(worker)?, n)?;
        Some(lines.into_iter().map(log_line).collect())
    }

    fn follow(&self, worker: &str, n: usize) -> Option<BoxStream<'static, LogLine>> {
        let (lines, coming) = self.0.follow(super::orders::slot(worker)?, n)?;
        let past = stream::iter(lines.into_iter().map(log_line));
        let coming = stream::unfold(coming, async |mut coming| {
            loop {
                match coming.recv().await {
                    Ok(line) => return Some((log_line(line), coming)),
                    // Behind: what was lost is lost, what comes is shown.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        });
        Some(past.chain(coming).boxed())
    }
}

fn log_line(line: Line) -> LogLine {
    let stream = match line.stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    };
    LogLine { at: line.at, stream: stream.into(), text: line.text }
}
