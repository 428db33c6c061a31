//! The raw-byte cases of the proxy's own tests, put to whole programs: ours, nginx and HAProxy.
//!
//! What counts is what the server behind them sees: a message forwarded must be clean, and behind
//! a fault there must be none. Where the RFC lets a recipient forgive, forgiving passes too.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use case::Case;
use origin::{Origin, Seen};
use replies::{Got, Reply};

use crate::peers::{self, Peer};

#[path = "../../proxy/tests/conformance/case.rs"]
mod case;
#[path = "../../proxy/tests/conformance/fields.rs"]
mod fields;
#[path = "../../proxy/tests/conformance/framing.rs"]
mod framing;
#[path = "../../proxy/tests/conformance/limits.rs"]
mod limits;
#[path = "../../proxy/tests/conformance/lines.rs"]
mod lines;
#[path = "../../proxy/tests/conformance/message.rs"]
mod message;
mod origin;
#[path = "../../proxy/tests/conformance/replies.rs"]
mod replies;
#[path = "../../proxy/tests/conformance/smuggling.rs"]
mod smuggling;
#[path = "../../proxy/tests/conformance/targets.rs"]
mod targets;

/// A peer that says nothing for this long waits for more: it has taken the bytes for a beginning.
const PATIENCE: Duration = Duration::from_millis(800);
/// After the answers that are due, one too many would come this soon.
const QUIET: Duration = Duration::from_millis(60);

/// Most of the time is spent waiting: so many of each peer share its cases.
const LANES: usize = 4;

/// How a peer did.
#[derive(Default)]
pub(crate) struct Score {
    pub(crate) peer: &'static str,
    pub(crate) requests: Tally,
    pub(crate) answers: Tally,
}

/// Cases put and passed.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) cases: usize,
    pub(crate) failed: Vec<String>,
}

impl Tally {
    fn join(&mut self, other: Self) {
        self.cases += other.cases;
        self.failed.extend(other.failed);
    }

    fn add(&mut self, rfc: &str, name: &str, verdict: Result<(), String>) {
        self.cases += 1;
        if let Err(problem) = verdict {
            self.failed.push(format!("{name} ({rfc}): {problem}"));
        }
    }
}

/// Prints how each peer does; fails if ours is not perfect.
pub(crate) fn run(options: &[&str]) -> anyhow::Result<()> {
    let scores = scores(&peers::own_binary(options)?)?;
    for Score { peer, requests, answers } in &scores {
        let passed = |tally: &Tally| tally.cases - tally.failed.len();
        println!(
            "{peer}: {} of {} requests, {} of {} answers",
            passed(requests),
            requests.cases,
            passed(answers),
            answers.cases
        );
        for failed in requests.failed.iter().chain(&answers.failed) {
            println!("  {}", failed.chars().take(240).collect::<String>());
        }
    }
    let perfect = |score: &&Score| score.requests.failed.is_empty() && score.answers.failed.is_empty();
    anyhow::ensure!(scores.first().filter(perfect).is_some(), "autoscale failed some of the cases");
    Ok(())
}

type Start<'a> = &'a (dyn Fn(&Path, &[String]) -> anyhow::Result<Peer> + Sync);

/// Puts all cases to all peers; ours is the first.
pub(crate) fn scores(autoscale: &Path) -> anyhow::Result<Vec<Score>> {
    let starts: [Start<'_>; 3] = [
        &|_, backends| peers::autoscale(autoscale, backends),
        &peers::nginx_balancer,
        &|folder, backends| peers::haproxy_balancer(folder, backends, ""),
    ];
    std::thread::scope(|scope| {
        let lanes = starts.map(|start| [0; LANES].map(|_| start));
        let running = lanes.map(|lanes| {
            let mut number = 0;
            lanes.map(|start| {
                number += 1;
                scope.spawn(move || score(start, number - 1))
            })
        });
        let joined = running.into_iter().map(|lanes| {
            let mut sum = Score::default();
            for lane in lanes {
                let score = lane.join().map_err(|_| anyhow::anyhow!("a lane panicked"))??;
                sum.peer = score.peer;
                sum.requests.join(score.requests);
                sum.answers.join(score.answers);
            }
            Ok(sum)
        });
        joined.collect()
    })
}

/// Puts each case of a lane to a peer of its own.
fn score(start: Start<'_>, lane: usize) -> anyhow::Result<Score> {
    let (folder, origin) = (tempfile::tempdir()?, Origin::start()?);
    let peer = start(folder.path(), &[origin.address.to_string()])?;
    let is_ours = peer.name == peers::OWN;
    let mut score = Score { peer: peer.name, ..Score::default() };
    let tables =
        [lines::CASES, targets::CASES, fields::CASES, framing::CASES, smuggling::CASES, limits::CASES];
    let cases = tables.into_iter().flatten().filter(|case| is_ours || case.rfc != "own");
    for case in cases.skip(lane).step_by(LANES) {
        origin.seen();
        let heard = put(peer.address, case)?;
        let verdict = judge(case, &heard, &origin.seen(), is_ours);
        score.requests.add(case.rfc, case.name, verdict);
    }
    for reply in replies::REPLIES.iter().skip(lane).step_by(LANES) {
        origin.say(Some(reply.send));
        let post = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let heard = converse(peer.address, post, false, usize::MAX)?;
        score.answers.add(reply.rfc, reply.name, judge_answer(reply, &heard.bytes));
    }
    Ok(score)
}

