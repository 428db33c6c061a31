//! `autoscale verify no-loss`: does the ledger of a recorded run balance, turn by turn and at its end?

use control::Cycle;
use journal::{Reader, Session};
use serde::Serialize;
use traffic::Ledger;
use traffic::ledger::{Audit, Violation};

use super::replay;
use crate::args::{NoLossArgs, Output, VerifyArgs, VerifyCommand};
use crate::failure::{FAILED, INVALID, coded};
use crate::output;

/// What one session's books say.
#[derive(Debug, Serialize)]
struct Row {
    session: i64,
    started_at: String,
    verdict: Verdict,
    turns: u64,
    /// Turns that are not in the file: the totals go on over them, their windows are not compared.
    missing: u64,
    /// The latest books that balance: after the last request where the session was closed in good order.
    ledger: Option<Ledger>,
    violation: Option<Found>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// Every request ended in one outcome and at one worker.
    Balanced,
    /// It balances as far as the file goes: the session runs still, or was ended by force.
    CutShort,
    /// Something does not add up.
    Violated,
    /// Nothing to go by: simulated, or recorded by an earlier version.
    NoLedger,
}

#[derive(Debug, Serialize)]
struct Found {
    /// `None`: after the last turn.
    turn: Option<u64>,
    rule: &'static str,
    text: String,
}

impl Found {
    fn at(turn: Option<u64>) -> impl Fn(Violation) -> Self {
        move |Violation { rule, text }| Self { turn, rule, text }
    }
}

/// Runs the command.
pub(crate) fn run(args: &VerifyArgs) -> anyhow::Result<()> {
    match &args.command {
        VerifyCommand::NoLoss(args) => no_loss(args),
    }
}

fn no_loss(args: &NoLossArgs) -> anyhow::Result<()> {
    let reader = replay::open(&args.run)?;
    let mut rows = Vec::new();
    for session in &reader.sessions()? {
        rows.push(audit(&reader, session)?);
    }
    match args.output {
        Output::Table => rows.iter().for_each(say),
        Output::Json => output::value(&rows, false)?,
        Output::Yaml => output::value(&rows, true)?,
    }
    conclude(&rows)
}

fn conclude(rows: &[Row]) -> anyhow::Result<()> {
    let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    let (violated, unknown) = (count(Verdict::Violated), count(Verdict::NoLedger));
    if violated > 0 {
        let error = anyhow::anyhow!("the ledger does not balance in {violated} of {} sessions", rows.len());
        return Err(coded(
            error,
            "`-o json` has the books; if nobody changed the file, please report it",
            FAILED,
        ));
    }
    if unknown > 0 || rows.is_empty() {
        let error = anyhow::anyhow!(
            "{unknown} of {} sessions were recorded without a ledger: nothing can be said of their requests",
            rows.len()
        );
        let advice =
            "a run recorded by this version has one (`autoscale run --record FILE`); simulations have none";
        return Err(coded(error, advice, INVALID));
    }
    Ok(())
}

fn audit(reader: &Reader, session: &Session) -> anyhow::Result<Row> {
    let mut audit = Audit::default();
    let mut violation = None;
    let mut cycles = reader.cycles(session.id)?;
    for recorded in &mut cycles {
        let recorded = recorded?;
        let Cycle::Decided { seen, ledger: Some(ledger), .. } = recorded.cycle else { continue };
        if violation.is_none() {
            let checked = audit.turn(recorded.seq, seen.traffic.as_ref(), &ledger);
            violation = checked.map_err(Found::at(Some(recorded.seq))).err();
        }
    }
    let held = session.last_seq.saturating_sub(session.first_seq.saturating_sub(1));
    let missing = held.saturating_sub(session.cycles);
    if violation.is_none() {
        violation = unreadable(cycles.broken()).or_else(|| vanished(session, missing));
    }
    if let (None, Some(closing)) = (&violation, &session.closing) {
        violation = match serde_json::from_value::<Ledger>(closing.clone()) {
            Ok(closing) => audit.close(&closing).map_err(Found::at(None)).err(),
            Err(error) => Some(Found { turn: None, rule: "unreadable", text: error.to_string() }),
        };
    }
    let ledger = audit.latest().cloned();
    let verdict = match (&violation, &ledger) {
        (Some(_), _) => Verdict::Violated,
        (None, None) => Verdict::NoLedger,
        (None, Some(_)) if session.closing.is_none() => Verdict::CutShort,
        (None, Some(_)) => Verdict::Balanced,
    };
    let started_at = session.header.started_at.to_string();
    let turns = session.cycles;
    Ok(Row { session: session.id, started_at, verdict, turns, missing, ledger, violation })
}

fn unreadable(broken: &[String]) -> Option<Found> {
    let text = broken.first()?.clone();
    Some(Found { turn: None, rule: "unreadable", text })
}

/// A session closed in good order says how many turns it could not record: no others may be missing.
fn vanished(session: &Session, missing: u64) -> Option<Found> {
    let beyond = session.ended_at.is_some() && missing > session.dropped;
    beyond.then(|| Found {
        turn: None,
        rule: "turns_missing",
        text: format!("{missing} turns are missing, and only {} could not be recorded", session.dropped),
    })
}

fn say(row: &Row) {
    let Row { session, started_at, turns, missing, .. } = row;
    let word = match row.verdict {
        Verdict::Balanced => "balanced: every request ended in one outcome and at one worker",
        Verdict::CutShort => "balanced as far as it goes: it runs still, or was ended by force",
        Verdict::Violated => "NOT balanced",
        Verdict::NoLedger => "no ledger: simulated, or recorded by an earlier version",
    };
    output::line(&format!("session {session} of {started_at}, {turns} turns: {word}"));
    if *missing > 0 {
        output::line(&format!("  {missing} turns are missing; the totals go on over them"));
    }
    if let Some(Found { turn, rule, text }) = &row.violation {
        let place = turn.map_or_else(|| "the end".to_owned(), |turn| format!("turn {turn}"));
        output::line(&format!("  {place}: {rule}: {text}"));
    }
    if let Some(ledger) = &row.ledger {
        if row.violation.is_some() {
            output::line("  the last books that balanced:");
        }
        books(ledger);
    }
}

fn books(ledger: &Ledger) {
    let Ledger { accepted, answered, failed, cancelled, open, retries, .. } = ledger;
    output::line(&format!(
        "  {accepted} accepted = {answered} answered + {} refused + {failed} failed + {cancelled} cancelled + \
         {open} under way",
        ledger.refused_in_all()
    ));
    for (reason, count) in &ledger.refused {
        output::line(&format!("    refused {count}: {reason}"));
    }
    let sum = ledger.handed();
    output::line(&format!(
        "  {} handed to workers ({retries} of them retries) = {} answered + {} failed + {} unreached + \
         {} cancelled + {} at work",
        sum.leased, sum.answered, sum.failed, sum.unreached, sum.cancelled, sum.in_flight
    ));
    let pages = ledger.workers.iter().map(|worker| (worker.id.to_string(), worker.handed));
    let gone = (ledger.gone.leased > 0).then_some(("those that left".to_owned(), ledger.gone));
    for (worker, handed) in pages.chain(gone) {
        output::line(&format!("    {worker}: {} handed, {} answered", handed.leased, handed.answered));
    }
}
