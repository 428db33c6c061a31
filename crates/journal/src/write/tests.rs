//! What the run file promises, tried with whole cycles on real files.

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use control::Cycle;
use serde_json::json;

use super::*;
use crate::{Kind, Reader};

const START: &str = "2026-01-01T00:00:00Z";

fn start() -> Timestamp {
    START.parse().unwrap()
}

fn header() -> Header {
    Header {
        kind: Kind::Live,
        started_at: start(),
        version: "0.1.0".to_owned(),
        seed: u64::MAX,
        config: json!({"min": 1, "max": 5, "up": 35.1}),
    }
}

/// A turn with every kind of number in it, `turn` seconds into the run.
fn cycle(turn: u32) -> Cycle {
    let at = start() + Duration::from_secs(turn.into());
    let json = json!({"decided": {
        "seen": {
            "at": at,
            "traffic": {"length_s": 1.000_000_001, "arrivals": 20, "completions": 19, "failures": 1,
                "in_flight": 3, "queued": 0, "queue_wait_max_s": 0.1,
                "latency": {"p50_s": 0.012, "p95_s": 0.020_1, "p99_s": 0.031}},
            "fleet": {"desired": 2, "starting": 0, "ready": 2, "unhealthy": 0, "draining": 0,
                "backoff": 0, "crashes": 0},
            "workers": [{"id": "w1.1", "pid": 7, "address": {"tcp": "127.0.0.1:5000"}, "state": "ready",
                "since": START, "started_at": START, "ready_at": START, "first_request_at": null,
                "cpu_percent": 0.1 + f64::from(turn) / 3.0, "memory_bytes": 9_000_000, "in_flight": 1,
                "requests": 600, "restarts": 0, "version": 0}],
            "signals": {"host_cpu": {"value": 1.0 / 3.0, "at": START}},
            "transitions": [], "commands": [{"command": "pause", "until": null, "by": "\"a\" 'b'\n"}]},
        "decision": {"current": 2,
            "recommended": {"rule": "above_up", "replicas": 3, "because":
                {"sentence": "cpu {cpu} %", "numbers": [["cpu", 81.27]]}},
            "limited": [], "blocked_by": [], "excluded": [], "nearest_flip": null, "measured": null,
            "in_force": {"policy": "threshold", "min": 1, "max": 5, "paused": false,
                "paused_until": null, "held": null, "held_until": null}},
        "applied": "ordered"}});
    serde_json::from_value(json).unwrap()
}

fn room() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.db");
    (directory, path)
}

/// Has the writer's thread run `work` once all before is written, and waits for it.
fn have_done(writer: &Writer, work: impl FnOnce(&mut Scribe) + Send + 'static) {
    let (done, wait) = mpsc::sync_channel(1);
    let task = move |scribe: &mut Scribe| {
        work(scribe);
        done.send(()).unwrap();
    };
    writer.queue.as_ref().unwrap().send(Message::Do(Box::new(task))).unwrap();
    wait.recv().unwrap();
}

fn written(writer: &Writer) -> Health {
    have_done(writer, |_| ());
    writer.health()
}

fn read_all(path: &Path, session: i64) -> Vec<Cycle> {
    let reader = Reader::open(path).unwrap();
    let cycles = reader.cycles(session).unwrap();
    cycles.map(|recorded| recorded.unwrap().cycle).collect()
}

#[test]
fn cycles_read_back_equal_byte_for_byte_and_one_file_remains() {
    let (directory, path) = room();
    let writer = Writer::open(&path, &header(), None).unwrap();
    // More than a page, so that the reader turns one.
    let written: Vec<Cycle> = (1..=600).map(cycle).collect();
    written.iter().for_each(|cycle| writer.record_waiting(cycle));
    let end = start() + Duration::from_secs(601);
    let health = writer.close(end);
    assert_eq!(health, Health { recorded: 600, dropped: 0, error: None });
    let files: Vec<_> =
        directory.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["run.db"]);

    let read = read_all(&path, 1);
    assert_eq!(read, written);
    let text = |cycles: &[Cycle]| serde_json::to_string(cycles).unwrap();
    assert_eq!(text(&read), text(&written));
    let session = Reader::open(&path).unwrap().last_session().unwrap().unwrap();
    assert_eq!(session.header, header());
    assert_eq!((session.id, session.cycles, session.ended_at), (1, 600, Some(end)));
    assert!(session.is_complete());
}

