//! Holds back what is not known to be clean yet, between a socket and the parser that reads it.

use tokio::io::ReadBuf;

use super::Fault;
use super::framer::{Checked, Framer, Head, Limits};

/// While it is not known whether the protocol changes, so many bytes are read ahead; then none.
const UNDECIDED_BYTES_MAX: usize = 64 * 1024;
/// An idle connection keeps no more room than this for the beginning of its next message.
const KEPT_CAPACITY: usize = 512;

/// A socket's bytes on their way to a parser.
#[derive(Debug)]
pub(crate) struct Gate<H> {
    framer: Framer<H>,
    held: Vec<u8>,
    /// So many of those held are clean.
    clean: usize,
}

impl<H: Head> Gate<H> {
    pub(crate) fn new(head: H, limits: Limits) -> Self {
        Self { framer: Framer::new(head, limits), held: Vec::new(), clean: 0 }
    }

    /// What is known of the head under way or the last one.
    pub(crate) fn head(&self) -> &H {
        &self.framer.head
    }

    /// How many heads have been let through.
    pub(crate) fn heads(&self) -> u64 {
        self.framer.heads()
    }

    /// Whether a head is next, or under way: of its message nothing was let through.
    pub(crate) fn is_at_head(&self) -> bool {
        self.framer.is_at_head()
    }

    /// Whether a head has begun and not ended.
    pub(crate) fn is_in_head(&self) -> bool {
        self.is_at_head() && self.held.len() > self.clean
    }

    /// Whether no more may be read before it is decided what the bytes are.
    pub(crate) fn is_undecided(&self) -> bool {
        self.framer.is_undecided()
    }

    /// Whether reading on is pointless.
    pub(crate) fn is_full(&self) -> bool {
        self.is_undecided() && self.held.len() >= UNDECIDED_BYTES_MAX
    }

    /// Decides whether the protocol has changed; judges what was held if not.
    pub(crate) fn decide(&mut self, switched: bool) -> Option<Fault> {
        self.framer.decide(switched);
        self.check_held()
    }

    /// Moves what is clean into `buffer`; false if there is nothing.
    pub(crate) fn release(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let length = self.clean.min(buffer.remaining());
        if length == 0 {
            return false;
        }
        buffer.put_slice(&self.held[..length]);
        self.held.drain(..length);
        self.clean -= length;
        if self.held.is_empty() && self.held.capacity() > KEPT_CAPACITY {
            self.held = Vec::new();
        }
        true
    }

    /// Judges what was just read into `buffer` behind `before`, and leaves there what is clean.
    /// After a fault, what was clean before it is still to be released.
    pub(crate) fn take(&mut self, buffer: &mut ReadBuf<'_>, before: usize) -> Option<Fault> {
        if !self.held.is_empty() {
            self.held.extend_from_slice(&buffer.filled()[before..]);
            buffer.set_filled(before);
            return self.check_held();
        }
        let read = &buffer.filled()[before..];
        // The common case: whole messages, and nothing is copied.
        let Checked { clean, fault } = self.framer.check(read);
        if fault.is_none() {
            self.held.extend_from_slice(&read[clean..]);
        }
        buffer.set_filled(before + clean);
        fault
    }

    /// Puts clean bytes behind those that are.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.held.truncate(self.clean);
        self.held.extend_from_slice(bytes);
        self.clean = self.held.len();
    }

    fn check_held(&mut self) -> Option<Fault> {
        let Checked { clean, fault } = self.framer.check(&self.held[self.clean..]);
        self.clean += clean;
        if fault.is_some() {
            self.held.truncate(self.clean);
        }
        fault
    }
}
