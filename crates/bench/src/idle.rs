//! Memory of a peer that holds many connections on which nothing happens.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::cost;
use crate::peers::Peer;

const CONNECTIONS: usize = 5_000;
/// Until a peer has put aside what it does not need for idle connections.
const SETTLE: Duration = Duration::from_secs(8);

/// Lets this process and those it starts have as many open files as the system allows.
pub(crate) fn raise_limit() -> anyhow::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).context("open files")?;
    Ok(())
}

/// Resident MiB while each of 5,000 connections has had one answer and asks for nothing more.
pub(crate) fn resident_mib(peer: &Peer) -> anyhow::Result<f64> {
    let mut connections = Vec::with_capacity(CONNECTIONS);
    let mut buffer = [0; 4096];
    for _ in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(peer.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /128 HTTP/1.1\r\nHost: a\r\n\r\n")?;
        let read = stream.read(&mut buffer)?;
        anyhow::ensure!(
            buffer[..read].starts_with(b"HTTP/1.1 200"),
            "no good answer on connection {}",
            connections.len()
        );
        connections.push(stream);
    }
    std::thread::sleep(SETTLE);
    cost::resident_mib(peer.pid())
}
