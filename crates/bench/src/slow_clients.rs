//! What 1,000 slow clients cost all others: slowhttptest's three attacks, and a 99th percentile
//! beside them, in alternating slots with and without.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::peers::{self, Peer};
use crate::report::{median, with_section};
use crate::{cost, latency};

/// Attackers at once.
const CONNECTIONS: usize = 1_000;
/// Pairs of slots of which the medians are taken.
const ROUNDS: u32 = 6;
/// Length of a slot: within the time-outs that end an attack, long enough for a percentile.
const SECONDS: u32 = 5;
/// Requests a second of the other clients: a fraction of what one core answers.
const RATE: u32 = 500;
/// An attack that is not there by then is none.
const ATTACK_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What the goal allows: a fifth more.
const RATIO_MAX: f64 = 1.2;
/// The heading under which the table stands in the results.
pub(crate) const HEADING: &str = "## Slow clients";

/// An attack of slowhttptest.
struct Attack {
    name: &'static str,
    flags: &'static [&'static str],
    path: &'static str,
}

const ATTACKS: &[Attack] = &[
    Attack { name: "slow header", flags: &["-H", "-i", "1", "-x", "24", "-t", "GET"], path: "/128" },
    Attack {
        name: "slow body",
        flags: &["-B", "-i", "1", "-s", "8192", "-x", "10", "-t", "POST"],
        path: "/upload",
    },
    Attack {
        name: "slow read",
        flags: &["-X", "-w", "512", "-y", "1024", "-n", "1", "-z", "32", "-k", "3"],
        path: "/65536",
    },
];

/// One attack's figures.
struct Row {
    name: &'static str,
    quiet: Slots,
    attacked: Slots,
    connections: usize,
}

/// What the slots of one kind measured.
#[derive(Default)]
struct Slots {
    p99_ms: Vec<f64>,
    /// Of the balancer, in percent of a core: what a noisy machine does not change.
    cpu_percent: Vec<f64>,
}

impl Slots {
    fn measure(&mut self, ours: &Peer, rate: u32) -> anyhow::Result<()> {
        let (before, begun) = (cost::cpu_time(ours.pid())?, Instant::now());
        self.p99_ms.push(latency::p99_ms(ours.address, rate, SECONDS)?);
        let spent = cost::cpu_time(ours.pid())?.saturating_sub(before);
        self.cpu_percent.push(spent.as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0);
        Ok(())
    }

    fn last(&self) -> String {
        let last = |values: &[f64]| values.last().copied().unwrap_or(f64::NAN);
        format!("p99 {:.2} ms, CPU {:.1} %", last(&self.p99_ms), last(&self.cpu_percent))
    }
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        Some(median(self.attacked.p99_ms.clone())? / median(self.quiet.p99_ms.clone())?)
    }
}

pub(crate) fn run(options: &[&str]) -> anyhow::Result<()> {
    let number = |name: &str, otherwise: u32| -> anyhow::Result<u32> {
        let Some(at) = options.iter().position(|option| *option == name) else { return Ok(otherwise) };
        Ok(options.get(at + 1).context("a number is missing")?.parse()?)
    };
    let (rounds, rate) = (number("--rounds", ROUNDS)?, number("--rate", RATE)?);
    let binary = peers::own_binary(options)?;
    crate::idle::raise_limit()?;
    let folder = tempfile::tempdir()?;
    let backends = peers::backends(folder.path(), 2)?;
    let ours = peers::balancer(&binary, peers::OWN, &backends.tcp, None)?;
    // Warm: connections made, files cached.
    latency::p99_ms(ours.address, rate, 1)?;
    let mut rows = Vec::new();
    for attack in ATTACKS {
        rows.push(measure(attack, &ours, rounds, rate)?);
    }
    let table = table(&rows, rounds, rate);
    println!("{table}");
    if !options.contains(&"--dry") {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/RESULTS.md"));
        let before = fs_err::read_to_string(path).unwrap_or_default();
        fs_err::write(path, with_section(&before, HEADING, &table))?;
    }
    Ok(())
}

fn measure(attack: &Attack, ours: &Peer, rounds: u32, rate: u32) -> anyhow::Result<Row> {
    let (name, mut connections) = (attack.name, usize::MAX);
    let (mut quiet, mut attacked) = (Slots::default(), Slots::default());
    for round in 0..rounds {
        quiet.measure(ours, rate)?;
        let attackers = Attackers::start(attack, ours.address)?;
        attacked.measure(ours, rate)?;
        connections = connections.min(attackers.most(ours.address)?);
        drop(attackers);
        println!("{name}, round {round}: quiet {}; attacked {}", quiet.last(), attacked.last());
    }
    Ok(Row { name, quiet, attacked, connections })
}

