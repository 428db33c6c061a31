//! Listening sockets: one a thread where the kernel spreads connections over them, or those that
//! another process made.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::{Config, StartError};

/// Connections that the kernel completes before they are accepted; a burst of new clients fits,
/// and Linux caps it at its own limit (4,096 by default).
const BACKLOG: i32 = 1_024;

/// Sockets that listen, whether or not anybody accepts from them yet. A client that connects to one
/// waits in its backlog; while a copy is open anywhere, nobody there is lost.
#[derive(Debug)]
pub struct Sockets {
    /// Where clients are served; never empty until closed. On Linux each has a backlog of its own.
    front: Vec<TcpListener>,
    /// Where they are only told to come by TLS.
    redirect: Option<TcpListener>,
}

impl Sockets {
    /// Begins to listen where `config` says.
    ///
    /// # Errors
    /// When an address cannot be listened on.
    pub fn bind(config: &Config) -> Result<Self, StartError> {
        let address = config.listen;
        let front =
            bind(address, config.threads.get()).map_err(|cause| StartError::Listen { address, cause })?;
        Ok(Self { front, redirect: bind_redirect(config.redirect_from)? })
    }

    /// Takes over sockets that another process made: one that handed them on, or systemd.
    ///
    /// # Errors
    /// When there is none in front, or one is not a listening TCP socket.
    pub fn taken_over(front: Vec<TcpListener>, redirect: Option<TcpListener>) -> io::Result<Self> {
        if front.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "none of the sockets is for clients"));
        }
        for listener in front.iter().chain(&redirect) {
            if !SockRef::from(listener).is_listener()? {
                let text = format!("the socket on {} does not listen", listener.local_addr()?);
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
            listener.set_nonblocking(true)?;
        }
        Ok(Self { front, redirect })
    }

    /// Where clients connect.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.front[0].local_addr()
    }

    /// Other descriptors of the same sockets, for another process.
    ///
    /// # Errors
    /// When there are no more file descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        let front = self.front.iter().map(TcpListener::try_clone).collect::<io::Result<_>>()?;
        Ok(Self { front, redirect: self.redirect.as_ref().map(TcpListener::try_clone).transpose()? })
    }

    /// Those in front, and the one that redirects.
    pub fn into_parts(self) -> (Vec<TcpListener>, Option<TcpListener>) {
        (self.front, self.redirect)
    }

    /// Closes these; copies stay as they are.
    pub(crate) fn close(&mut self) {
        self.front.clear();
        self.redirect = None;
    }

    /// Another descriptor of the one that redirects.
    pub(crate) fn redirecting(&self) -> io::Result<Option<TcpListener>> {
        self.redirect.as_ref().map(TcpListener::try_clone).transpose()
    }

    /// What each of so many threads accepts from: no socket is left out, as what waits in its
    /// backlog would be lost, and no thread is.
    pub(crate) fn dealt(&self, threads: usize) -> io::Result<Vec<Vec<TcpListener>>> {
        let mut hands: Vec<Vec<TcpListener>> = (0..threads).map(|_| Vec::new()).collect();
        for index in 0..threads.max(self.front.len()) {
            hands[index % threads].push(self.front[index % self.front.len()].try_clone()?);
        }
        Ok(hands)
    }
}

/// `count` listeners on `address`, non-blocking, all on the same port.
///
/// Where the kernel spreads new connections over sockets that share a port (Linux), each is a
/// socket of its own. Elsewhere (macOS hands all of them to one) there is one for all.
fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    if !cfg!(target_os = "linux") {
        return Ok(vec![open(address, false)?]);
    }
    let mut listeners = Vec::with_capacity(count);
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
    Ok(listeners)
}

/// The one listener that only redirects, where there is to be one.
fn bind_redirect(address: Option<SocketAddr>) -> Result<Option<TcpListener>, StartError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Every socket is accepted from, and every thread accepts, whichever are more.
    #[test]
    fn no_socket_and_no_thread_is_left_out() {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        for (sockets, threads) in [(1, 1), (1, 3), (4, 2), (3, 2), (2, 5)] {
            let front = (0..sockets).map(|_| open(local, false).unwrap()).collect();
            let taken = Sockets::taken_over(front, None).unwrap();
            let hands = taken.dealt(threads).unwrap();
            assert!(hands.len() == threads && hands.iter().all(|hand| !hand.is_empty()));
            let mut ports: Vec<u16> =
                hands.iter().flatten().map(|one| one.local_addr().unwrap().port()).collect();
            ports.sort_unstable();
            ports.dedup();
            assert_eq!(ports.len(), sockets, "{sockets} sockets over {threads} threads");
        }
    }

    #[test]
    fn what_does_not_listen_is_refused() {
        assert!(Sockets::taken_over(Vec::new(), None).is_err());
        let deaf = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        deaf.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let refused = Sockets::taken_over(vec![deaf.into()], None).unwrap_err();
        assert!(refused.to_string().contains("does not listen"), "{refused}");
    }
}
