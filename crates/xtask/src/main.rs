//! Checks of the workspace: `cargo xtask ci` runs them all, each can be run alone.

mod tidy;
mod walls;

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

type Check = (&'static str, fn() -> Result<()>);

/// Every check in the order in which `ci` runs them: the quick ones first.
const CHECKS: &[Check] = &[
    ("walls", walls::check),
    ("tidy", tidy::check),
    ("fmt", || cargo(&["fmt", "--all", "--check"])),
    ("clippy", || cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
    ("test", || cargo(&["test", "--workspace"])),
    ("doc", doc),
];

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    match run(&asked) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(asked: &[String]) -> Result<()> {
    let names: Vec<&str> = CHECKS.iter().map(|(name, _)| *name).collect();
    let chosen: Vec<&Check> = match asked {
        [all] if all == "ci" => CHECKS.iter().collect(),
        // What remains when the caller has already run the tests by themselves.
        [all, flag] if all == "ci" && flag == "--no-test" => {
            CHECKS.iter().filter(|(name, _)| *name != "test").collect()
        }
        [one] => CHECKS.iter().filter(|(name, _)| name == one).collect(),
        _ => Vec::new(),
    };
    if chosen.is_empty() {
        bail!("usage: cargo xtask ci [--no-test] | {}", names.join(" | "));
    }
    for (name, check) in chosen {
        say(&format!("== {name}"));
        check().with_context(|| format!("`cargo xtask {name}` failed"))?;
    }
    say("all checks passed");
    Ok(())
}

fn cargo(arguments: &[&str]) -> Result<()> {
    cargo_with(arguments, &[])
}

fn doc() -> Result<()> {
    cargo_with(&["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")])
}

fn cargo_with(arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(arguments)
        .envs(environment.iter().copied())
        .status()
        .context("cargo could not be started")?;
    if !status.success() {
        bail!("cargo {} ended with {status}", arguments.join(" "));
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a tool of developers speaks on stderr")]
fn say(text: &str) {
    eprintln!("{text}");
}
