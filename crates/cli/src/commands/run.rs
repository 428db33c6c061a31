//! `autoscale run`: the live system on any app.

use std::io::IsTerminal;
use std::time::Duration;

use admin::Client;
use anyhow::Context;
use control::{Command, ScaleTo};
use dashboard::View;
use dashboard::plain::Plain;
use dashboard::terminal::screen::{End, Update};
use futures_util::{Stream, StreamExt, stream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast::error::RecvError;

use super::reach::failed;
use super::steps::Steps;
use super::top;
use crate::args::RunArgs;
use crate::config::resolve;
use crate::wiring::{self, Running, Taken};
use crate::{output, shutdown};

/// How often the list of workers is printed again where there is no terminal.
const LIST_EVERY: Duration = Duration::from_secs(3);

/// Runs the command.
pub(crate) async fn run(args: &RunArgs) -> anyhow::Result<()> {
    let config = resolve(args)?.config;
    let running = wiring::start(config, args.clone(), Taken::Fail).await?;
    announce(&running);
    let face = attend(&running).await.map(drop);
    let ledger = super::summary::ledger(&running.board);
    let max = running.config().control.max;
    running.finish().await?;
    output::line(&super::summary::costs(&ledger, max));
    face
}

async fn attend(running: &Running) -> anyhow::Result<View> {
    let scheme = wiring::tls::scheme(&running.config().balancer.transport);
    let steps = Steps::new(&format!("{scheme}://{}/", running.listen));
    let load: top::LoadStep = std::sync::Arc::new(move || steps.next());
    // Told at the start, so that the screen offers the key.
    let off = stream::once(std::future::ready(Update::Load(Some("off".to_owned()))));
    show(running, Some(load), off.chain(stream::pending())).await
}

/// Says where everything is. Tests and scripts read these lines.
pub(crate) fn announce(running: &Running) {
    for notice in &running.notices {
        output::complain(&format!("note: {notice}"));
    }
    let scheme = wiring::tls::scheme(&running.config().balancer.transport);
    output::line(&format!("listening on {scheme}://{}", running.listen));
    output::line(&format!("admin on http://{}", running.admin));
}

/// Shows the pool until it is told to stop: on a screen where there is one, else in lines.
pub(crate) async fn show(
    running: &Running,
    load: Option<top::LoadStep>,
    others: impl Stream<Item = Update>,
) -> anyhow::Result<View> {
    listen_to_signals(running)?;
    let mut view = View::default();
    if running.config().is_plain() {
        tokio::select! {
            () = lines(running, &mut view) => {}
            () = drain(others) => {}
        }
        return Ok(view);
    }
    let client =
        Client::new(&format!("http://{}", running.admin), running.config().admin.token.clone(), "key")
            .map_err(failed)?;
    tokio::select! {
        end = top::show(&client, &mut view, load, others) => match end? {
            End::Quit => {}
            End::NoMoreTurns => running.stop.cancelled().await,
        },
        () = running.stop.cancelled() => {}
    }
    Ok(view)
}

/// Takes in what nobody looks at, so that its sender need not wait; never ends.
async fn drain(others: impl Stream<Item = Update>) {
    others.for_each(|_| std::future::ready(())).await;
    std::future::pending().await
}

/// A line a turn until told to stop.
async fn lines(running: &Running, view: &mut View) {
    let mut cycles = running.board.subscribe();
    let mut plain = Plain::new(Some(LIST_EVERY));
    let mut open = true;
    loop {
        let cycle = tokio::select! {
            () = running.stop.cancelled() => return,
            cycle = cycles.recv() => cycle,
        };
        match cycle {
            Ok(cycle) => view.apply(&cycle),
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        }
        if open && !output::line(plain.turn(view).trim_end()) {
            open = false;
            if std::io::stdout().is_terminal() {
                // The terminal is gone, and with it whoever could stop us.
                running.stop.cancel();
            } else {
                let why = match output::finished() {
                    Ok(()) => "nobody reads stdout any more".to_owned(),
                    Err(error) => error.to_string(),
                };
                output::complain(&format!("note: {why}; going on without lines"));
            }
        }
        if running.has_ended() {
            return;
        }
    }
}

/// INT and TERM stop, HUP reloads, TTIN and TTOU are one worker more and one fewer.
fn listen_to_signals(running: &Running) -> anyhow::Result<()> {
    shutdown::listen(running.stop.clone())?;
    let mut reload = signal(SignalKind::hangup()).context("signals cannot be heard")?;
    let mut more = signal(SignalKind::from_raw(SIGTTIN)).context("signals cannot be heard")?;
    let mut fewer = signal(SignalKind::from_raw(SIGTTOU)).context("signals cannot be heard")?;
    let (commands, again, clock) = (running.commands.clone(), running.reload.clone(), running.clock);
    tokio::spawn(async move {
        loop {
            let step = tokio::select! {
                Some(()) = reload.recv() => {
                    output::complain(&match again("signal HUP") {
                        Ok(said) => format!("note: {said}"),
                        Err(error) => format!("error: {error:#}"),
                    });
                    continue;
                }
                Some(()) = more.recv() => 1,
                Some(()) = fewer.recv() => -1,
                else => return,
            };
            let until = clock.now().saturating_add(admin::DEFAULT_HOLD).ok();
            let by = if step > 0 { "signal TTIN" } else { "signal TTOU" };
            // Full: more signals than anyone means within a turn.
            let _ = commands.try_send(Command::Scale { to: ScaleTo::By(step), until, by: by.to_owned() });
        }
    });
    Ok(())
}

/// Same number on every Unix that we know.
const SIGTTIN: i32 = 21;
/// Same number on every Unix that we know.
const SIGTTOU: i32 = 22;
