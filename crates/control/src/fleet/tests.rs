//! One case for each road that a worker's life can take.

use std::time::Duration;

use traffic::Address;

use super::*;

/// A pool under test, with its clock and all that came out of it.
struct Bench {
    fleet: Fleet,
    now: Timestamp,
    log: Vec<String>,
}

#[test]
fn the_idlest_goes_the_protected_stays_and_the_end_takes_all() {
    let mut bench = Bench::ready(3);
    bench.fleet.set_victims(Victims::Idlest);
    let mut seen = bench.fleet.workers();
    for (worker, in_flight) in seen.iter_mut().zip([0, 1, 2]) {
        worker.in_flight = in_flight;
    }
    bench.fleet.observe(&seen);
    bench.tell(Event::Protect { id: w(1, 1), on: true });
    assert!(bench.fleet.workers()[0].protected);
    assert_eq!(bench.desire(1), ["route w1"]);
    let told = bench.fleet.take_transitions();
    let reasons: Vec<&str> = told.iter().map(|one| one.because.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "protected from scale-in by hand",
            "no longer needed: 1 desired; fewest requests in flight (1), 1 protected",
            "no longer needed: 1 desired; fewest requests in flight (2), 1 protected",
        ]
    );
    bench.desire(0);
    assert_eq!(bench.fleet.status().ready, 1, "nobody is left but the protected");
    bench.fleet.empty(bench.now);
    assert_eq!(bench.effects()[0], "route");
}

fn w(slot: u32, run: u32) -> WorkerId {
    WorkerId { slot, run }
}

impl Bench {
    fn new() -> Self {
        let now = Timestamp::UNIX_EPOCH;
        Self { fleet: Fleet::new(FleetConfig::default(), 1), now, log: Vec::new() }
    }

    /// A pool of this many ready workers, with nothing left to do.
    fn ready(count: u32) -> Self {
        let mut bench = Self::new();
        bench.desire(count);
        for slot in 1..=count {
            bench.boot(w(slot, 1));
        }
        bench.log.clear();
        bench.fleet.take_transitions();
        bench
    }

    fn desire(&mut self, desired: u32) -> Vec<String> {
        self.fleet.set_desired(self.now, desired);
        self.effects()
    }

    fn tell(&mut self, event: Event) -> Vec<String> {
        self.fleet.handle(self.now, event);
        self.effects()
    }

    fn pass(&mut self, seconds: f64) -> Vec<String> {
        self.now += Duration::from_secs_f64(seconds);
        self.fleet.handle_timeout(self.now);
        self.effects()
    }

    fn effects(&mut self) -> Vec<String> {
        let mut words = Vec::new();
        while let Some(effect) = self.fleet.poll() {
            words.push(match effect {
                Effect::Route(routes) => {
                    let ids: Vec<String> = routes.iter().map(|route| route.id.to_string()).collect();
                    format!("route {}", ids.join(" ")).trim_end().to_owned()
                }
                Effect::Spawn(id) => format!("spawn {id}.{}", id.run),
                Effect::Terminate(id) => format!("terminate {id}"),
                Effect::Kill(id) => format!("kill {id}"),
            });
        }
        words
    }

    fn start(&mut self, id: WorkerId) {
        let address = Address::Tcp(([127, 0, 0, 1], 5000).into());
        self.tell(Event::Started { id, pid: 100 + id.slot, address });
    }

    fn boot(&mut self, id: WorkerId) -> Vec<String> {
        self.start(id);
        self.tell(Event::ProbePassed { id })
    }

    fn fail(&mut self, id: WorkerId) -> Vec<String> {
        self.tell(Event::ProbeFailed { id, because: "refused".to_owned() })
    }

    fn exit(&mut self, id: WorkerId, code: i32) -> Vec<String> {
        self.tell(Event::Exited { id, exit: Exit::Code(code) })
    }

    fn last_words(&mut self) -> String {
        let all = self.fleet.take_transitions();
        all.iter().map(|one| one.because.clone()).collect::<Vec<_>>().join(" | ")
    }

    fn states(&self) -> String {
        let all = self.fleet.workers();
        all.iter().map(|one| format!("{} {}", one.id, one.state)).collect::<Vec<_>>().join(", ")
    }
}

use super::status::Exit;

#[test]
fn first_boot_needs_one_probe_and_an_address() {
    let mut bench = Bench::new();
    assert_eq!(bench.desire(2), ["spawn w1.1", "spawn w2.1"]);
    assert!(bench.tell(Event::ProbePassed { id: w(1, 1) }).is_empty(), "it has no address yet");
    assert_eq!(bench.boot(w(1, 1)), ["route w1"]);
    assert_eq!(bench.boot(w(2, 1)), ["route w1 w2"]);
    assert_eq!(bench.fleet.wake_at(), None, "all is well, nothing is due");
}

