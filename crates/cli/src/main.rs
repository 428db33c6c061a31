//! Binary `autoscale`: arguments in, exit code out.

mod args;
mod commands;
mod config;
#[cfg(test)]
#[path = "../../../tests/fuzz/edits.rs"]
mod edits;
mod failure;
#[cfg(test)]
mod fuzz;
mod output;
mod session;
mod shutdown;
mod wiring;

use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches};

use args::{Cli, Command};

/// Threads of the runtime that carries the loop, the admin API and the supervisor; requests
/// have threads of their own.
const THREADS: usize = 2;

/// The system's keeps what a burst of connections took; this one gives it back, and is quicker.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = Cli::command();
    let parsed = command.clone().try_get_matches();
    let (given, cli) = match parsed.and_then(|given| Ok((given.clone(), Cli::from_arg_matches(&given)?))) {
        Ok(both) => both,
        Err(answer) => return told(&answer),
    };
    // No runtime, no threads: the guardian must be as little as it can be.
    if matches!(cli.command, Command::Guardian) {
        return supervisor::guardian::run();
    }
    if let Command::Leash { words } = &cli.command {
        return supervisor::leash::run(words);
    }
    ended(args::heed(&command, &given).and_then(|()| dispatch(cli.command)))
}

/// A command that did all it should has also written all that it should.
fn ended(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome.and_then(|()| output::finished()) {
        Ok(()) => ExitCode::from(failure::FINE),
        Err(error) => failure::report(&error),
    }
}

/// Arguments that ask for help, or that are wrong.
fn told(answer: &clap::Error) -> ExitCode {
    /// What clap ends its errors in; all of ours end in a hint.
    const THEIRS: &str = "For more information, try '--help'.";
    const OURS: &str = "hint: --help shows every option with its default, and examples";
    if answer.use_stderr() {
        output::complain(answer.render().to_string().replace(THEIRS, OURS).trim_end());
        return ExitCode::from(failure::USAGE);
    }
    output::written(answer.print().and_then(|()| std::io::stdout().flush()));
    ended(Ok(()))
}

fn dispatch(command: Command) -> anyhow::Result<()> {
    use commands as run;
    match command {
        Command::Demo(args) => several_threads(run::demo::run(&args)),
        Command::Run(args) => several_threads(run::run::run(&args)),
        Command::Guardian | Command::Leash { .. } => Ok(()),
        Command::Balance(args) => several_threads(run::balance::run(&args)),
        Command::Worker(args) => one_thread(run::worker::run(&args)),
        Command::Load(args) => several_threads(run::load::run(&args)),
        Command::Top(args) => match &args.run {
            Some(path) => run::top::recorded(&args, path),
            None => one_thread(run::top::run(&args)),
        },
        Command::Status(args) => one_thread(run::ask::status(&args)),
        Command::Ps(args) => one_thread(run::ask::ps(&args)),
        Command::Balancer(args) => one_thread(run::balancer::balancer(&args)),
        Command::Targets(args) => one_thread(run::balancer::targets(&args)),
        Command::Request(args) => one_thread(run::balancer::request(&args)),
        Command::Scale(args) => one_thread(run::steer::scale(&args)),
        Command::Pause(args) => one_thread(run::steer::pause(&args)),
        Command::Boost(args) => one_thread(run::steer::boost(&args)),
        Command::Resume(args) => one_thread(run::steer::resume(&args)),
        Command::Drain(args) => one_thread(run::steer::drain(&args)),
        Command::Kill(args) => one_thread(run::steer::kill(&args)),
        Command::Protect(args) => one_thread(run::steer::protect(&args)),
        Command::Logs(args) => one_thread(run::ask::logs(&args)),
        Command::Events(args) => one_thread(run::ask::events(&args)),
        Command::Stop(args) => one_thread(run::steer::stop(&args)),
        Command::Upgrade(args) => one_thread(run::steer::upgrade(&args)),
        Command::Why(args) | Command::WhyNot(args) => one_thread(run::ask::why(&args)),
        Command::Doctor(args) => one_thread(run::doctor::run(&args)),
        Command::Replay(args) => run::replay::run(&args),
        Command::Verify(args) => run::verify::run(&args),
        Command::Forecast(args) => one_thread(run::forecast::run(&args)),
        Command::Simulate(args) => run::simulate::run(&args),
        Command::Tune(args) => run::tune::run(&args),
        Command::Advise(args) => run::advise::run(&args),
        Command::Diagnose(args) => run::diagnose::run(&args),
        Command::Gym(args) => run::gym::run(&args),
        Command::TrainRl(args) => run::train_rl::run(&args),
        Command::Report(args) => run::report::run(&args),
        Command::Decide(args) => run::decide::run(&args),
        Command::Policy(args) => run::policy::run(&args),
        Command::Tls(args) => run::tls::run(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "autoscale", &mut script);
            output::line(&String::from_utf8_lossy(&script));
            Ok(())
        }
    }
}

/// A connection takes two files; many systems allow a program 1,024 unless it asks for more.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // What is refused stays as it was; running out is told where it happens.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Small commands and workers: nothing that needs more.
fn one_thread(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime could not be started")?
        .block_on(work)
}

/// The live system and the load generator.
fn several_threads(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    raise_file_limit();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .context("the runtime could not be started")?
        .block_on(work)
}
