//! What a row of the conformance tables says.

/// Bytes that a client sends, and what must come of them.
pub(crate) struct Case {
    /// What is odd about them.
    pub(crate) name: &'static str,
    /// Where it stands, as in `9112 6.3`.
    pub(crate) rfc: &'static str,
    pub(crate) send: &'static [u8],
    /// Whether the client closes its side then.
    pub(crate) close: bool,
    /// So many requests get to a worker,
    pub(crate) passed: usize,
    /// and then one is refused with one of these.
    pub(crate) refused: &'static [u16],
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
    Case { name, rfc, send, close: false, passed: 0, refused, seen: &[], unseen: &[] }
}

pub(crate) const fn passed(
    rfc: &'static str,
    name: &'static str,
    passed: usize,
    send: &'static [u8],
    seen: &'static [&'static str],
    unseen: &'static [&'static str],
) -> Case {
    Case { name, rfc, send, close: false, passed, refused: &[], seen, unseen }
}