#[test]
fn after_a_kill_the_file_is_readable_and_a_restart_appends() {
    let (directory, path) = room();
    let writer = Writer::open(&path, &header(), None).unwrap();
    (1..=3).for_each(|turn| writer.record(&cycle(turn)));
    assert_eq!(written(&writer).recorded, 3);
    // What a killed process leaves: the file and its log as they are now.
    let left = directory.path().join("left.db");
    std::fs::copy(&path, &left).unwrap();
    std::fs::copy(directory.path().join("run.db-wal"), directory.path().join("left.db-wal")).unwrap();
    drop(writer);

    let session = Reader::open(&left).unwrap().last_session().unwrap().unwrap();
    assert_eq!((session.cycles, session.ended_at), (3, None));
    let writer = Writer::open(&left, &header(), None).unwrap();
    writer.record(&cycle(10));
    writer.close(start());
    let reader = Reader::open(&left).unwrap();
    assert_eq!(reader.sessions().unwrap().len(), 2);
    assert_eq!(read_all(&left, 1), [cycle(1), cycle(2), cycle(3)]);
    assert_eq!(read_all(&left, 2), [cycle(10)]);
    let last: Vec<_> = reader.last(2).unwrap().into_iter().map(|found| (found.session, found.seq)).collect();
    assert_eq!(last, [(1, 3), (2, 1)]);
    assert!(matches!(reader.cycles(3), Err(JournalError::NoSession { session: 3, .. })));
}

#[test]
fn a_live_file_can_be_read() {
    let (_directory, path) = room();
    let writer = Writer::open(&path, &header(), None).unwrap();
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.last(5).unwrap(), []);
    writer.record(&cycle(1));
    written(&writer);
    assert_eq!(reader.last(5).unwrap().len(), 1);
    // A reader at it does not keep the session from being ended.
    assert_eq!(writer.close(start()).error, None);
    assert!(reader.last_session().unwrap().unwrap().ended_at.is_some());
}

#[test]
fn a_full_disk_drops_and_counts_and_recording_resumes_when_room_returns() {
    let (_directory, path) = room();
    let writer = Writer::open(&path, &header(), None).unwrap();
    let limit = |pages| have_done(&writer, move |scribe| scribe.limit_pages(pages));
    limit(1);
    let mut turn = 0;
    let mut record_until = |wanted: bool| {
        let first = turn;
        while written(&writer).error.is_some() != wanted {
            turn += 1;
            // Room ends within a page's worth of turns; pauses end by the cycles' own time.
            assert!(turn - first < 200, "never happened");
            writer.record(&cycle(turn));
        }
    };
    record_until(true);
    let full = writer.health();
    assert!(full.dropped > 0);
    let error = full.error.unwrap();
    assert!(error.contains("run.db") && error.contains("no room left"), "{error}");
    limit(1_000_000);
    record_until(false);
    let health = writer.close(start());
    assert_eq!(health.recorded + health.dropped, u64::from(turn), "each is counted once");
    let session = Reader::open(&path).unwrap().last_session().unwrap().unwrap();
    assert_eq!((session.cycles, session.dropped), (health.recorded, health.dropped));
    assert!(!session.is_complete(), "the gap shows");
}

#[test]
fn only_the_newest_cycles_are_kept() {
    let (_directory, path) = room();
    let first = Writer::open(&path, &header(), Some(5)).unwrap();
    first.record(&cycle(1));
    first.close(start());
    let writer = Writer::open(&path, &header(), Some(5)).unwrap();
    (1..=50).for_each(|turn| writer.record_waiting(&cycle(turn)));
    assert_eq!(writer.close(start()).error, None);
    let reader = Reader::open(&path).unwrap();
    let kept: Vec<_> = reader.last(100).unwrap().into_iter().map(|found| found.seq).collect();
    assert_eq!(kept, [46, 47, 48, 49, 50]);
    let ids: Vec<_> = reader.sessions().unwrap().into_iter().map(|session| session.id).collect();
    assert_eq!(ids, [2], "a session without cycles goes with them");
}

