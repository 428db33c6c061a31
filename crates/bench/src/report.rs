//! What was found, as Markdown: goals first, then every figure.

use std::fmt::Write;
use std::process::Command;

use crate::balancer::Found;
use crate::conformance::{Score, Tally};
use crate::load::CONNECTIONS;
use crate::peers::THREADS;

/// What was tried for speed, and what it gave; by hand.
const NOTES: &str = include_str!("notes.md");

/// A promise: `peer`'s figure, divided by the best of `rivals` in the same round if there are any.
struct Goal {
    text: &'static str,
    what: &'static str,
    peer: &'static str,
    rivals: &'static [&'static str],
    most: f64,
}

const BOTH: &[&str] = &["nginx", "HAProxy"];
const OURS: &str = crate::peers::OWN;
const UNIX: &str = "autoscale, Unix sockets";

const GOALS: &[Goal] = &[
    Goal {
        text: "CPU, 128 B ÷ better of nginx, HAProxy",
        what: "CPU µs/request, 128 B",
        peer: OURS,
        rivals: BOTH,
        most: 1.0,
    },
    Goal {
        text: "CPU, 1 KiB ÷ better of nginx, HAProxy",
        what: "CPU µs/request, 1 KiB",
        peer: OURS,
        rivals: BOTH,
        most: 1.0,
    },
    Goal {
        text: "CPU, 128 B, Unix sockets ÷ their TCP",
        what: "CPU µs/request, 128 B",
        peer: UNIX,
        rivals: BOTH,
        most: 0.85,
    },
    Goal {
        text: "CPU, 1 KiB, Unix sockets ÷ their TCP",
        what: "CPU µs/request, 1 KiB",
        peer: UNIX,
        rivals: BOTH,
        most: 0.85,
    },
    Goal {
        text: "CPU, 64 KiB ÷ HAProxy",
        what: "CPU µs/request, 64 KiB",
        peer: OURS,
        rivals: &["HAProxy"],
        most: 0.9,
    },
    Goal {
        text: "p99 at 5,000/s, open loop ÷ nginx",
        what: "p99 ms at 5,000/s",
        peer: OURS,
        rivals: &["nginx"],
        most: 1.2,
    },
    Goal {
        text: "p99 at 20,000/s, open loop ÷ nginx",
        what: "p99 ms at 20,000/s",
        peer: OURS,
        rivals: &["nginx"],
        most: 1.2,
    },
    Goal {
        text: "MiB with 5,000 idle connections",
        what: "MiB with 5,000 idle connections",
        peer: OURS,
        rivals: &[],
        most: 40.0,
    },
    Goal {
        text: "CPU, h2 of 64 streams ÷ nginx",
        what: "CPU µs/request, h2",
        peer: "autoscale, TLS",
        rivals: &["nginx, TLS"],
        most: 1.1,
    },
    Goal {
        text: "CPU, TLS 1.3 ÷ nginx",
        what: "CPU µs/request, TLS 1.3",
        peer: "autoscale, TLS",
        rivals: &["nginx, TLS"],
        most: 1.1,
    },
    Goal {
        text: "CPU, 100 workers ÷ 5",
        what: "CPU µs/request, 5 and 100 workers",
        peer: "autoscale, 100 workers",
        rivals: &["autoscale, 5 workers"],
        most: 1.03,
    },
];

pub(crate) fn text(found: &Found) -> String {
    let mut text = String::from("# The balancer beside nginx and HAProxy\n\n");
    let [before, after] = &found.loads;
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZeroUsize::get);
    let _ = writeln!(
        text,
        "Made by `cargo build --release -p autoscale-cli -p autoscale-bench && target/release/autoscale-bench \
         balancer`. {}; {cores} cores; {}; {}; {}. Load average before `{before}`, after `{after}`: above \
         the number of cores, other programs shared the machine, and ratios hold only roughly.\n",
        processor(),
        version("uname", "-sr"),
        version("nginx", "-v"),
        version("haproxy", "-v"),
    );
    let _ = writeln!(
        text,
        "The whole program `autoscale balance` with its defaults, probes included; {THREADS} threads or \
         processes a peer; two servers in rotation (one nginx process); access logs off; {CONNECTIONS} kept \
         connections by wrk, h2load with 8 × 64 streams, latency by our own open loop (Poisson). {} shuffled \
         rounds of {} s; medians; ratios are of the same round. CPU is user and system time of the whole \
         process tree.\n",
        found.rounds, found.seconds
    );
    text.push_str("| | goal | measured | verdict |\n|---|---|---|---|\n");
    for goal in GOALS {
        let measured = measured(found, goal);
        let verdict = match measured {
            None => "not measured",
            Some(measured) if measured <= goal.most => "met",
            Some(_) => "missed",
        };
        let shown = measured.map_or("–".to_owned(), |measured| format!("{measured:.2}"));
        let _ = writeln!(text, "| {} | ≤ {:.2} | {shown} | {verdict} |", goal.text, goal.most);
    }
    figures(&mut text, found);
    strictness(&mut text, &found.scores);
    text.push('\n');
    text.push_str(NOTES);
    text
}

