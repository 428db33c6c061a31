//! Binary `autoscale`: arguments in, exit code out.

mod args;
mod commands;
mod config;
mod failure;
mod output;
mod session;
mod shutdown;

use std::future::Future;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser};

use args::{Cli, Command};

/// Threads of the runtime that carries the loop, the admin API and the supervisor; requests
/// have threads of their own.
const THREADS: usize = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli.command) {
        Ok(()) => ExitCode::from(failure::FINE),
        Err(error) => failure::report(&error),
    }
}

fn dispatch(command: Command) -> anyhow::Result<()> {
    use commands as run;
    match command {
        Command::Worker(args) => one_thread(run::worker::run(&args)),
        Command::Replay(args) => run::replay::run(&args),
        Command::Policy(args) => run::policy::run(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "autoscale", &mut script);
            output::line(&String::from_utf8_lossy(&script));
            Ok(())
        }
        _ => anyhow::bail!("wired next"),
    }
}

/// Small commands and workers: nothing that needs more.
fn one_thread(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime could not be started")?
        .block_on(work)
}
