//! The dashboard where there is no terminal: one readable line an interval, and the list of
//! workers when it changes.

use std::time::Duration;

use jiff::Timestamp;

use crate::text;
use crate::view::{Kind, View};
use crate::why;

/// Columns of a line at most.
pub const WIDTH: usize = 120;

/// One line on the pool now: `12:03:15 CPU 81.2 % workers 3/4 ready RPM 1206 …| why`.
pub fn line(view: &View) -> String {
    let (Some(now), Some(last), Some(asked)) = (view.now(), view.last(), view.asked()) else {
        let because = view.unanswered().map_or("waiting for the first turn", |(_, because)| because);
        return text::cut(&format!("no numbers yet: {because}"), WIDTH);
    };
    let clock = text::clock(now, view.zone());
    if let Some((since, because)) = view.unanswered() {
        let since = text::clock(since, view.zone());
        return text::cut(&format!("{clock} the pool does not answer since {since}: {because}"), WIDTH);
    }
    let number = |value: Option<u64>| value.map_or(text::UNKNOWN.to_owned(), |value| value.to_string());
    let cpu = view.cpu_percent().map_or(text::UNKNOWN.to_owned(), |cpu| format!("{cpu:.1}%"));
    let p95 = view.latency().map_or(text::UNKNOWN.to_owned(), |latency| text::millis(latency.p95) + "ms");
    let order = why::order_in_force(&last.decision, now).filter(|_| asked.change() == 0);
    text::cut(
        &format!(
            "{clock} CPU {cpu} workers {}/{} ready RPM {} p95 {p95} in-flight {} failed {} | {}",
            view.fleet().ready,
            view.desired(),
            number(view.per_minute().map(text::rounded)),
            number(view.in_flight().map(u64::from)),
            view.totals().failures,
            order.unwrap_or_else(|| why::short(asked, now)),
        ),
        WIDTH,
    )
}

/// The workers, one line each: `http://127.0.0.1:5000 (PID: 1234)`, and what is not ready.
pub fn workers(view: &View) -> String {
    let mut text = String::new();
    for worker in view.workers() {
        let address = match &worker.address {
            Some(traffic::Address::Tcp(address)) => format!("http://{address}"),
            Some(address) => address.to_string(),
            None => "no address yet".to_owned(),
        };
        let pid = worker.pid.map_or(text::UNKNOWN.to_owned(), |pid| pid.to_string());
        text.push_str(&format!("  {} {address} (PID: {pid}) {}\n", worker.id, worker.state));
    }
    text
}

/// Prints a run line by line: remembers what was said before.
#[derive(Debug, Default)]
pub struct Plain {
    list_every: Option<Duration>,
    listed: String,
    listed_at: Option<Timestamp>,
    told: Option<Timestamp>,
}

impl Plain {
    /// Lists the workers when they change, and also every so often if given.
    pub fn new(list_every: Option<Duration>) -> Self {
        Self { list_every, ..Self::default() }
    }

    /// The text for one interval, each line ended: what happened since the last, [`line()`], and
    /// the workers when due.
    pub fn turn(&mut self, view: &View) -> String {
        let mut text = String::new();
        let mut news: Vec<_> = view
            .events()
            .take_while(|event| self.told.is_none_or(|told| event.at > told))
            .filter(|event| event.kind != Kind::Blocked)
            // The line below tells what this very turn did.
            .filter(|event| !matches!(event.kind, Kind::Out | Kind::In) || view.now() != Some(event.at))
            .collect();
        news.reverse();
        for event in news {
            let clock = text::clock(event.at, view.zone());
            let line = format!("{clock} {} {}: {}", event.kind.symbol(), event.what, event.why);
            text.push_str(&text::cut(&line, WIDTH));
            text.push('\n');
        }
        self.told = view.now();
        text.push_str(&line(view));
        text.push('\n');
        let now = workers(view);
        let due = self.list_every.zip(self.listed_at).zip(view.now());
        let due = due.is_some_and(|((every, at), now)| text::between(at, now) >= every);
        if now != self.listed || due {
            text.push_str(&now);
            self.listed = now;
            self.listed_at = view.now();
        }
        text
    }
}
