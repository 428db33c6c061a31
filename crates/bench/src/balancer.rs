//! CPU per request beside nginx and HAProxy: every peer in every round, in shuffled order.

use anyhow::Context;
use rand_core::Rng;
use rand_pcg::Pcg64;

use crate::peers::{self, Peer, SIZES};
use crate::{conformance, cost, load, report};

/// Rounds of which the medians are taken.
const ROUNDS: usize = 8;
const SECONDS: u32 = 1;

/// What one slot measured, in microseconds of CPU a request.
pub(crate) struct Slot {
    pub(crate) peer: &'static str,
    pub(crate) size: usize,
    pub(crate) round: usize,
    pub(crate) cpu_us: f64,
}

pub(crate) struct Found {
    pub(crate) slots: Vec<Slot>,
    pub(crate) rounds: usize,
    pub(crate) seconds: u32,
    pub(crate) load_before: String,
    pub(crate) scores: Vec<conformance::Score>,
}

pub(crate) fn run(options: &[&str]) -> anyhow::Result<()> {
    let number = |name: &str| -> anyhow::Result<Option<u32>> {
        let at = options.iter().position(|option| *option == name);
        at.map(|at| Ok(options.get(at + 1).context("a number is missing")?.parse()?)).transpose()
    };
    let rounds = number("--rounds")?.map_or(ROUNDS, |rounds| usize::try_from(rounds).unwrap_or(ROUNDS));
    let seconds = number("--seconds")?.unwrap_or(SECONDS);
    let load_before = fs_err::read_to_string("/proc/loadavg").unwrap_or_default();
    let folder = tempfile::tempdir()?;
    let backends = peers::backends(folder.path())?;
    let all = vec![
        peers::own_balancer("autoscale", &backends.tcp)?,
        peers::own_balancer("autoscale, Unix sockets", &backends.unix)?,
        peers::nginx_balancer(folder.path(), &backends.tcp)?,
        peers::haproxy_balancer(folder.path(), &backends.tcp, "check inter 1s")?,
    ];
    let scores = conformance::scores(&peers::own_binary(options)?)?;
    let slots = measure(&all, rounds, seconds)?;
    let found = Found { slots, rounds, seconds, load_before: load_before.trim().to_owned(), scores };
    let text = report::text(&found);
    println!("{text}");
    if !options.contains(&"--dry") {
        fs_err::write(concat!(env!("CARGO_MANIFEST_DIR"), "/RESULTS.md"), text)?;
    }
    Ok(())
}

fn measure(all: &[Peer], rounds: usize, seconds: u32) -> anyhow::Result<Vec<Slot>> {
    let mut random = Pcg64::new(1, 1);
    let mut slots = Vec::new();
    for size in SIZES {
        for peer in all {
            // Warm: connections made, files cached.
            load::run(&format!("http://{}/{size}", peer.address), 1)?;
        }
        for round in 0..rounds {
            let mut order: Vec<&Peer> = all.iter().collect();
            order.sort_by_cached_key(|_| random.next_u64());
            for peer in order {
                let before = cost::cpu_time(peer.pid())?;
                let requests = load::run(&format!("http://{}/{size}", peer.address), seconds)?;
                let spent = cost::cpu_time(peer.pid())?.saturating_sub(before);
                let cpu_us = spent.as_secs_f64() * 1e6 / f64::from(requests.max(1));
                println!("{size} B, round {round}, {}: {cpu_us:.2} µs", peer.name);
                slots.push(Slot { peer: peer.name, size, round, cpu_us });
            }
        }
    }
    Ok(slots)
}
