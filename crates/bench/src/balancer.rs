//! The balancer beside nginx and HAProxy: every peer in every round, in shuffled order.

use std::path::Path;

use anyhow::Context;
use rand_core::Rng;
use rand_pcg::Pcg64;

use crate::peers::{self, Peer};
use crate::{conformance, cost, idle, latency, load, report, results, slow_clients};

/// Rounds of which the medians are taken.
const ROUNDS: usize = 8;
const SECONDS: u32 = 1;
/// Latency wants longer slots, for a 99th percentile that means something.
const LATENCY_SECONDS: u32 = 5;
/// Servers of the two pools that tell what many cost.
const FEW: usize = 5;
const MANY: usize = 100;

/// What one slot measured.
pub(crate) struct Sample {
    pub(crate) what: &'static str,
    pub(crate) peer: &'static str,
    pub(crate) round: usize,
    pub(crate) value: f64,
}

pub(crate) struct Found {
    pub(crate) samples: Vec<Sample>,
    pub(crate) rounds: usize,
    pub(crate) seconds: u32,
    pub(crate) loads: [String; 2],
    pub(crate) scores: Vec<conformance::Score>,
}

type Measure<'a> = Box<dyn Fn(&Peer) -> anyhow::Result<f64> + 'a>;

/// One quantity, measured at several peers.
struct Experiment<'a> {
    what: &'static str,
    peers: Vec<&'a Peer>,
    rounds: usize,
    measure: Measure<'a>,
}

pub(crate) fn run(options: &[&str]) -> anyhow::Result<()> {
    let number = |name: &str| -> anyhow::Result<Option<u32>> {
        let at = options.iter().position(|option| *option == name);
        at.map(|at| Ok(options.get(at + 1).context("a number is missing")?.parse()?)).transpose()
    };
    let rounds = number("--rounds")?.map_or(ROUNDS, |rounds| usize::try_from(rounds).unwrap_or(ROUNDS));
    let seconds = number("--seconds")?.unwrap_or(SECONDS);
    let binary = peers::own_binary(options)?;
    idle::raise_limit()?;
    let before = load_average();
    let folder = tempfile::tempdir()?;
    let samples = measure(&binary, folder.path(), rounds, seconds)?;
    let scores = conformance::scores(&binary)?;
    let found = Found { samples, rounds, seconds, loads: [before, load_average()], scores };
    let text = report::text(&found);
    println!("{text}");
    if !options.contains(&"--dry") {
        // Measured by another mode: it stays.
        let before = results::read();
        let slow = report::section(&before, slow_clients::HEADING);
        let whole =
            if slow.is_empty() { text } else { report::with_section(&text, slow_clients::HEADING, slow) };
        results::write(&whole)?;
    }
    Ok(())
}

fn load_average() -> String {
    fs_err::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}

fn experiment<'a>(
    what: &'static str,
    peers: &[&'a Peer],
    rounds: usize,
    measure: impl Fn(&Peer) -> anyhow::Result<f64> + 'a,
) -> Experiment<'a> {
    Experiment { what, peers: peers.to_vec(), rounds, measure: Box::new(measure) }
}

fn measure(binary: &Path, folder: &Path, rounds: usize, seconds: u32) -> anyhow::Result<Vec<Sample>> {
    let backends = peers::backends(folder, MANY)?;
    let (two, five) = (&backends.tcp[..2], &backends.tcp[..FEW]);
    let tls = peers::certificate(binary, folder)?;
    let ours = &peers::balancer(binary, peers::OWN, two, None)?;
    let unix = &peers::balancer(binary, "autoscale, Unix sockets", &backends.unix, None)?;
    let secure = &peers::balancer(binary, "autoscale, TLS", two, Some(&tls))?;
    let few = &peers::balancer(binary, "autoscale, 5 workers", five, None)?;
    let many = &peers::balancer(binary, "autoscale, 100 workers", &backends.tcp, None)?;
    let nginx = &peers::nginx_balancer(folder, two)?;
    let nginx_secure = &peers::nginx_tls(folder, two, &tls)?;
    let haproxy = &peers::haproxy_balancer(folder, two, "check inter 1s")?;
    let (all, three, secured) =
        ([ours, unix, nginx, haproxy], [ours, nginx, haproxy], [secure, nginx_secure]);
    let plain = |path: &'static str| {
        move |peer: &Peer| cpu(peer, seconds, &format!("http://{}{path}", peer.address), load::wrk)
    };
    let tls_1_3 = |peer: &Peer| cpu(peer, seconds, &format!("https://{}/128", peer.address), load::wrk);
    let h2 = |peer: &Peer| cpu(peer, seconds, &format!("https://{}/128", peer.address), load::h2load);
    let p99 = |rate: u32| move |peer: &Peer| latency::p99_ms(peer.address, rate, LATENCY_SECONDS);
    let experiments = [
        // First: what a process has grown to by other work is not counted.
        experiment("MiB with 5,000 idle connections", &three, 1, idle::resident_mib),
        experiment("CPU µs/request, 128 B", &all, rounds, plain("/128")),
        experiment("CPU µs/request, 1 KiB", &all, rounds, plain("/1024")),
        experiment("CPU µs/request, 64 KiB", &all, rounds, plain("/65536")),
        experiment("CPU µs/request, TLS 1.3", &secured, rounds, tls_1_3),
        experiment("CPU µs/request, h2", &secured, rounds, h2),
        experiment("CPU µs/request, 5 and 100 workers", &[few, many], rounds, plain("/128")),
        experiment("p99 ms at 5,000/s", &three, rounds.min(5), p99(5_000)),
        experiment("p99 ms at 20,000/s", &three, rounds.min(5), p99(20_000)),
    ];
    let (mut random, mut samples) = (Pcg64::new(1, 1), Vec::new());
    for experiment in &experiments {
        // What one cannot do leaves the others their figures.
        if let Err(error) = put(experiment, &mut random, &mut samples) {
            println!("SKIPPED {}: {error:#}", experiment.what);
        }
    }
    Ok(samples)
}

fn put(experiment: &Experiment<'_>, random: &mut Pcg64, samples: &mut Vec<Sample>) -> anyhow::Result<()> {
    let Experiment { what, peers, rounds, measure } = experiment;
    let (what, rounds) = (*what, *rounds);
    if rounds > 1 {
        for &peer in peers {
            // Warm: connections made, files cached.
            measure(peer).with_context(|| peer.name)?;
        }
    }
    for round in 0..rounds {
        let mut order = peers.clone();
        order.sort_by_cached_key(|_| random.next_u64());
        for peer in order {
            let value = measure(peer).with_context(|| peer.name)?;
            println!("{what}, round {round}, {}: {value:.2}", peer.name);
            samples.push(Sample { what, peer: peer.name, round, value });
        }
    }
    Ok(())
}

/// Microseconds of CPU a request, under as much load as `load` makes.
fn cpu(
    peer: &Peer,
    seconds: u32,
    url: &str,
    load: fn(&str, u32) -> anyhow::Result<u32>,
) -> anyhow::Result<f64> {
    let before = cost::cpu_time(peer.pid())?;
    let requests = load(url, seconds)?;
    let spent = cost::cpu_time(peer.pid())?.saturating_sub(before);
    Ok(spent.as_secs_f64() * 1e6 / f64::from(requests.max(1)))
}
