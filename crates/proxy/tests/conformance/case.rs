//! What a row of the conformance tables says.

/// Bytes that a client sends, and what must come of them.
pub(crate) struct Case {
    /// What is odd about them.
    pub(crate) name: &'static str,
    /// Where it stands, as in `9112 6.3`; `own` for what we promise and no RFC asks for.
    pub(crate) rfc: &'static str,
    pub(crate) send: &'static [u8],
    /// Whether the client closes its side then.
    pub(crate) close: bool,
    /// So many requests get to a worker,
    pub(crate) passed: usize,
    /// and then one is refused with one of these.
    pub(crate) refused: &'static [u16],
    /// The RFC lets a recipient make a clean message of it instead: we don't, others may.
    pub(crate) forgivable: bool,
    /// The worker sees this in the last of them.
    pub(crate) seen: &'static [&'static str],
    /// And this in none.
    pub(crate) unseen: &'static [&'static str],
}

pub(crate) const fn refused(
    rfc: &'static str,
    name: &'static str,
    refused: &'static [u16],
    send: &'static [u8],
) -> Case {
    Case { name, rfc, send, close: false, passed: 0, refused, forgivable: false, seen: &[], unseen: &[] }
}

/// Refused here, where the RFC would allow to forgive it.
pub(crate) const fn either(
    rfc: &'static str,
    name: &'static str,
    statuses: &'static [u16],
    send: &'static [u8],
) -> Case {
    Case { forgivable: true, ..refused(rfc, name, statuses, send) }
}

pub(crate) const fn passed(
    rfc: &'static str,
    name: &'static str,
    passed: usize,
    send: &'static [u8],
    seen: &'static [&'static str],
    unseen: &'static [&'static str],
) -> Case {
    Case { name, rfc, send, close: false, passed, refused: &[], forgivable: false, seen, unseen }
}

/// `head`, then `fill` again and again, then `tail`, in `N` bytes.
pub(crate) const fn filled<const N: usize>(head: &[u8], fill: &[u8], tail: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    let mut at = 0;
    while at < N {
        bytes[at] = if at < head.len() {
            head[at]
        } else if at < N - tail.len() {
            fill[(at - head.len()) % fill.len()]
        } else {
            tail[at + tail.len() - N]
        };
        at += 1;
    }
    bytes
}
