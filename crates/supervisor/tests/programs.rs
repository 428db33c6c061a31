//! Programs that decide, with real processes: a shell stands in for any language.

use std::time::Duration;

use clock::Clock;
use control::policy::exec::{Answer, Program};
use control::{ControllerConfig, FleetStatus, Observation, PolicyConfig, SlowInputs};
use live::Slow;
use supervisor::{Leash, Programs};

/// Far longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);

fn program(script: &str, timeout: Duration) -> Program {
    Program { command: vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()], timeout }
}

fn seen(clock: Clock) -> Observation {
    Observation {
        at: clock.now(),
        traffic: None,
        fleet: FleetStatus { desired: 2, ready: 2, ..FleetStatus::default() },
        workers: control::Workers::default(),
        signals: std::collections::BTreeMap::new(),
        transitions: Vec::new(),
        commands: Vec::new(),
        slow: SlowInputs::default(),
        history: None,
    }
}

/// Shows turns until the program's answer is as wanted.
async fn until(program: &Program, wanted: impl Fn(&Answer) -> bool) -> Answer {
    let clock = Clock::start();
    let leash = Leash {
        program: env!("CARGO_BIN_EXE_supervisor-fixture").into(),
        arguments: vec!["leash".to_owned()],
    };
    let mut programs = Programs::new(clock, leash);
    let policy = PolicyConfig { name: "exec".to_owned(), settings: serde_json::Map::new() };
    let config =
        ControllerConfig { policy, min: 1, max: 5, interval: Duration::from_secs(1), shadows: Vec::new() };
    let shown = async {
        loop {
            programs.show(&seen(clock), &config, vec![program.clone()]);
            clock.sleep(Duration::from_millis(20)).await;
            if let Some(answer) = programs.latest().exec.get(&program.name()).filter(|answer| wanted(answer))
            {
                return answer.clone();
            }
        }
    };
    clock.timeout(DEADLINE, shown).await.expect("the answer comes")
}

#[tokio::test]
async fn a_program_answers_each_question() {
    let echo = r#"while read -r q; do case "$q" in *'"desired":2'*'"max":5'*) echo '{"replicas":3,"reason":"two is few"}';; esac; done"#;
    let answer = until(&program(echo, DEADLINE), |answer| answer.replicas.is_some()).await;
    assert_eq!((answer.replicas, answer.because.as_str()), (Some(3), "two is few"));
}

#[tokio::test]
async fn a_program_that_ends_says_why_and_is_started_anew() {
    let script = r#"read -r q; echo "no such metric" >&2; exit 3"#;
    let answer = until(&program(script, DEADLINE), |answer| answer.because.contains("no such metric")).await;
    assert!(answer.replicas.is_none() && answer.because.contains("exit status: 3"), "{answer:?}");
    let once = format!(
        r#"test -e {0} && while read -r q; do echo '{{"replicas":4}}'; done; touch {0}"#,
        tempfile::tempdir().unwrap().keep().join("started").display()
    );
    let answer = until(&program(&once, DEADLINE), |answer| answer.replicas.is_some()).await;
    assert_eq!(answer.replicas, Some(4), "the second start answers");
}

#[tokio::test]
async fn silence_and_nonsense_are_no_decisions() {
    let silent = program("while read -r q; do :; done", Duration::from_millis(50));
    let answer = until(&silent, |_| true).await;
    assert!(answer.because.contains("did not answer within 50ms"), "{answer:?}");
    let nonsense = program("while read -r q; do echo lots; done", DEADLINE);
    let answer = until(&nonsense, |_| true).await;
    assert!(answer.replicas.is_none() && answer.because.contains("`lots` is no decision"), "{answer:?}");
    let missing = Program { command: vec!["/nowhere/policy".to_owned()], timeout: DEADLINE };
    let answer = until(&missing, |_| true).await;
    assert!(answer.because.contains("/nowhere/policy: No such file"), "{answer:?}");
}
