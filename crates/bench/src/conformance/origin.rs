//! The server behind a peer under test: it writes down what reaches it, to the letter.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::message::{self, Next};

/// A message that reached the server: its text, or what was wrong with it.
pub(super) type Seen = Result<String, String>;

#[derive(Default)]
struct State {
    seen: Vec<Seen>,
    /// Said in answer to each request, with the connection closed then.
    script: Option<&'static [u8]>,
}

/// Listens until the program ends.
pub(super) struct Origin {
    pub(super) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Origin {
    pub(super) fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::default()));
        let origin = Self { address, state: Arc::clone(&state) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                std::thread::spawn(move || converse(stream, &state));
            }
        });
        Ok(origin)
    }

    /// From now on every request is answered with these bytes, or well if there are none.
    pub(super) fn say(&self, script: Option<&'static [u8]>) {
        lock(&self.state).script = script;
    }

    /// What has come since this was last asked.
    pub(super) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut lock(&self.state).seen)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Until either side closes; a message that breaks off is none.
fn converse(mut stream: TcpStream, state: &Mutex<State>) {
    let (mut held, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    loop {
        match message::request(&held) {
            Next::More => match stream.read(&mut buffer) {
                Ok(read @ 1..) => held.extend_from_slice(&buffer[..read]),
                _ => return,
            },
            Next::Whole { length, text } => {
                held.drain(..length);
                let answer: &[u8] = if text.starts_with("HEAD ") {
                    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
                } else {
                    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                };
                let script = {
                    let mut state = lock(state);
                    state.seen.push(Ok(text));
                    state.script
                };
                if stream.write_all(script.unwrap_or(answer)).is_err() || script.is_some() {
                    return;
                }
            }
            Next::Malformed(fault) => {
                let text = String::from_utf8_lossy(&held).chars().take(300).collect::<String>();
                lock(state).seen.push(Err(format!("{fault}: {text:?}")));
                return;
            }
        }
    }
}