/// The median, over all rounds, of what a goal is about.
fn measured(found: &Found, goal: &Goal) -> Option<f64> {
    let ratios = (0..found.rounds).filter_map(|round| {
        let own = at(found, goal.what, goal.peer, round)?;
        if goal.rivals.is_empty() {
            return Some(own);
        }
        let rivals = goal.rivals.iter().filter_map(|rival| at(found, goal.what, rival, round));
        Some(own / rivals.reduce(f64::min)?)
    });
    median(ratios.collect())
}

fn at(found: &Found, what: &str, peer: &str, round: usize) -> Option<f64> {
    let is_it = |sample: &&crate::balancer::Sample| {
        sample.what == what && sample.peer == peer && sample.round == round
    };
    found.samples.iter().find(is_it).map(|sample| sample.value)
}

fn figures(text: &mut String, found: &Found) {
    text.push_str("\n## Figures\n\n| | peer | median | least | most |\n|---|---|---|---|---|\n");
    let mut rows: Vec<(&str, &str)> = Vec::new();
    for sample in &found.samples {
        if !rows.contains(&(sample.what, sample.peer)) {
            rows.push((sample.what, sample.peer));
        }
    }
    rows.sort_by_key(|(what, peer)| {
        let first = found.samples.iter().position(|sample| sample.what == *what);
        (first, *peer)
    });
    for (what, peer) in rows {
        let of_row = found.samples.iter().filter(|sample| sample.what == what && sample.peer == peer);
        let values: Vec<f64> = of_row.map(|sample| sample.value).collect();
        let (least, most) =
            (values.iter().copied().fold(f64::MAX, f64::min), values.iter().copied().fold(0.0, f64::max));
        let median = median(values).unwrap_or(f64::NAN);
        let _ = writeln!(text, "| {what} | {peer} | {median:.2} | {least:.2} | {most:.2} |");
    }
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

/// The first line that a program says of itself, on either of its outputs.
fn version(program: &str, flag: &str) -> String {
    let Ok(output) = Command::new(program).arg(flag).output() else { return format!("no {program}") };
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned()
}

fn processor() -> String {
    let text = fs_err::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(": ")).map_or("unknown processor", |(_, name)| name).to_owned()
}

/// `text` with this section in place of the one under the same heading, or at its end.
pub(crate) fn with_section(text: &str, heading: &str, section: &str) -> String {
    let (before, after) = split_section(text, heading);
    let (before, section) = (before.trim_end(), section.trim_end());
    let after = if after.is_empty() { String::new() } else { format!("\n{after}") };
    format!("{before}\n\n{heading}\n\n{section}\n{after}")
}

/// What stands under a heading; empty where it is not there.
pub(crate) fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (before, after) = split_section(text, heading);
    text[before.len()..text.len() - after.len()].trim_start().trim_start_matches(heading).trim()
}

/// What stands before the section, and from the next heading on.
fn split_section<'a>(text: &'a str, heading: &str) -> (&'a str, &'a str) {
    let Some(at) = text.find(&format!("\n{heading}\n")) else { return (text, "") };
    let rest = &text[at + 1 + heading.len()..];
    let next = ["\n## ", "\n# "].into_iter().filter_map(|next| rest.find(next)).min();
    (&text[..at], next.map_or("", |next| &text[at + 1 + heading.len() + next + 1..]))
}

pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[odd / 2]),
        even => Some(f64::midpoint(values[even / 2 - 1], values[even / 2])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_where_it_stands() {
        let text = with_section("# A\n\n## B\n\nb\n", "## C", "c\n");
        assert_eq!(text, "# A\n\n## B\n\nb\n\n## C\n\nc\n");
        assert_eq!(with_section(&text, "## B", "new"), "# A\n\n## B\n\nnew\n\n## C\n\nc\n");
        assert_eq!((section(&text, "## B"), section(&text, "## C"), section(&text, "## D")), ("b", "c", ""));
    }

    #[test]
    fn medians() {
        assert_eq!(median(Vec::new()), None);
        assert!((median(vec![3.0, 1.0, 2.0]).unwrap() - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]).unwrap() - 2.5).abs() < 1e-9);
    }

    #[test]
    fn a_goal_is_measured_against_the_best_of_its_round() {
        let sample = |peer, round, value| crate::balancer::Sample { what: GOALS[0].what, peer, round, value };
        let samples = vec![
            sample(OURS, 0, 12.0),
            sample("nginx", 0, 10.0),
            sample("HAProxy", 0, 20.0),
            sample(OURS, 1, 9.0),
            sample("nginx", 1, 12.0),
            sample("HAProxy", 1, 10.0),
        ];
        let found = Found { samples, rounds: 2, seconds: 1, loads: Default::default(), scores: Vec::new() };
        assert!((measured(&found, &GOALS[0]).unwrap() - 1.05).abs() < 1e-9);
        assert!(text(&found).contains("| 1.05 | missed |"));
    }
}
