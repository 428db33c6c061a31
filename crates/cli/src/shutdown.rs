//! Being told to stop: the first signal asks, the second forces.

use std::time::Duration;

use clock::Clock;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::output;

/// Within this time a second signal is an echo of the first. No person is as quick.
const ECHO: Duration = Duration::from_millis(20);
/// Exit code after a second Ctrl-C.
const FORCED_INT: i32 = 130;
/// Exit code after a second TERM.
const FORCED_TERM: i32 = 143;

/// Resolves when the process is told to stop (INT or TERM).
pub(crate) async fn asked() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without handlers the default action of both signals ends the process all the same.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Cancels `stop` at the first INT or TERM and ends the process at the second. Workers
/// need not be thought of: the guardian ends them when this process is gone.
pub(crate) fn listen(stop: CancellationToken) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        let forced = either(&mut interrupt, &mut terminate).await;
        if stop.is_cancelled() {
            std::process::exit(forced);
        }
        stop.cancel();
        // Wrappers such as timeout(1) signal the process and then its whole group: one wish,
        // heard twice.
        let echo = Clock::start();
        let _ = echo.timeout(ECHO, either(&mut interrupt, &mut terminate)).await;
        output::complain("stopping: requests are finished first (again to force)");
        let forced = either(&mut interrupt, &mut terminate).await;
        output::complain("forced");
        std::process::exit(forced);
    });
    Ok(())
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) -> i32 {
    tokio::select! {
        _ = interrupt.recv() => FORCED_INT,
        _ = terminate.recv() => FORCED_TERM,
    }
}
