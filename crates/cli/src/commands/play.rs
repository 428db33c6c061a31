//! Time warp: recorded or simulated turns on the dashboard of the live system, with pause, step
//! and rewind.

mod projector;
mod tape;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::Context;
use clock::Clock;
use control::{Cycle, State};
use dashboard::View;
use dashboard::plain::Plain;
use dashboard::terminal::Action;
use dashboard::terminal::screen::{self, Screen};
use futures_util::stream;
use traffic::WorkerId;

use super::replay::open;
use crate::failure::{FAILED, Hint};
use crate::output;
use projector::Projector;
pub(crate) use tape::Source;

/// Orders under way; a user types slower than this, and what is beyond is dropped.
const ORDERS_MAX: usize = 16;
/// Turns on their way to the screen: it takes them in faster than it draws.
const UPDATES_MAX: usize = 256;
/// How long a recording plays where no pace is asked for.
const WHOLE: Duration = Duration::from_secs(60);

/// What is shown, and how.
pub(crate) struct Show {
    /// What it is called.
    pub(crate) name: String,
    /// Its turns, from the first on, as often as asked.
    pub(crate) source: Source,
    /// Recorded seconds in a second.
    pub(crate) warp: f64,
}

/// The pace at which a recording of this length plays in a minute; never slower than it was.
pub(crate) fn pace(length: Duration) -> f64 {
    (length.as_secs_f64() / WHOLE.as_secs_f64()).ceil().max(1.0)
}

/// Plays it until the user leaves.
pub(crate) fn show(show: Show) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("the runtime could not be started")?.block_on(on_screen(show))
}

async fn on_screen(show: Show) -> anyhow::Result<()> {
    let mut screen = Screen::enter()
        .context("playing needs a terminal")
        .coded("without one: the same command without --watch, or `top RUNFILE --plain`", FAILED)?;
    let clock = Clock::start();
    let (updates, shown) = tokio::sync::mpsc::channel(UPDATES_MAX);
    let (orders, ordered) = mpsc::sync_channel(ORDERS_MAX);
    let show = Show { source: with_shares(show.source), ..show };
    let projector = Projector::new(show, clock, updates);
    let projecting = std::thread::Builder::new().name("projector".to_owned());
    let projecting = projecting.spawn(move || projector.run(&ordered))?;
    let mut view = View::default();
    let updates = stream::unfold(shown, async |mut shown| Some((shown.recv().await?, shown)));
    let end = screen::run(&mut screen, clock, &mut view, updates, |action| {
        if let Action::Play(order) = action {
            // Dropped when so many are under way: the screen must never wait.
            let _ = orders.try_send(order);
        }
    })
    .await;
    drop((screen, orders));
    projecting.join().map_err(|_| anyhow::anyhow!("the player panicked"))?;
    end?;
    Ok(())
}

/// Plays a run file until the user leaves.
pub(crate) fn recorded(path: &Path, warp: Option<f64>) -> anyhow::Result<()> {
    let (source, length) = run_file(path)?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    show(Show { name, source, warp: warp.unwrap_or_else(|| pace(length)) })
}

/// A fluid has no single requests: its workers are shown with even shares of all.
fn with_shares(source: Source) -> Source {
    Arc::new(move |show| {
        let mut ended = BTreeMap::new();
        source(&mut |mut cycle| {
            share_out(&mut cycle, &mut ended);
            show(cycle)
        });
    })
}

/// A fluid has no single requests: its workers are shown with even shares of them.
fn share_out(cycle: &mut Cycle, ended: &mut BTreeMap<WorkerId, u64>) {
    let Cycle::Decided { seen, .. } = cycle else { return };
    let Some(window) =
        seen.traffic.as_ref().filter(|_| seen.workers.iter().all(|worker| worker.requests == 0))
    else {
        return;
    };
    let ready = seen.fleet.ready.max(1);
    let (requests, in_flight) = (window.completions / u64::from(ready), window.in_flight / ready);
    for worker in seen.workers.iter_mut().filter(|worker| worker.state == State::Ready) {
        let sum = ended.entry(worker.id).or_default();
        *sum += requests;
        (worker.requests, worker.in_flight) = (*sum, in_flight);
    }
}

/// A run file as a source, with its length.
pub(crate) fn run_file(path: &Path) -> anyhow::Result<(Source, Duration)> {
    // Opened once here, so that what is wrong with it is said on the usual screen.
    let (first, last) = ends(path)?;
    let length = Duration::try_from(last.at().duration_since(first.at())).unwrap_or_default();
    let path = path.to_owned();
    let source: Source = Arc::new(move |show| {
        // A file that broke meanwhile ends where it broke.
        let Ok(reader) = open(&path) else { return };
        for session in reader.sessions().unwrap_or_default() {
            let Ok(cycles) = reader.cycles(session.id) else { return };
            for cycle in cycles {
                let Ok(recorded) = cycle else { return };
                if show(recorded.cycle).is_break() {
                    return;
                }
            }
        }
    });
    Ok((source, length))
}

/// The first turn of a run file and the last.
fn ends(path: &Path) -> anyhow::Result<(Cycle, Cycle)> {
    let reader = open(path)?;
    let mut first = None;
    for session in reader.sessions()? {
        if let Some(cycle) = reader.cycles(session.id)?.next() {
            first = Some(cycle?.cycle);
            break;
        }
    }
    let last = reader.last(1)?.pop().map(|recorded| recorded.cycle);
    let ends = first.zip(last).ok_or_else(|| anyhow::anyhow!("{}: there is no turn in it", path.display()));
    ends.coded("record a longer run with `autoscale run --record FILE`", FAILED)
}

/// The last turn as text, or every turn as a line.
pub(crate) fn as_text(source: &Source, only_last: bool) {
    let mut view = View::default();
    let mut plain = Plain::new(None);
    let show = &mut |cycle: Cycle| {
        view.apply(&cycle);
        if only_last || output::line(plain.turn(&view).trim_end()) {
            std::ops::ControlFlow::Continue(())
        } else {
            std::ops::ControlFlow::Break(())
        }
    };
    source(show);
    if only_last {
        output::line(&dashboard::plain::line(&view));
        output::line(dashboard::plain::workers(&view).trim_end());
    }
}
