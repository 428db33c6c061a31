//! `autoscale replay`: a recorded run's observations through the decision code again.

mod counterfactual;

use std::path::Path;

use anyhow::Context;
use journal::{JournalError, Reader, Session};
use serde::Serialize;
use simulator::replay::{Divergence, Verdict, verify};

use super::play;
use crate::args::{Output, ReplayArgs};
use crate::failure::{FAILED, Hint, NOT_FOUND, coded};
use crate::output;
use crate::session::{Recorded, Tail};

/// What one session's replay found.
#[derive(Debug, Serialize)]
struct Row {
    session: i64,
    started_at: String,
    policy: String,
    turns: u64,
    blind: u64,
    /// Turns that were decided but are not in the file.
    missing: u64,
    /// Rows that could not be read.
    broken: u64,
    divergences: u64,
    #[serde(skip)]
    shown: Vec<Divergence>,
}

/// Runs the command; an error if decisions differ and `--verify` was asked for.
pub(crate) fn run(args: &ReplayArgs) -> anyhow::Result<()> {
    if let Some(policies) = &args.policy {
        counterfactual::run(args, policies)?;
        return match (&args.record, args.watch) {
            (Some(written), true) => play::recorded(written, args.warp),
            _ => Ok(()),
        };
    }
    if args.watch {
        return play::recorded(&args.run, args.warp);
    }
    let reader = open(&args.run)?;
    let sessions = reader.sessions()?;
    tell_of_no_end(&args.run, &sessions);
    let mut past = Tail::default();
    let mut rows = Vec::new();
    for session in &sessions {
        rows.push(replay(&reader, session, &mut past)?);
    }
    let divergences: u64 = rows.iter().map(|row| row.divergences).sum();
    match args.output {
        Output::Table => table(&rows, divergences),
        Output::Json => output::value(&rows, false)?,
        Output::Yaml => output::value(&rows, true)?,
    }
    if args.verify && divergences > 0 {
        return Err(anyhow::anyhow!("{divergences} decisions came out differently"))
            .coded("was the file recorded by another version of autoscale, or did turns get lost?", FAILED);
    }
    Ok(())
}

/// Opens a run file, with advice where that fails.
pub(crate) fn open(path: &Path) -> anyhow::Result<Reader> {
    Reader::open(path).map_err(|error| match error {
        JournalError::Missing { .. } => {
            coded(error.into(), "`autoscale run --record FILE` writes one", NOT_FOUND)
        }
        other => coded(other.into(), "name a file written by `autoscale run --record FILE`", FAILED),
    })
}

/// Says where a run is not whole, which its decisions do not show.
pub(crate) fn tell_of_no_end(path: &Path, sessions: &[Session]) {
    for session in sessions.iter().filter(|session| session.ended_at.is_none()) {
        output::complain(&format!(
            "note: {}: session {} has no end: it still runs, or was cut off after turn {}",
            path.display(),
            session.id,
            session.last_seq
        ));
    }
}

fn replay(reader: &Reader, session: &Session, past: &mut Tail) -> anyhow::Result<Row> {
    let recorded: Recorded = serde_json::from_value(session.header.config.clone())
        .with_context(|| format!("session {}: its configuration cannot be read", session.id))?;
    let mut cycles = reader.cycles(session.id)?;
    let mut all = Vec::new();
    for cycle in &mut cycles {
        all.push(cycle?.cycle);
    }
    let earlier = past.last(recorded.resumed_cycles);
    let verdict: Verdict = verify(recorded.control.clone(), earlier, all.iter().cloned())
        .with_context(|| format!("session {}: its policy cannot be built", session.id))?;
    for cycle in all {
        past.push(cycle);
    }
    Ok(Row {
        session: session.id,
        started_at: session.header.started_at.to_string(),
        policy: recorded.control.policy.name,
        turns: verdict.turns,
        blind: verdict.blind,
        missing: session.last_seq.saturating_sub(session.cycles),
        broken: cycles.skipped(),
        divergences: verdict.divergences,
        shown: verdict.shown,
    })
}

fn table(rows: &[Row], divergences: u64) {
    for row in rows {
        output::line(&format!(
            "session {} of {}: {} turns through {}, {} divergences",
            row.session, row.started_at, row.turns, row.policy, row.divergences
        ));
        if row.missing + row.broken > 0 {
            output::line(&format!(
                "  {} turns are missing and {} unreadable: what follows them may differ",
                row.missing, row.broken
            ));
        }
        for one in &row.shown {
            output::line(&format!(
                "  {}\n    recorded {}\n    replayed {}",
                one.at, one.recorded, one.replayed
            ));
        }
    }
    output::line(&format!("{divergences} divergences"));
}