/// What a peer said.
struct Heard {
    bytes: Vec<u8>,
    closed: bool,
}

impl Heard {
    fn statuses(&self) -> Vec<u16> {
        let text = String::from_utf8_lossy(&self.bytes);
        let status = |part: &str| part.get(..12)?.split(' ').nth(1)?.parse().ok();
        text.match_indices("HTTP/1.").filter_map(|(at, _)| status(&text[at..])).collect()
    }
}

fn put(peer: SocketAddr, case: &Case) -> anyhow::Result<Heard> {
    let due = if case.refused.is_empty() { case.passed } else { usize::MAX };
    converse(peer, case.send, case.close, due)
}

/// Says `bytes`, and hears what comes until the peer closes, or has given `due` answers and no
/// more, or has long said nothing.
fn converse(peer: SocketAddr, bytes: &[u8], close: bool, due: usize) -> anyhow::Result<Heard> {
    let mut stream = TcpStream::connect(peer)?;
    stream.set_read_timeout(Some(QUIET))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // A peer may close before all is sent: what it said is still to be read.
    let _ = stream.write_all(bytes);
    if close {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut heard = Heard { bytes: Vec::new(), closed: false };
    let (mut buffer, mut last) = ([0; 4096], Instant::now());
    while last.elapsed() < PATIENCE {
        match stream.read(&mut buffer) {
            Ok(read @ 1..) => {
                heard.bytes.extend_from_slice(&buffer[..read]);
                last = Instant::now();
            }
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock) => {
                if heard.statuses().iter().filter(|status| **status >= 200).count() >= due {
                    break;
                }
            }
            Ok(0) | Err(_) => {
                heard.closed = true;
                break;
            }
        }
    }
    Ok(heard)
}

fn judge(case: &Case, heard: &Heard, seen: &[Seen], is_ours: bool) -> Result<(), String> {
    if let Some(malformed) = seen.iter().find_map(|message| message.as_ref().err()) {
        return Err(format!("forwarded malformed: {malformed}"));
    }
    let requests: Vec<&String> = seen.iter().flatten().collect();
    if let Some(text) = case.unseen.iter().find(|text| requests.iter().any(|seen| seen.contains(**text))) {
        return Err(format!("`{text}` was forwarded"));
    }
    let statuses = heard.statuses();
    let good = statuses.iter().filter(|status| (200..400).contains(*status)).count();
    if !case.refused.is_empty() {
        if is_ours && !heard.closed {
            return Err(format!("answered {statuses:?} and not closed"));
        }
        let forgiven = case.forgivable && !is_ours;
        return if requests.len() > case.passed && !forgiven {
            Err(format!("forwarded as {:?}", requests[case.passed]))
        } else if good > case.passed && !forgiven {
            Err(format!("answered {statuses:?}"))
        } else {
            Ok(())
        };
    }
    if good < case.passed || requests.len() != case.passed {
        return Err(format!("answered {statuses:?}, forwarded {}", requests.len()));
    }
    let last = requests.last().map(|text| text.as_str()).unwrap_or_default();
    match case.seen.iter().find(|text| is_ours && !last.contains(**text)) {
        Some(text) => Err(format!("`{text}` is not in {last:?}")),
        None => Ok(()),
    }
}

fn judge_answer(reply: &Reply, heard: &[u8]) -> Result<(), String> {
    // Nothing at all, or something that breaks off: a client knows that this is no answer.
    let Some(answer) = message::answer(heard, false) else { return says_nothing(reply, heard) };
    let is_error = answer.status >= 500;
    let expected = match reply.got {
        Got::BadGateway => is_error || answer.body.is_none() || reply.forgivable,
        Got::Cut => is_error || answer.body.is_none() || reply.forgivable,
        Got::Whole(status, text) => {
            answer.status == status && answer.body.as_deref() == Some(text) || reply.forgivable && is_error
        }
    };
    if expected { Ok(()) } else { Err(format!("{:?}", String::from_utf8_lossy(heard))) }
}

fn says_nothing(reply: &Reply, heard: &[u8]) -> Result<(), String> {
    let is_excused = !matches!(reply.got, Got::Whole(..)) || reply.forgivable;
    let text = || format!("no answer: {:?}", String::from_utf8_lossy(heard));
    (heard.is_empty() && is_excused).then_some(()).ok_or_else(text)
}
