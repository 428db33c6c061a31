//! Orders from the admin API: to the loop, to the workers, to the whole program.

use std::sync::Arc;

use admin::{Orders, OrdersError};
use control::Command;
use parking_lot::Mutex;
use supervisor::Steering;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::balancing;
use crate::args::{BalanceArgs, RunArgs};
use crate::config::{self, Config};
use crate::output;

/// Reads the configuration again and hands it to the next turn; what to tell whoever asked.
pub(crate) type Reload = Arc<dyn Fn(&str) -> anyhow::Result<String> + Send + Sync>;

/// Takes orders.
pub(super) struct Desk {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) steering: Steering,
    pub(super) stop: CancellationToken,
    pub(super) reload: Reload,
    pub(super) upgrade: Arc<Notify>,
    pub(super) runtime: tokio::runtime::Handle,
}

impl Desk {
    /// The slot of a worker that exists now.
    fn existing(&self, worker: &str) -> Result<u32, OrdersError> {
        let unknown = || OrdersError::UnknownWorker(worker.to_owned());
        let asked = slot(worker).ok_or_else(unknown)?;
        let (_, workers) = self.steering.seen();
        let found = workers.iter().find(|seen| seen.id.slot == asked).ok_or_else(unknown)?;
        // Named with its run, a successor in the same slot is another worker.
        let named_run = worker.split_once('.').map(|(_, run)| run);
        if named_run.is_some_and(|run| run != found.id.run.to_string()) {
            return Err(unknown());
        }
        Ok(asked)
    }
}

impl Orders for Desk {
    fn command(&self, command: Command) -> Result<(), OrdersError> {
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => OrdersError::Busy,
            TrySendError::Closed(_) => OrdersError::Refused("the pool is stopping".to_owned()),
        })
    }

    fn drain(&self, worker: &str) -> Result<(), OrdersError> {
        let slot = self.existing(worker)?;
        let steering = self.steering.clone();
        self.runtime.spawn(async move {
            if let Err(error) = steering.drain(slot).await {
                output::complain(&format!("warning: w{slot} was not drained: {error}"));
            }
        });
        Ok(())
    }

    fn kill(&self, worker: &str) -> Result<(), OrdersError> {
        let slot = self.existing(worker)?;
        let steering = self.steering.clone();
        self.runtime.spawn(async move {
            if let Err(error) = steering.kill(slot).await {
                output::complain(&format!("warning: w{slot} was not killed: {error}"));
            }
        });
        Ok(())
    }

    fn protect(&self, worker: &str, on: bool) -> Result<(), OrdersError> {
        let slot = self.existing(worker)?;
        let steering = self.steering.clone();
        self.runtime.spawn(async move {
            if let Err(error) = steering.protect(slot, on).await {
                output::complain(&format!("warning: w{slot} was not protected: {error}"));
            }
        });
        Ok(())
    }

    fn stop(&self) -> Result<(), OrdersError> {
        self.stop.cancel();
        Ok(())
    }

    fn upgrade(&self) -> Result<(), OrdersError> {
        self.upgrade.notify_one();
        Ok(())
    }

    fn reload(&self) -> Result<(), OrdersError> {
        (self.reload)("admin API").map(drop).map_err(|error| OrdersError::Refused(format!("{error:#}")))
    }
}

/// The slot in `w3` or `w3.7`.
pub(super) fn slot(worker: &str) -> Option<u32> {
    let (slot, run) = worker.strip_prefix('w')?.split_once('.').unwrap_or((&worker[1..], "1"));
    run.parse::<u32>().ok()?;
    slot.parse().ok()
}

/// Makes the function that a reload calls. What needs a restart is said, not silently left out.
pub(super) fn reload(
    args: RunArgs,
    started_with: Config,
    commands: mpsc::Sender<Command>,
    balancing: Arc<balancing::Desk>,
    steering: Steering,
) -> Reload {
    let in_force = Mutex::new(started_with);
    let runtime = tokio::runtime::Handle::current();
    Arc::new(move |by| {
        let next = config::reload(&args)?;
        let mut in_force = in_force.lock();
        let mut said = vec!["the configuration was read again".to_owned()];
        let victims = next.pool.victims;
        if std::mem::replace(&mut in_force.pool.victims, victims) != victims {
            let steering = steering.clone();
            // Fails only when the pool ends, and then nobody is to be chosen any more.
            runtime.spawn(async move { steering.choose(victims).await });
        }
        let fixed = [("pool", in_force.pool != next.pool), ("admin", in_force.admin != next.admin)];
        for (table, _) in fixed.iter().filter(|(_, differs)| *differs) {
            said.push(format!("[{table}] has changed and takes effect at the next start"));
        }
        let fixed = balancing.apply(next.balancer)?;
        said.extend(fixed.iter().map(|key| format!("{key} has changed and takes effect at the next start")));
        let config = Box::new(next.control.clone());
        commands
            .try_send(Command::Reload { config, by: by.to_owned() })
            .map_err(|_| anyhow::anyhow!("too many orders are waiting"))?;
        in_force.control = next.control;
        Ok(said.join("; "))
    })
}

/// The same for the balancer alone: its servers may come and go too.
pub(crate) fn reload_balance(args: BalanceArgs, balancing: Arc<balancing::Desk>) -> Reload {
    Arc::new(move |_| {
        let next = config::resolve_balance(&args)
            .map_err(|error| error.context("the new configuration is refused, the old one stays"))?;
        let fixed = balancing.apply(next.balancer)?;
        let (come, gone) = balancing.replace(&next.backends);
        let mut said = vec![format!("the configuration was read again: {come} servers came, {gone} left")];
        said.extend(fixed.iter().map(|key| format!("{key} has changed and takes effect at the next start")));
        Ok(said.join("; "))
    })
}

#[cfg(test)]
mod tests {
    use super::slot;

    #[test]
    fn slots_are_read_from_names() {
        assert_eq!(slot("w3"), Some(3));
        assert_eq!(slot("w3.7"), Some(3));
        for bad in ["", "w", "3", "wx", "w3.", "w.3", "w3.x", "é"] {
            assert_eq!(slot(bad), None, "{bad}");
        }
    }
}
