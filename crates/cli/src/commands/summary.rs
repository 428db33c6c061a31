//! What a run came to: reactions and costs, in words.

use std::time::Duration;

use admin::Board;
use control::ledger::{Ledger, ScaleOut};

/// Scale-outs that are listed one by one.
const LISTED_MAX: usize = 20;

/// The books of the turns that the board still holds.
pub(crate) fn ledger(board: &Board) -> Ledger {
    board.ledger()
}

/// Workers used, against a fixed number of them.
pub(crate) fn costs(ledger: &Ledger, fixed: u32) -> String {
    let saved = ledger.saved_against(fixed);
    let all = ledger.worker_seconds + saved;
    let share = if all > 0.0 { 100.0 * saved / all } else { 0.0 };
    format!(
        "workers   {:.0} worker-seconds used in {:.0} s; {fixed} all the time would have cost {all:.0}: {share:.0} % saved",
        ledger.worker_seconds,
        ledger.elapsed().as_secs_f64(),
    )
}

/// Each scale-out with the parts of its lateness.
pub(crate) fn reactions(ledger: &Ledger) -> Vec<String> {
    let mut lines = vec![format!(
        "scaling   {} out, {} in, at most {} workers ready at once",
        ledger.scale_outs_total, ledger.scale_ins_total, ledger.ready_max
    )];
    lines.extend(ledger.scale_outs().iter().take(LISTED_MAX).map(reaction));
    lines
}

fn reaction(one: &ScaleOut) -> String {
    let part = |length: Option<Duration>| {
        length.map_or("–".to_owned(), |length| format!("{:.2} s", length.as_secs_f64()))
    };
    format!(
        "  {} → {}  detect {} + start {} + first request {} = {} from crossing the line",
        one.from,
        one.to,
        part(one.detect()),
        part(one.start()),
        part(one.route()),
        part(one.total()),
    )
}
