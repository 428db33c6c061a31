//! An app that does what tests of faults need: this test binary itself, run as a worker.
//!
//! `POST /?id=N` writes `N` into the file `done` and answers a little later; `/cut?length=N`
//! promises `N` bytes and closes after ten; `/hold` is answered once the test lets it be;
//! anything else is answered at once.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use crate::harness::{Bench, Running};

/// Where the app writes; without it the test below is no app and ends at once.
const FOLDER: &str = "AUTOSCALE_STAND_IN";
/// Between what a `POST` does and its answer: time to be killed in.
const PAUSE: Duration = Duration::from_millis(20);

/// The words of a worker's command.
pub(crate) fn command(bench: &Bench) -> Vec<String> {
    let ourselves = std::env::current_exe().unwrap();
    let folder = format!("{FOLDER}={}", bench.folder().display());
    let words = ["--exact", "stand_in::app", "--nocapture", "--test-threads=1"].map(str::to_owned);
    [vec!["env".to_owned(), folder, ourselves.to_str().unwrap().to_owned()], words.to_vec()].concat()
}

/// What `POST`s did, in order.
pub(crate) fn done(bench: &Bench) -> Vec<String> {
    let text = std::fs::read_to_string(bench.file("done")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Lets every `/hold` be answered.
pub(crate) fn let_go(bench: &Bench) {
    bench.write(LET_GO, "");
}

/// While this file is not there, `/hold` is held.
const LET_GO: &str = "let go";

/// `run` with these words and the stand-in as its app.
pub(crate) async fn run(bench: &Bench, words: &[&str]) -> Running {
    let command = command(bench);
    let words = words.iter().copied().chain(["--"]).chain(command.iter().map(String::as_str));
    bench.run(&words.collect::<Vec<&str>>()).await
}

#[test]
fn app() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let port: u16 = std::env::var("PORT").unwrap().parse().unwrap();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    for stream in listener.incoming().flatten() {
        let folder = folder.clone();
        std::thread::spawn(move || serve(&stream, &folder));
    }
}

/// A worker that is busy with nothing.
fn pause() {
    let (_open, never) = mpsc::sync_channel::<()>(0);
    let _ = never.recv_timeout(PAUSE);
}

/// One connection, request after request.
fn serve(stream: &TcpStream, folder: &Path) {
    let mut lines = BufReader::new(stream).lines();
    loop {
        let head: Vec<String> =
            lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        let Some(request) = head.first() else { return };
        let mut words = request.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let parameter = target.split_once('=').map_or("", |(_, value)| value);
        let length = if target.starts_with("/cut") { parameter } else { "10" };
        if method == "POST" {
            let mut done = std::fs::OpenOptions::new();
            let mut done = done.append(true).create(true).open(folder.join("done")).unwrap();
            // One write: whole or not at all.
            done.write_all(format!("{parameter}\n").as_bytes()).unwrap();
            pause();
        }
        while target == "/hold" && !folder.join(LET_GO).exists() {
            pause();
        }
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\nok, ok, ok");
        if (&*stream).write_all(answer.as_bytes()).is_err() || length != "10" {
            return;
        }
    }
}
