//! Streams.

use admin::{ClientError, EventKind};
use futures_util::StreamExt;

use crate::support::{pool, scale_out, soon, start, turn};

#[tokio::test]
async fn turns_are_followed_without_gap_or_repetition() {
    let pool = pool(0).await;
    (1..=5).for_each(|second| drop(pool.board.push(turn(second))));
    let mut feed = pool.client.follow_cycles(2).await.unwrap();
    pool.board.push(turn(6));
    for second in [4, 5, 6] {
        assert_eq!(soon(feed.next()).await.unwrap().unwrap(), turn(second));
    }
    pool.board.push(turn(7));
    assert_eq!(soon(feed.next()).await.unwrap().unwrap(), turn(7));
}

#[tokio::test]
async fn events_tell_what_happened_once() {
    let pool = pool(0).await;
    [turn(1), scale_out(2)].into_iter().for_each(|cycle| drop(pool.board.push(cycle)));
    let past = pool.client.events(10).await.unwrap();
    let kinds: Vec<EventKind> = past.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Worker, EventKind::Command, EventKind::Scaled, EventKind::Blocked]);
    assert_eq!(past[0].text, "w1 starting → ready: its probe passed");
    assert_eq!((past[2].replicas, past[2].text.as_str()), (Some((2, 5)), "2 → 5: at most 5 (bounds)"));

    let mut feed = pool.client.follow_events(1).await.unwrap();
    assert_eq!(soon(feed.next()).await.unwrap().unwrap(), past[3]);
    let blind = || control::Cycle::Blind { at: start(), because: "no cgroup".to_owned() };
    [blind(), blind(), turn(5), scale_out(6)].into_iter().for_each(|cycle| drop(pool.board.push(cycle)));
    assert_eq!(soon(feed.next()).await.unwrap().unwrap().kind, EventKind::Blind);
    let next = soon(feed.next()).await.unwrap().unwrap();
    assert_eq!(next.kind, EventKind::Worker, "the same trouble is told once, an even turn not at all");
}

#[tokio::test]
async fn output_is_followed_from_its_last_lines_on() {
    let pool = pool(0).await;
    let feed = pool.client.follow_logs("w1", 2).await.unwrap();
    let lines: Vec<String> = soon(feed.take(3).map(|line| line.unwrap().text).collect()).await;
    assert_eq!(lines, ["line 0", "line 1", "line 99"]);
}

/// On one thread, so that nothing is sent while turns are put up.
#[tokio::test(flavor = "current_thread")]
async fn a_slow_reader_is_told_and_let_go() {
    let pool = pool(0).await;
    let mut feed = pool.client.follow_cycles(0).await.unwrap();
    pool.board.push(turn(1));
    assert!(soon(feed.next()).await.unwrap().is_ok());
    (2..=200).for_each(|second| drop(pool.board.push(turn(second))));
    let error = soon(feed.next()).await.unwrap().unwrap_err();
    assert!(matches!(&error, ClientError::Broken(told) if told.contains("too slowly")), "{error}");
    assert!(soon(feed.next()).await.is_none());
}

#[tokio::test]
async fn streams_are_bounded_and_a_closed_one_makes_room() {
    let pool = pool(0).await;
    let mut open = Vec::new();
    let refused = soon(async {
        loop {
            match pool.client.follow_cycles(0).await {
                Ok(feed) => open.push(feed),
                Err(error) => break error,
            }
        }
    });
    let refused = refused.await;
    assert!(matches!(refused, ClientError::Refused { status: 503, .. }), "{refused:?}");
    assert_eq!(open.len(), 32);
    open.clear();
    // The server learns of it at the next thing it sends.
    let again = soon(async {
        loop {
            pool.board.push(turn(1));
            if let Ok(feed) = pool.client.follow_cycles(0).await {
                break feed;
            }
        }
    });
    drop(again.await);
}

#[tokio::test]
async fn shutdown_ends_streams_and_frees_the_port() {
    let pool = pool(0).await;
    let mut feed = pool.client.follow_cycles(0).await.unwrap();
    pool.shutdown.cancel();
    assert!(soon(feed.next()).await.is_none());
    soon(pool.handle.finished()).await;
    assert!(matches!(pool.client.status().await, Err(ClientError::NotReachable { .. })));
}
