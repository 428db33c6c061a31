//! Listening sockets: one a thread where the kernel spreads connections over them.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::StartError;

/// Connections that the kernel completes before they are accepted; a burst of new clients fits,
/// and Linux caps it at its own limit (4,096 by default).
const BACKLOG: i32 = 1_024;

/// `count` listeners on `address`, non-blocking, all on the same port.
///
/// Where the kernel spreads new connections over sockets that share a port (Linux), each is a
/// socket of its own. Elsewhere (macOS hands all of them to one) they are one socket.
pub(crate) fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::with_capacity(count);
    if cfg!(target_os = "linux") {
        if address.port() != 0 {
            // With a shared port a second program of the same user would join in and silently take
            // half of the connections: a plain socket is refused where anybody listens.
            drop(open(address, false)?);
        }
        let first = open(address, true)?;
        let address = first.local_addr()?;
        listeners.push(first);
        while listeners.len() < count {
            listeners.push(open(address, true)?);
        }
    } else {
        let only = open(address, false)?;
        while listeners.len() + 1 < count {
            listeners.push(only.try_clone()?);
        }
        listeners.push(only);
    }
    Ok(listeners)
}

/// The one listener that only redirects, where there is to be one.
pub(crate) fn bind_redirect(address: Option<SocketAddr>) -> Result<Option<TcpListener>, StartError> {
    let Some(address) = address else { return Ok(None) };
    open(address, false).map(Some).map_err(|cause| StartError::Listen { address, cause })
}

fn open(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A port whose last owner's connections still time out is free on Unix; on Windows this option
    // means something else.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    #[cfg(target_os = "linux")]
    socket.set_reuse_port(shared)?;
    #[cfg(not(target_os = "linux"))]
    let _ = shared;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