#[test]
fn a_start_that_takes_too_long_is_killed_and_counts_as_a_crash() {
    let mut bench = Bench::new();
    bench.desire(1);
    bench.start(w(1, 1));
    bench.fail(w(1, 1));
    assert!(bench.pass(29.9).is_empty());
    assert_eq!(bench.pass(0.1), ["kill w1"]);
    assert!(bench.last_words().ends_with("was not ready within 30 s: refused; killed"));
    let exit = Exit::Signal(9);
    assert_eq!(bench.tell(Event::Exited { id: w(1, 1), exit }), ["spawn w1.2"]);
    assert_eq!(bench.fleet.status().crashes, 1);
}

#[test]
fn three_failures_unroute_and_two_passes_route_again() {
    let mut bench = Bench::ready(2);
    assert!(bench.fail(w(1, 1)).is_empty());
    assert!(bench.fail(w(1, 1)).is_empty());
    assert_eq!(bench.fail(w(1, 1)), ["route w2"]);
    assert_eq!(bench.states(), "w1 unhealthy, w2 ready");
    assert!(bench.tell(Event::ProbePassed { id: w(1, 1) }).is_empty());
    assert!(bench.fail(w(1, 1)).is_empty(), "and the count begins anew");
    assert!(bench.tell(Event::ProbePassed { id: w(1, 1) }).is_empty());
    assert_eq!(bench.tell(Event::ProbePassed { id: w(1, 1) }), ["route w1 w2"]);
}

#[test]
fn unhealthy_for_too_long_is_killed_and_replaced() {
    let mut bench = Bench::ready(1);
    (0..3).for_each(|_| drop(bench.fail(w(1, 1))));
    assert_eq!(bench.pass(10.0), ["kill w1"]);
    let exit = Exit::Signal(9);
    assert_eq!(bench.tell(Event::Exited { id: w(1, 1), exit }), ["spawn w1.2"]);
    assert_eq!(bench.boot(w(1, 2)), ["route w1"]);
}

#[test]
fn a_crash_unroutes_before_its_successor_comes() {
    let mut bench = Bench::ready(2);
    assert_eq!(bench.exit(w(1, 1), 0), ["route w2", "spawn w1.2"], "code 0 is no better");
    assert!(bench.last_words().starts_with("exited with code 0, though it should keep running, after 0 s"));
    assert!(bench.exit(w(1, 1), 0).is_empty(), "told twice changes nothing");
    let status = bench.fleet.status();
    assert_eq!((status.desired, status.ready, status.starting, status.crashes), (2, 1, 1, 1));
}

#[test]
fn a_crash_loop_backs_off_and_says_so() {
    let mut bench = Bench::new();
    bench.desire(1);
    assert_eq!(bench.exit(w(1, 1), 1), ["spawn w1.2"], "the first time at once");
    for (run, wait) in [(2, 1.0), (3, 2.0), (4, 4.0)] {
        bench.now += Duration::from_millis(100);
        assert!(bench.exit(w(1, run), 1).is_empty());
        assert_eq!(bench.states(), "w1 backoff");
        assert!(bench.pass(wait * 0.7).is_empty(), "no sooner than the jitter allows");
        assert_eq!(bench.pass(wait * 0.3), [format!("spawn w1.{}", run + 1)]);
    }
    let words = bench.last_words();
    assert!(words.contains("exited with code 1 after 0.1 s; 4th time; next try in 3."), "{words}");
    assert_eq!(bench.fleet.workers()[0].restarts, 4);
    bench.boot(w(1, 5));
    bench.pass(10.0);
    assert_eq!(bench.exit(w(1, 5), 1), ["route", "spawn w1.6"], "stable for 10 s: forgiven");
}

#[test]
fn a_command_that_cannot_start_backs_off_too() {
    let mut bench = Bench::new();
    bench.desire(1);
    let failed = |run| Event::SpawnFailed { id: w(1, run), because: "not found".to_owned() };
    assert_eq!(bench.tell(failed(1)), ["spawn w1.2"]);
    assert!(bench.tell(failed(2)).is_empty());
    assert!(bench.last_words().contains("could not be started: not found; 2nd time; next try in "));
}

#[test]
fn scale_in_drains_the_newest_then_terminates_then_kills() {
    let mut bench = Bench::ready(3);
    assert_eq!(bench.desire(2), ["route w1 w2"]);
    assert_eq!(bench.tell(Event::Drained { id: w(3, 1) }), ["terminate w3"]);
    assert_eq!(bench.pass(10.0), ["kill w3"]);
    assert!(bench.last_words().contains("did not stop within 10 s of SIGTERM; killed"));
    assert_eq!(bench.pass(10.0), ["kill w3"], "asked again while it lives");
    assert_eq!(bench.fleet.status().draining, 1);
    assert!(bench.tell(Event::Exited { id: w(3, 1), exit: Exit::Signal(9) }).is_empty());
    assert_eq!(bench.states(), "w1 ready, w2 ready");
    assert_eq!((bench.fleet.status().crashes, bench.fleet.wake_at()), (0, None));
}

