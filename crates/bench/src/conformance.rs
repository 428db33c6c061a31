//! The raw-byte cases of the proxy's own tests, put to a peer: the table is only fair if others
//! can pass it too.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use case::Case;

#[path = "../../proxy/tests/conformance/case.rs"]
#[expect(dead_code, reason = "what a worker sees is compared only in the proxy's own tests")]
mod case;
#[path = "../../proxy/tests/conformance/fields.rs"]
mod fields;
#[path = "../../proxy/tests/conformance/framing.rs"]
mod framing;
#[path = "../../proxy/tests/conformance/lines.rs"]
mod lines;

/// A peer that says nothing for this long waits for more: it has taken the bytes for a beginning.
const PATIENCE: Duration = Duration::from_millis(150);

/// How a peer did.
pub(crate) struct Score {
    pub(crate) passed: usize,
    pub(crate) cases: usize,
    /// What it let through that must be refused.
    pub(crate) let_through: Vec<String>,
}

pub(crate) fn score(peer: SocketAddr) -> anyhow::Result<Score> {
    let mut score = Score { passed: 0, cases: 0, let_through: Vec::new() };
    for case in [lines::CASES, fields::CASES, framing::CASES].into_iter().flatten() {
        score.cases += 1;
        let statuses = answers(peer, case)?;
        let good = statuses.iter().filter(|status| **status < 400 && **status >= 200).count();
        let is_refused = statuses.iter().any(|status| *status >= 400) || good <= case.passed;
        if !case.refused.is_empty() && good > case.passed {
            score.let_through.push(format!("{} ({})", case.name, case.rfc));
        }
        // The backends answer 404 for paths they do not know: that is an answer of theirs.
        let as_expected = if case.refused.is_empty() {
            statuses.iter().filter(|status| !matches!(**status, 400 | 501 | 505 | 100)).count() >= case.passed
        } else {
            is_refused && good <= case.passed
        };
        score.passed += usize::from(as_expected);
    }
    Ok(score)
}

/// Statuses of all answers until the peer closes or says nothing more.
fn answers(peer: SocketAddr, case: &Case) -> anyhow::Result<Vec<u16>> {
    let mut stream = TcpStream::connect(peer)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // A peer may close before all is sent: what it said is still to be read.
    let _ = stream.write_all(case.send);
    if case.close {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        heard.extend_from_slice(&buffer[..read]);
    }
    let text = String::from_utf8_lossy(&heard);
    let status = |part: &str| part.get(..12)?.split(' ').nth(1)?.parse().ok();
    Ok(text.match_indices("HTTP/1.").filter_map(|(at, _)| status(&text[at..])).collect())
}
