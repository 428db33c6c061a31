//! The lines for where there is no terminal, and the text of one decision.

use std::time::Duration;

use control::{Applied, Command, Cycle, ScaleTo};
use dashboard::View;
use dashboard::plain::{Plain, WIDTH, line, workers};
use dashboard::why;
use jiff::tz::TimeZone;

use crate::made_up::{MadeUp, busy, moment};

#[test]
fn a_line_says_what_and_why() {
    let (mut run, mut view) = (MadeUp::new(), View::default());
    let mut lines = vec![line(&view)];
    for (turns, rate) in [(8, 6.0), (1, 80.0), (2, 80.0)] {
        run.show(&mut view, turns, rate);
        lines.push(line(&view));
    }
    run.commands.push(Command::Pause {
        until: Some(moment(60.0)),
        scale_in_only: false,
        at: None,
        by: "key".to_owned(),
    });
    run.show(&mut view, 1, 80.0);
    lines.push(line(&view));
    view.apply(&Cycle::Blind { at: moment(20.0), because: "connection refused".to_owned() });
    lines.push(line(&view));
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn no_line_is_wider_than_it_may_be() {
    let (mut run, mut view) = (MadeUp::new(), View::default());
    let mut plain = Plain::new(Some(Duration::from_secs(3)));
    for rate in [6.0, 80.0, 100_000.0, 0.0] {
        for _ in 0..12 {
            run.show(&mut view, 1, rate);
            for line in plain.turn(&view).lines() {
                assert!(line.chars().count() <= WIDTH, "{line}");
            }
        }
    }
}

#[test]
fn workers_are_listed_as_the_seed_shows_them() {
    let (_, view) = busy();
    insta::assert_snapshot!(workers(&view));
}

#[test]
fn workers_are_listed_on_changes_and_when_due() {
    let lists = |every: Option<u64>| {
        let (mut run, mut view) = (MadeUp::new(), View::default());
        let mut plain = Plain::new(every.map(Duration::from_secs));
        let mut listed = Vec::new();
        for turn in 0..9 {
            run.show(&mut view, 1, 6.0);
            if plain.turn(&view).contains("http://127.0.0.1:5000 (PID: 4211)") {
                listed.push(turn);
            }
        }
        listed
    };
    assert_eq!(lists(None), [0]);
    assert_eq!(lists(Some(3)), [0, 3, 6]);
}

#[test]
fn what_happened_between_two_lines_is_told_once() {
    let (mut run, mut view) = (MadeUp::new(), View::default());
    let mut plain = Plain::new(None);
    run.show(&mut view, 5, 6.0);
    plain.turn(&view);
    run.show(&mut view, 3, 80.0);
    run.crash(1);
    run.show(&mut view, 1, 80.0);
    let text = plain.turn(&view);
    let told = |text: &str, what: &str| text.lines().filter(|line| line.contains(what)).count();
    assert_eq!((told(&text, "scale out 1 → 2"), told(&text, "w1 (PID 4211) ended")), (1, 1), "{text}");
    run.show(&mut view, 1, 80.0);
    assert_eq!(told(&plain.turn(&view), "scale out 1 → 2"), 0);
}

#[test]
fn the_reason_is_told_whole() {
    let (mut run, mut view) = busy();
    insta::assert_snapshot!("out", why::text(&run.turn(80.0), &TimeZone::UTC));
    run.show(&mut view, 1, 80.0);
    insta::assert_snapshot!("cooling", why::text(&run.turn(80.0), &TimeZone::UTC));
    let to = ScaleTo::Exactly(9);
    run.commands.push(Command::Scale { to, until: Some(moment(80.0)), by: "api".to_owned() });
    run.applied = Applied::Failed("no more processes".to_owned());
    insta::assert_snapshot!("held_beyond_the_maximum", why::text(&run.turn(80.0), &TimeZone::UTC));
    let blind = Cycle::Blind { at: moment(90.0), because: "connection refused".to_owned() };
    insta::assert_snapshot!("blind", why::text(&blind, &TimeZone::UTC));
}

#[test]
fn times_of_day_follow_the_zone() {
    let mut view = View::in_zone(TimeZone::fixed(jiff::tz::offset(5)));
    MadeUp::new().show(&mut view, 1, 6.0);
    assert!(line(&view).starts_with("17:00:00 CPU"), "{}", line(&view));
}