#[test]
fn requests_that_do_not_end_are_waited_for_only_so_long() {
    let mut bench = Bench::ready(1);
    assert_eq!(bench.desire(0), ["route"]);
    assert!(bench.pass(29.0).is_empty());
    assert_eq!(bench.pass(1.0), ["terminate w1"]);
}

#[test]
fn victims_are_those_who_serve_nobody() {
    let mut bench = Bench::ready(1);
    bench.desire(4);
    bench.boot(w(2, 1));
    bench.exit(w(4, 1), 1);
    bench.exit(w(4, 2), 1);
    assert_eq!(bench.states(), "w1 ready, w2 ready, w3 starting, w4 backoff");
    assert!(bench.desire(3).is_empty(), "the slot in backoff is simply dropped");
    assert_eq!(bench.desire(2), ["terminate w3"], "a starting one was never routed");
    assert_eq!(bench.desire(1), ["route w1"]);
}

#[test]
fn demand_that_returns_revives_before_it_spawns() {
    let mut bench = Bench::ready(3);
    bench.desire(1);
    bench.tell(Event::Drained { id: w(3, 1) });
    assert_eq!(bench.desire(3), ["route w1 w2", "spawn w4.1"], "w2 still drains; w3 was told to stop");
    bench.exit(w(3, 1), 0);
    bench.boot(w(4, 1));
    assert_eq!(bench.desire(4), ["spawn w3.2"], "the lowest free slot");
}

#[test]
fn a_late_drained_does_no_harm() {
    let mut bench = Bench::ready(2);
    bench.desire(1);
    assert_eq!(bench.desire(2), ["route w1 w2"]);
    assert!(bench.tell(Event::Drained { id: w(2, 1) }).is_empty());
    assert_eq!(bench.desire(1), ["route w1"], "its requests are still waited for");
}

#[test]
fn surge_bounds_how_many_processes_there_are() {
    let mut bench = Bench::ready(5);
    bench.desire(0);
    (1..=5).for_each(|slot| drop(bench.tell(Event::Drained { id: w(slot, 1) })));
    assert_eq!(bench.desire(3).len(), 3);
    assert_eq!(bench.desire(5).len(), 2);
    assert_eq!(bench.desire(6).len(), 1, "11 = 6 desired + 5");
    (6..=10).for_each(|slot| drop(bench.tell(Event::Drain { id: w(slot, 1) })));
    assert_eq!(bench.states().matches("starting").count(), 1, "five more would be too many");
    assert_eq!(bench.exit(w(2, 1), 0), ["spawn w2.2"], "until an old one is gone");
}

#[test]
fn orders_by_hand_replace_the_worker() {
    let mut bench = Bench::ready(2);
    assert_eq!(bench.tell(Event::Drain { id: w(1, 1) }), ["route w2", "spawn w3.1"]);
    assert_eq!(bench.desire(3), ["spawn w4.1"], "what was drained by hand is not revived");
    assert_eq!(bench.tell(Event::Kill { id: w(2, 1) }), ["route", "kill w2"]);
    assert_eq!(bench.tell(Event::Exited { id: w(2, 1), exit: Exit::Signal(9) }), ["spawn w2.2"]);
    assert_eq!(bench.fleet.status().crashes, 0, "it was asked for");
    assert_eq!(bench.tell(Event::Kill { id: w(1, 1) }), ["kill w1"], "draining: no second successor");
    assert!(bench.exit(w(1, 1), 1).is_empty());
}

#[test]
fn kill_by_hand_cuts_a_wait_short() {
    let mut bench = Bench::new();
    bench.desire(1);
    bench.exit(w(1, 1), 1);
    bench.exit(w(1, 2), 1);
    assert_eq!(bench.tell(Event::Kill { id: w(1, 2) }), ["spawn w1.3"]);
}

#[test]
fn zero_empties_the_pool() {
    let mut bench = Bench::ready(1);
    bench.desire(3);
    bench.exit(w(3, 1), 1);
    bench.exit(w(3, 2), 1);
    assert_eq!(bench.desire(0), ["route", "terminate w2"]);
    bench.tell(Event::Drained { id: w(1, 1) });
    bench.exit(w(1, 1), 0);
    bench.exit(w(2, 1), 0);
    assert_eq!(bench.states(), "");
    assert_eq!(bench.fleet.wake_at(), None);
}
