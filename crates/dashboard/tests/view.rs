//! The arithmetic of the view.

use std::time::Duration;

use control::{Applied, Cycle};
use dashboard::View;
use dashboard::view::{HISTORY, Kind};
use traffic::WorkerId;

use crate::made_up::{MadeUp, busy, moment, whole};

fn near(value: Option<f64>, expected: f64) {
    let value = value.unwrap();
    assert!((value - expected).abs() < 0.5, "{value} is not near {expected}");
}

#[test]
fn rates_are_averages_over_ten_seconds() {
    let (mut run, mut view) = (MadeUp::new(), View::default());
    assert_eq!((view.per_second(), view.per_minute()), (None, None));
    run.show(&mut view, 20, 6.0);
    near(view.per_second(), 6.0);
    near(view.per_minute(), 360.0);
    run.show(&mut view, 5, 16.0);
    near(view.per_second(), 11.0);
    run.show(&mut view, 5, 16.0);
    near(view.per_second(), 16.0);
    near(view.worker_per_minute(WorkerId { slot: 1, run: 1 }), 960.0);
    assert_eq!(view.worker_per_minute(WorkerId { slot: 1, run: 2 }), None);
}

#[test]
fn a_workers_rate_begins_when_it_is_ready() {
    let (mut run, mut view) = (MadeUp::with(serde_json::json!({"cooldown_up": "60s"}), 1), View::default());
    run.show(&mut view, 8, 6.0);
    run.show(&mut view, 4, 80.0);
    // Ordered at 8 s, starting at 9 s, ready at 10 s with 40 requests in each second since.
    near(view.worker_per_minute(WorkerId { slot: 2, run: 1 }), 2_400.0);
}

#[test]
fn cpu_is_what_the_policy_measured_or_else_the_mean() {
    let (_, mut view) = busy();
    let measured = view.last().unwrap().decision.measured.clone().unwrap();
    assert_eq!(view.cpu_percent(), measured.value);

    let mut cycle = MadeUp::new().turn(80.0);
    if let Cycle::Decided { seen, decision, .. } = &mut cycle {
        seen.at = moment(20.0);
        decision.measured.as_mut().unwrap().signal = "rps".into();
        decision.excluded.clear();
        let mut second = seen.workers[0].clone();
        (second.id.slot, second.cpu_percent) = (2, Some(10.0));
        let mut third = second.clone();
        (third.id.slot, third.cpu_percent) = (3, None);
        seen.workers[0].cpu_percent = Some(50.0);
        seen.workers.extend([second, third]);
    }
    view.apply(&cycle);
    assert_eq!(view.cpu_percent(), Some(30.0), "the unmeasured one does not count as zero");
}

#[test]
fn worker_seconds_are_summed_and_compared_with_the_maximum() {
    let (mut run, mut view) = (MadeUp::new(), View::default());
    run.show(&mut view, 11, 6.0);
    assert_eq!(view.elapsed(), Duration::from_secs(10));
    assert_eq!((view.totals().worker_seconds, view.totals().fixed_seconds), (10.0, 50.0));
    assert_eq!(view.totals().saved_percent(), Some(80.0));
    assert_eq!(view.totals().completions, 66);
}

#[test]
fn a_reaction_is_the_sum_of_its_parts() {
    let (mut run, mut view) = (MadeUp::new(), View::default());
    run.show(&mut view, 8, 6.0);
    assert!(view.last_scale_out().is_none());
    run.show(&mut view, 2, 80.0);
    assert!(view.last_scale_out().is_none(), "not ready yet");
    run.show(&mut view, 1, 80.0);
    let out = view.last_scale_out().unwrap();
    assert_eq!((out.from, out.to), (1, 2));
    let reaction = out.reaction().unwrap();
    let millis = |length: Duration| length.as_millis();
    assert_eq!(millis(reaction.detect), 1_000, "at most the window in which it rose");
    assert_eq!(millis(reaction.decide), 0);
    assert_eq!(millis(reaction.start), 1_300);
    assert_eq!(reaction.route.map(millis), Some(30));
    assert_eq!(millis(reaction.total()), 2_330);
}

#[test]
fn each_scale_out_has_its_own_worker() {
    let view = whole();
    let outs = view.scale_outs();
    let steps: Vec<_> = outs.iter().map(|out| (out.from, out.to)).collect();
    assert_eq!(steps, [(1, 2), (2, 3), (3, 4), (4, 5)]);
    for out in outs {
        let reaction = out.reaction().unwrap();
        assert_eq!(reaction.start.as_millis(), 1_300, "{out:?}");
        assert!(reaction.decide <= Duration::from_secs(3), "waits for the cool-down: {out:?}");
    }
}

#[test]
fn the_story_is_short() {
    let view = whole();
    let kinds: Vec<Kind> = view.events().map(|event| event.kind).collect();
    let count = |kind: Kind| kinds.iter().filter(|other| **other == kind).count();
    assert_eq!((count(Kind::Out), count(Kind::In)), (4, 4));
    // The minimum, then cool-down on the way up and on the way down.
    assert_eq!(count(Kind::Blocked), 3, "{:?}", view.events().collect::<Vec<_>>());
}

#[test]
fn between_turns_of_the_policy_its_last_reason_stands() {
    let (mut run, mut view) = (MadeUp::with(serde_json::json!({}), 5), View::default());
    run.show(&mut view, 8, 80.0);
    let asked = view.asked().unwrap();
    assert_eq!(asked.recommended.rule, "above_up");
    assert_eq!(view.last().unwrap().decision.recommended.rule, "between_turns");
}

#[test]
fn repetitions_are_ignored_and_another_run_starts_anew() {
    let mut run = MadeUp::new();
    let cycles: Vec<Cycle> = (0..90).map(|_| run.turn(6.0)).collect();
    let mut view = View::default();
    cycles.iter().for_each(|cycle| view.apply(cycle));
    let once = *view.totals();
    cycles[60..].iter().for_each(|cycle| view.apply(cycle));
    assert_eq!(*view.totals(), once, "the history and the stream overlap");
    view.apply(&cycles[0]);
    assert_eq!((view.now(), view.turns().count()), (Some(moment(0.0)), 1));
}

#[test]
fn history_is_bounded() {
    let (mut run, mut view) = (MadeUp::new(), View::default());
    for _ in 0..30 {
        run.show(&mut view, 25, 80.0);
        run.show(&mut view, 25, 1.0);
    }
    let oldest = view.turns().next().unwrap().at;
    assert_eq!(dashboard::text::between(oldest, view.now().unwrap()), HISTORY);
    assert!(view.events().count() <= 200);
    assert!(view.scale_outs().len() <= 100);
}

#[test]
fn refusals_and_silence_are_told_once_each() {
    let (mut run, mut view) = busy();
    run.applied = Applied::Failed("no more processes".to_owned());
    run.show(&mut view, 3, 80.0);
    for at in [30.0, 31.0] {
        view.apply(&Cycle::Blind { at: moment(at), because: "gone".to_owned() });
    }
    assert_eq!(view.unanswered(), Some((moment(30.0), "gone")));
    let count = |kind: Kind| view.events().filter(|event| event.kind == kind).count();
    assert_eq!((count(Kind::Refused), count(Kind::Blind)), (1, 1));
    assert_eq!(view.turns().filter(|turn| turn.change > 0).count(), 3, "refused orders are no changes");
}