/// slowhttptest at work; killed when dropped.
struct Attackers {
    process: Child,
    /// Connections when the measurement began.
    at_first: usize,
}

impl Attackers {
    fn start(attack: &Attack, to: SocketAddr) -> anyhow::Result<Self> {
        let most = CONNECTIONS.to_string();
        let process = Command::new("slowhttptest")
            .args(attack.flags)
            .args(["-c", &most, "-r", &most, "-l", "60", "-p", "30", "-v", "0"])
            .args(["-u", &format!("http://{to}{}", attack.path)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("slowhttptest could not be run; it is in Debian's package of that name")?;
        let mut attackers = Self { process, at_first: 0 };
        let begun = Instant::now();
        while attackers.at_first < CONNECTIONS * 9 / 10 {
            anyhow::ensure!(
                begun.elapsed() < ATTACK_WITHIN,
                "{} connections is no attack",
                attackers.at_first
            );
            std::thread::sleep(LOOK_EVERY);
            attackers.at_first = attackers.at_first.max(established(to)?);
        }
        Ok(attackers)
    }

    /// Connections when it was at its worst, as far as was seen.
    fn most(&self, to: SocketAddr) -> anyhow::Result<usize> {
        Ok(self.at_first.max(established(to)?))
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Connections that stand at a port of this machine, as Linux lists them.
fn established(to: SocketAddr) -> anyhow::Result<usize> {
    let listed = fs_err::read_to_string("/proc/net/tcp")?;
    Ok(count_established(&listed, to.port()))
}

fn count_established(listed: &str, port: u16) -> usize {
    let ours = format!(":{port:04X}");
    let stands = |line: &&str| {
        let mut words = line.split_whitespace().skip(1);
        words.next().is_some_and(|local| local.ends_with(&ours)) && words.nth(1) == Some("01")
    };
    listed.lines().filter(stands).count()
}

fn table(rows: &[Row], rounds: u32, rate: u32) -> String {
    let mut text = format!(
        "Made by `autoscale-bench slow-clients`: slowhttptest with {CONNECTIONS} connections beside {rate} requests \
         a second of others (open loop, Poisson), {rounds} pairs of slots of {SECONDS} s, medians. Load average \
         `{}`. Goal: not more than a fifth above the quiet slots; no request of the others failed. CPU is the \
         balancer's, in percent of a core.\n\n\
         | attack | connections | p99 ms, quiet | p99 ms, attacked | ratio | verdict | CPU, quiet | CPU, attacked |\n\
         |---|---|---|---|---|---|---|---|\n",
        fs_err::read_to_string("/proc/loadavg").unwrap_or_default().trim()
    );
    let shown = |values: &[f64]| median(values.to_vec()).map_or("–".to_owned(), |one| format!("{one:.2}"));
    for row in rows {
        let ratio = row.ratio().unwrap_or(f64::NAN);
        let verdict = if ratio <= RATIO_MAX { "met" } else { "missed" };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {ratio:.2} | {verdict} | {} | {} |",
            row.name,
            row.connections,
            shown(&row.quiet.p99_ms),
            shown(&row.attacked.p99_ms),
            shown(&row.quiet.cpu_percent),
            shown(&row.attacked.cpu_percent)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_by_port_and_state() {
        let listed = "  sl  local_address rem_address   st tx_queue\n\
             \x20  0: 0100007F:1F40 00000000:0000 0A 00000000\n\
             \x20  1: 0100007F:1F40 0100007F:9C40 01 00000000\n\
             \x20  2: 0100007F:9C40 0100007F:1F40 01 00000000\n\
             \x20  3: 0100007F:1F40 0100007F:9C41 06 00000000\n";
        assert_eq!(count_established(listed, 8000), 1);
    }

    #[test]
    fn a_ratio_is_of_medians() {
        let slots = |p99_ms: &[f64]| Slots { p99_ms: p99_ms.to_vec(), cpu_percent: vec![7.0] };
        let (quiet, attacked) = (slots(&[1.0, 2.0, 9.0]), slots(&[2.2, 2.2, 50.0]));
        let row = Row { name: "a", quiet, attacked, connections: 1_000 };
        assert!((row.ratio().unwrap() - 1.1).abs() < 1e-9);
        assert!(table(&[row], 3, 500).contains("| a | 1000 | 2.00 | 2.20 | 1.10 | met | 7.00 | 7.00 |"));
    }
}
