//! The README's first command.

use std::net::TcpListener;

use crate::harness::Bench;

/// The script's own load, judged by what does not depend on how quick the machine is: 150
/// requests a second are 30 for each of five workers, and 37 for each of four.
const BY_RATE: &[&str] = &["--signal", "rps", "--up", "33", "--down", "10"];
/// The script does not wait for workers; on a machine that starts them in seconds it may be over
/// before the fifth is ready. It says so, and once in a while that is no defect.
const TRIES: usize = 3;

#[tokio::test]
async fn the_demo_goes_the_whole_way_and_loses_nothing() {
    let bench = Bench::whole_machine().await;
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = stranger.local_addr().unwrap();
    let note = format!("note: port {} is taken: balancing on 127.0.0.1:", taken.port());
    let listen = taken.to_string();
    let words = ["demo", "--quick", "--plain", "--listen", &listen, "--admin", "127.0.0.1:0"];
    let words = [&words[..], &["--worker-port", "0", "--record", "demo.db"], BY_RATE].concat();
    for tries_left in (0..TRIES).rev() {
        let ended = bench.finish_at_last(words.iter().copied()).await;
        assert!(ended.stderr.contains(&note), "{ended:#?}");
        let said = ended.well();
        assert!(said.contains(" sent, 0 failed\n"), "{said}");
        assert_eq!(bench.processes(), []);
        if said.contains("ended before the pool had gone") && tries_left > 0 {
            continue;
        }
        assert!(said.contains("at most 5 workers ready at once"), "{said}");
        assert!(said.contains("detect ") && said.contains(" + first request "), "{said}");
        break;
    }
    let replayed = bench.finish(["replay", "demo.db", "--verify"]).await.well();
    assert!(replayed.ends_with("\n0 divergences\n"), "{replayed}");
}