#[test]
fn other_files_are_refused_and_left_alone() {
    let (directory, path) = room();
    assert!(matches!(Reader::open(&path), Err(JournalError::Missing { .. })));
    assert!(matches!(Reader::open(directory.path()), Err(JournalError::Foreign { .. })));
    std::fs::write(&path, "").unwrap();
    assert!(matches!(Reader::open(&path), Err(JournalError::Foreign { .. })));

    let text = "just some notes, longer than a header of a database would be, ".repeat(30);
    std::fs::write(&path, &text).unwrap();
    assert!(matches!(Reader::open(&path), Err(JournalError::Foreign { .. })));
    assert!(matches!(Writer::open(&path, &header(), None), Err(JournalError::Foreign { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);

    let other = directory.path().join("other.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
    let error = Writer::open(&other, &header(), None).unwrap_err();
    assert!(error.to_string().contains("other.db: not a run file of autoscale"), "{error}");
    assert!(matches!(Reader::open(&other), Err(JournalError::Foreign { .. })));

    let nowhere = directory.path().join("none/run.db");
    let error = Writer::open(&nowhere, &header(), None).unwrap_err();
    assert!(
        matches!(&error, JournalError::Io { .. }) && error.to_string().contains("none/run.db"),
        "{error}"
    );
}

#[test]
fn newer_and_damaged_files_are_named() {
    let (_directory, path) = room();
    let writer = Writer::open(&path, &header(), None).unwrap();
    (1..=200).for_each(|turn| writer.record_waiting(&cycle(turn)));
    writer.close(start());

    let by_hand = rusqlite::Connection::open(&path).unwrap();
    by_hand.execute("UPDATE cycles SET cycle = '{\"nonsense' WHERE seq = 2", []).unwrap();
    let reader = Reader::open(&path).unwrap();
    let mut cycles = reader.cycles(1).unwrap();
    assert_eq!(cycles.by_ref().filter(Result::is_ok).count(), 199);
    assert_eq!(cycles.skipped(), 1);
    assert!(cycles.broken()[0].starts_with("session 1, turn 2: "), "{:?}", cycles.broken());

    by_hand.execute("UPDATE sessions SET started_at = 'yesterday'", []).unwrap();
    let error = reader.sessions().unwrap_err().to_string();
    assert!(error.contains("session 1"), "{error}");

    by_hand.pragma_update(None, "user_version", 99).unwrap();
    drop((by_hand, reader));
    assert!(matches!(Reader::open(&path), Err(JournalError::Newer { found: 99, .. })));
    assert!(matches!(Writer::open(&path, &header(), None), Err(JournalError::Newer { found: 99, .. })));
}

#[test]
fn a_torn_file_is_named_not_believed() {
    let (_directory, path) = room();
    let writer = Writer::open(&path, &header(), None).unwrap();
    (1..=400).for_each(|turn| writer.record_waiting(&cycle(turn)));
    writer.close(start());
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xA5);
    std::fs::write(&path, &bytes).unwrap();
    let reader = Reader::open(&path).unwrap();
    let found: Vec<_> = reader.cycles(1).unwrap().collect();
    let error = found.last().unwrap().as_ref().unwrap_err().to_string();
    assert!(error.contains("run.db: damaged"), "{error}");
}

#[test]
fn a_full_queue_drops_instead_of_waiting() {
    let (_directory, path) = room();
    let writer = Writer::open(&path, &header(), None).unwrap();
    let (release, held) = mpsc::channel::<()>();
    let hold = move |_: &mut Scribe| held.recv().unwrap();
    writer.queue.as_ref().unwrap().send(Message::Do(Box::new(hold))).unwrap();
    let one = cycle(1);
    (0..QUEUE_LENGTH + 10).for_each(|_| writer.record(&one));
    // One or none of the places was taken by the order to hold.
    assert!((10..=11).contains(&writer.health().dropped), "{writer:?}");
    release.send(()).unwrap();
    let health = writer.close(start());
    assert_eq!(health.recorded + health.dropped, QUEUE_LENGTH as u64 + 10);
}

/// A file of the first version is read as it is, and brought up to date by whoever writes to it.
#[test]
fn files_of_version_1_are_read_and_taken_up() {
    let (_room, path) = room();
    Writer::open(&path, &header(), None).unwrap().close(start());
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch("ALTER TABLE sessions DROP COLUMN closing; PRAGMA user_version = 1;").unwrap();
    drop(old);
    assert_eq!(Reader::open(&path).unwrap().sessions().unwrap()[0].closing, None);

    let writer = Writer::open(&path, &header(), None).unwrap();
    writer.record(&cycle(1));
    writer.close_with(start(), Some(json!({"accepted": 1})));
    let sessions = Reader::open(&path).unwrap().sessions().unwrap();
    let closings: Vec<_> = sessions.into_iter().map(|session| session.closing).collect();
    assert_eq!(closings, [None, Some(json!({"accepted": 1}))]);
}
