//! `autoscale worker`: one demo app process.

use worker::{ID_VARIABLE, WorkerConfig, WorkerError};

use crate::args::WorkerArgs;
use crate::failure::{FAILED, USAGE, coded};
use crate::{output, shutdown};

/// Runs until told to stop.
pub(crate) async fn run(args: &WorkerArgs) -> anyhow::Result<()> {
    let defaults = WorkerConfig::default();
    let config = WorkerConfig {
        host: args.host,
        port: args.port,
        id: std::env::var(ID_VARIABLE).unwrap_or_else(|_| defaults.id.clone()),
        cpus: args.cpus.unwrap_or(defaults.cpus),
        cpu_ms: args.cpu_ms,
        start_up: args.start_up,
        ..defaults
    };
    let worker = worker::Worker::bind(config, clock::Clock::start()).map_err(failed)?;
    output::line(&format!("listening on http://{}", worker.address()));
    worker.serve(shutdown::asked()).await.map_err(failed)
}

fn failed(error: WorkerError) -> anyhow::Error {
    let advice = error.hint();
    let code = if matches!(error, WorkerError::Setting(_)) { USAGE } else { FAILED };
    coded(error.into(), advice.unwrap_or("`autoscale worker --help` lists each setting"), code)
}
