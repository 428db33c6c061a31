//! `autoscale top`, and the screen that `run` and `demo` show: one dashboard, always attached to
//! the admin API, so that there is one way in which it sees and acts.

use std::path::Path;
use std::sync::Arc;

use admin::{Client, PauseOrder};
use anyhow::Context;
use clock::Clock;
use control::ScaleTo;
use dashboard::View;
use dashboard::plain::Plain;
use dashboard::terminal::Action;
use dashboard::terminal::screen::{self, End, Screen, Update};
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::mpsc;

use super::play;
use super::reach::{connect, failed};
use crate::args::TopArgs;
use crate::output;

/// Actions and notices under way; a user types slower than this, and what is beyond is dropped.
const UNDER_WAY_MAX: usize = 16;

/// Turns asked for at the start, so that charts are not empty.
const HISTORY: usize = 600;

/// What the key `l` does: the next step of a load, told in words.
pub(crate) type LoadStep = Arc<dyn Fn() -> String + Send + Sync>;

/// Runs the command.
pub(crate) async fn run(args: &TopArgs) -> anyhow::Result<()> {
    let client = connect(&args.pool)?;
    // Says at once, and on the usual screen, if there is nobody to attach to.
    client.status().await.map_err(failed)?;
    if args.once {
        return once(&client).await;
    }
    if args.plain || !std::io::IsTerminal::is_terminal(&std::io::stdout()) {
        return plain(&client).await;
    }
    let mut view = View::default();
    if show(&client, &mut view, None, stream::pending()).await? == End::NoMoreTurns {
        output::line("the pool has stopped");
    }
    Ok(())
}

/// Runs the command on a run file in place of a pool.
pub(crate) fn recorded(args: &TopArgs, path: &Path) -> anyhow::Result<()> {
    if args.once || args.plain || !std::io::IsTerminal::is_terminal(&std::io::stdout()) {
        let (source, _) = play::run_file(path)?;
        play::as_text(&source, args.once);
        return Ok(());
    }
    play::recorded(path, args.warp)
}

async fn once(client: &Client) -> anyhow::Result<()> {
    let mut view = View::default();
    for cycle in client.cycles(HISTORY).await.map_err(failed)? {
        view.apply(&cycle);
    }
    output::line(&dashboard::plain::line(&view));
    output::line(dashboard::plain::workers(&view).trim_end());
    Ok(())
}

async fn plain(client: &Client) -> anyhow::Result<()> {
    let mut cycles = client.follow_cycles(1).await.map_err(failed)?;
    let mut view = View::default();
    let mut plain = Plain::new(None);
    while let Some(cycle) = cycles.next().await {
        view.apply(&cycle.map_err(failed)?);
        if !output::line(plain.turn(&view).trim_end()) {
            break;
        }
    }
    Ok(())
}

/// Shows the dashboard until the user leaves or the pool stops.
pub(crate) async fn show(
    client: &Client,
    view: &mut View,
    load: Option<LoadStep>,
    others: impl Stream<Item = Update>,
) -> anyhow::Result<End> {
    let cycles = client.follow_cycles(HISTORY).await.map_err(failed)?;
    // A broken stream ends like one that is over: the pool is gone, or too far ahead.
    let turns = cycles.take_while(|cycle| std::future::ready(cycle.is_ok()));
    let turns = turns.filter_map(|cycle| std::future::ready(cycle.ok().map(Update::from)));

    let (actions, mut ordered) = mpsc::channel::<Action>(UNDER_WAY_MAX);
    let (notices, told) = mpsc::channel::<Update>(UNDER_WAY_MAX);
    let hand = client.clone();
    let acting = tokio::spawn(async move {
        while let Some(action) = ordered.recv().await {
            let notice = act(&hand, load.as_ref(), action).await;
            if notices.send(notice).await.is_err() {
                break;
            }
        }
    });
    let notices = stream::unfold(told, async |mut told| Some((told.recv().await?, told)));
    // The turns decide when it is over, whatever else could still come.
    let over = turns.map(Some).chain(stream::once(std::future::ready(None)));
    let updates = stream::select(over, stream::select(notices, others).map(Some));
    let updates = updates.take_while(|update| std::future::ready(update.is_some()));
    let updates = updates.filter_map(std::future::ready);

    let mut screen = Screen::enter().context("the dashboard needs a terminal (try --plain)")?;
    let end = screen::run(&mut screen, Clock::start(), view, updates, |action| {
        // Dropped when so many are under way: the screen must never wait.
        let _ = actions.try_send(action);
    })
    .await;
    drop(screen);
    acting.abort();
    Ok(end?)
}

/// Carries an action out; what to tell the user.
async fn act(client: &Client, load: Option<&LoadStep>, action: Action) -> Update {
    let done = match &action {
        Action::Quit => return Update::Notice("leaving".to_owned()),
        // Only a player is steered so.
        Action::Play(_) => return Update::Notice("this is a running pool".to_owned()),
        Action::LoadStep => {
            return match load {
                Some(step) => Update::Load(Some(step())),
                None => Update::Notice("no load from here: use `autoscale load URL`".to_owned()),
            };
        }
        Action::Scale(step) => client.scale(ScaleTo::By(*step), Some(admin::DEFAULT_HOLD)).await,
        Action::Pause => client.pause(PauseOrder::default()).await,
        Action::Resume => client.resume().await,
        Action::Kill(worker) => client.kill(worker).await,
        Action::Drain(worker) => client.drain(worker).await,
    };
    Update::Notice(match done {
        Ok(accepted) => accepted.text,
        Err(error) => error.to_string(),
    })
}
