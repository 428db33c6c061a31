//! What was found, as Markdown.

use std::fmt::Write;

use crate::balancer::Found;
use crate::conformance::{Score, Tally};
use crate::load::CONNECTIONS;
use crate::peers::SIZES;
use crate::serve::THREADS;

pub(crate) fn text(found: &Found) -> String {
    let mut text = String::from("# Balancer: CPU per request beside nginx and HAProxy\n\n");
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZeroUsize::get);
    let _ = writeln!(
        text,
        "Made by `cargo run --release -p autoscale-bench -- balancer`. {cores} cores; {CONNECTIONS} kept \
         connections by wrk; {THREADS} threads or processes a peer; two backends in rotation (one nginx \
         process); access logs off. {} shuffled rounds of {} s a peer and size; medians; ratios are of the \
         same round. CPU is user and system time of the whole process tree.\n",
        found.rounds, found.seconds
    );
    let _ = writeln!(
        text,
        "Load average before: `{}`. Where that is above the number of cores, other programs shared the \
         machine: ratios hold roughly, absolute numbers do not.\n",
        found.load_before
    );
    text.push_str("| answer | peer | CPU µs/request | ÷ nginx | ÷ HAProxy |\n|---|---|---|---|---|\n");
    for size in SIZES {
        for peer in ["autoscale", "autoscale, Unix sockets", "nginx", "HAProxy"] {
            let cost = median(each_round(found, size, peer));
            let (nginx, haproxy) = (ratio(found, size, peer, "nginx"), ratio(found, size, peer, "HAProxy"));
            let _ = writeln!(text, "| {size} B | {peer} | {cost:.2} | {nginx:.2} | {haproxy:.2} |");
        }
    }
    strictness(&mut text, &found.scores);
    text
}

fn strictness(text: &mut String, scores: &[Score]) {
    text.push_str(
        "\n## Strictness\n\nThe raw-byte cases of `crates/proxy/tests/conformance`, put to the whole \
         programs by `autoscale-bench conformance`; what reaches the server behind them is judged. \
         Where the RFC lets a recipient refuse or forgive, both pass.\n\n\
         | peer | requests | workers' answers |\n|---|---|---|\n",
    );
    let passed = |tally: &Tally| format!("{} of {}", tally.cases - tally.failed.len(), tally.cases);
    for Score { peer, requests, answers } in scores {
        let _ = writeln!(text, "| {peer} | {} | {} |", passed(requests), passed(answers));
    }
}

fn each_round(found: &Found, size: usize, peer: &str) -> Vec<f64> {
    let of_peer = found.slots.iter().filter(|slot| slot.size == size && slot.peer == peer);
    of_peer.map(|slot| slot.cpu_us).collect()
}

fn ratio(found: &Found, size: usize, peer: &str, other: &str) -> f64 {
    let at = |name: &str, round: usize| {
        let slot =
            found.slots.iter().find(|slot| slot.size == size && slot.peer == name && slot.round == round)?;
        Some(slot.cpu_us)
    };
    median((0..found.rounds).filter_map(|round| Some(at(peer, round)? / at(other, round)?)).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[odd / 2],
        even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn medians() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
    }
}
