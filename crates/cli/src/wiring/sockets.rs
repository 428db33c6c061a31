//! Sockets that listen already when this process starts: systemd's, or those of the autoscale that it
//! succeeds.

use std::io::{IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, bail};
use listenfd::ListenFd;
use proxy::Sockets;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

use crate::failure::{FAILED, Hint};

/// Says that the process that started this one hands its sockets over, by its standard input.
pub(crate) const UPGRADE: &str = "AUTOSCALE_UPGRADE";
/// How systemd hands sockets over, sd_listen_fds(3): descriptors from 3 on, meant for one process.
const LISTEN: [&str; 3] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];
/// Descriptors in one message: Linux takes 253.
const DESCRIPTORS_MAX: usize = 253;
/// The rest of that message: a line of JSON, some hundred bytes.
const PARCEL_BYTES_MAX: usize = 4_096;
/// The sockets are sent before anything else is done: one that does not come is not coming.
const PARCEL_WITHIN: Duration = Duration::from_secs(10);
/// Both sides have to mean the same by what is sent.
const PROTOCOL: u32 = 1;
/// What a successor says when it serves.
pub(super) const READY: &[u8] = b"ready\n";

/// What this process was given. By default nothing: it makes its own.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    pub(crate) proxy: Option<Sockets>,
    pub(crate) admin: Option<TcpListener>,
    /// How many workers the predecessor had.
    pub(crate) desired: Option<u32>,
    pub(crate) predecessor: Option<Predecessor>,
}

/// Waits to hear that this process serves, to leave then.
#[derive(Debug)]
pub(crate) struct Predecessor(UnixStream);

impl Predecessor {
    /// From now on both serve, and it leaves.
    pub(crate) fn ready(mut self) -> anyhow::Result<()> {
        self.0.write_all(READY).context("the process that was to be succeeded is gone")
    }
}

/// What comes with the descriptors, which are in this order.
#[derive(Debug, Serialize, Deserialize)]
struct Parcel {
    protocol: u32,
    front: usize,
    redirect: bool,
    admin: bool,
    desired: Option<u32>,
}

/// Takes what this process was started with, once.
///
/// # Errors
/// What was given cannot be used: not a TCP socket, or none for clients.
pub(crate) fn handed() -> anyhow::Result<Handed> {
    if std::env::var_os(UPGRADE).is_some() {
        let advice = format!("{UPGRADE} is set by `autoscale upgrade` alone: unset it");
        return succeed().context("the sockets were not handed over").coded(advice, FAILED);
    }
    from_systemd().coded("check the .socket unit: ListenStream= with a TCP address", FAILED)
}

/// Names that say something to us are `admin` and `redirect`; all others are for clients.
fn from_systemd() -> anyhow::Result<Handed> {
    let var = |name: &str| std::env::var(name).unwrap_or_default();
    // Meant for another process, such as a shell that this one was started from.
    if var(LISTEN[0]) != std::process::id().to_string() {
        return Ok(Handed::default());
    }
    let mut given = ListenFd::from_env();
    let names = var(LISTEN[2]);
    let mut names = names.split(':');
    let (mut front, mut redirect, mut admin) = (Vec::new(), None, None);
    for index in 0..given.len() {
        let name = names.next().unwrap_or_default();
        let named = || format!("socket {index} of systemd ({name})");
        let listener = given.take_tcp_listener(index).with_context(named)?;
        let place = match name {
            "admin" => &mut admin,
            "redirect" => &mut redirect,
            _ => {
                front.extend(listener);
                continue;
            }
        };
        if place.replace(listener).is_some() {
            bail!("systemd gives two sockets by the name of {name}");
        }
    }
    let proxy = match (front.is_empty(), &redirect) {
        (true, None) => None,
        _ => Some(Sockets::taken_over(front, redirect.flatten())?),
    };
    Ok(Handed { proxy, admin: admin.flatten(), ..Handed::default() })
}

/// Receives the predecessor's sockets.
fn succeed() -> anyhow::Result<Handed> {
    let stdin = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let predecessor = UnixStream::from(stdin);
    predecessor.set_read_timeout(Some(PARCEL_WITHIN))?;
    let (parcel, descriptors) = receive(&predecessor)?;
    let expected = parcel.front + usize::from(parcel.redirect) + usize::from(parcel.admin);
    if parcel.protocol != PROTOCOL || descriptors.len() != expected {
        bail!(
            "the running process speaks another version, or sent {} of {expected} sockets",
            descriptors.len()
        );
    }
    let mut listeners = descriptors.into_iter().map(TcpListener::from);
    let front: Vec<TcpListener> = listeners.by_ref().take(parcel.front).collect();
    let redirect = if parcel.redirect { listeners.next() } else { None };
    Ok(Handed {
        proxy: Some(Sockets::taken_over(front, redirect)?),
        admin: listeners.next(),
        desired: parcel.desired,
        predecessor: Some(Predecessor(predecessor)),
    })
}

fn receive(from: &UnixStream) -> anyhow::Result<(Parcel, Vec<OwnedFd>)> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = vec![0; PARCEL_BYTES_MAX];
    let received = recvmsg(from, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let descriptors = control.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect::<Vec<_>>(),
        _ => Vec::new(),
    });
    let descriptors = descriptors.collect();
    Ok((serde_json::from_slice(&bytes[..received.bytes])?, descriptors))
}

/// Sends the sockets, and how many workers stand behind them.
pub(super) fn send(
    to: &UnixStream,
    proxy: &Sockets,
    admin: &TcpListener,
    desired: Option<u32>,
) -> anyhow::Result<()> {
    let (front, redirect) = proxy.try_clone()?.into_parts();
    let parcel =
        Parcel { protocol: PROTOCOL, front: front.len(), redirect: redirect.is_some(), admin: true, desired };
    let all = front.iter().chain(&redirect).chain([admin]);
    let descriptors: Vec<BorrowedFd<'_>> = all.map(AsFd::as_fd).collect();
    if descriptors.len() > DESCRIPTORS_MAX {
        bail!("{} sockets are more than can be handed over at once", descriptors.len());
    }
    let bytes = serde_json::to_vec(&parcel)?;
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    let sent = sendmsg(to, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL)?;
    if sent < bytes.len() {
        bail!("only {sent} of {} bytes were taken", bytes.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client that has connected to the one descriptor is accepted from the other.
    #[test]
    fn sockets_go_over_with_their_backlog() {
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (front, admin) = (vec![listen(), listen()], listen());
        let addresses: Vec<_> = front.iter().map(|one| one.local_addr().unwrap()).collect();
        let sockets = Sockets::taken_over(front, Some(listen())).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        send(&ours, &sockets, &admin, Some(3)).unwrap();
        let waiting: Vec<_> =
            addresses.iter().map(|address| std::net::TcpStream::connect(address).unwrap()).collect();
        drop(sockets);
        let (parcel, descriptors) = receive(&theirs).unwrap();
        assert_eq!((parcel.front, parcel.redirect, parcel.admin, parcel.desired), (2, true, true, Some(3)));
        assert_eq!(descriptors.len(), 4);
        for (descriptor, client) in descriptors.into_iter().zip(&waiting) {
            let listener = TcpListener::from(descriptor);
            listener.set_nonblocking(false).unwrap();
            let (_, peer) = listener.accept().unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        }
    }
}
