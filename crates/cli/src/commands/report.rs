//! `autoscale report`: a recorded run as one self-contained page.

use control::Cycle;

use super::replay::open;
use crate::args::ReportArgs;
use crate::failure::Hint;
use crate::output;

/// Turns that a report reads at most: a day at one a second; of longer runs the latest.
const TURNS_MAX: u32 = 86_400;

/// Runs the command.
pub(crate) fn run(args: &ReportArgs) -> anyhow::Result<()> {
    let reader = open(&args.run)?;
    let sessions = reader.sessions()?;
    super::replay::tell_of_no_end(&args.run, &sessions);
    let cycles: Vec<Cycle> = reader.last(TURNS_MAX)?.into_iter().map(|recorded| recorded.cycle).collect();
    let mut facts = vec![("run file".to_owned(), args.run.display().to_string())];
    let mut fact = |name: &str, value: String| facts.push((name.to_owned(), value));
    for session in &sessions {
        let header = &session.header;
        fact(
            &format!("session {}", session.id),
            format!(
                "{} from {}, {} turns, seed {}, autoscale {}",
                header.kind, header.started_at, session.cycles, header.seed, header.version
            ),
        );
        fact("configuration", header.config.to_string());
    }
    let all: u64 = sessions.iter().map(|session| session.cycles).sum();
    if all > cycles.len() as u64 {
        fact("shown", format!("the latest {} of {all} turns", cycles.len()));
    }
    let name = args.run.file_stem().unwrap_or(args.run.as_os_str()).to_string_lossy();
    let page = dashboard::report::page(&dashboard::report::of_run(&format!("Run {name}"), facts, &cycles));
    match &args.html {
        Some(path) => fs_err::write(path, page).hint("name a file that can be written with --html")?,
        None => drop(output::line(page.trim_end())),
    }
    Ok(())
}
