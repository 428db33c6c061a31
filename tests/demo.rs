//! The README's first command.

use std::net::TcpListener;

use crate::harness::Bench;

#[tokio::test]
async fn the_demo_goes_the_whole_way_and_loses_nothing() {
    let bench = Bench::whole_machine().await;
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = stranger.local_addr().unwrap();
    let (listen, record) = (taken.to_string(), "demo.db");
    let words = ["demo", "--quick", "--plain", "--listen", &listen, "--admin", "127.0.0.1:0"];
    let more = ["--worker-port", "0", "--record", record];
    let ended = bench.finish(words.into_iter().chain(more)).await;
    let note = format!("note: port {} is taken: balancing on 127.0.0.1:", taken.port());
    assert!(ended.stderr.contains(&note), "{ended:#?}");
    let said = ended.well();
    assert!(said.contains(" sent, 0 failed\n"), "{said}");
    assert!(said.contains("at most 5 workers ready at once"), "{said}");
    assert!(!said.contains("ended before the pool had gone"), "{said}");
    assert!(said.contains("detect ") && said.contains(" + first request "), "{said}");
    assert_eq!(bench.processes(), []);
    let replayed = bench.finish(["replay", record, "--verify"]).await.well();
    assert!(replayed.ends_with("\n0 divergences\n"), "{replayed}");
}
