//! Snapshots of the terminal screen.

use control::{Applied, Command, Cycle, ScaleTo, State};
use dashboard::View;
use dashboard::terminal::{Playback, Popup, Question, Ui, draw};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;
use traffic::WorkerId;

use crate::made_up::{MadeUp, busy, moment, whole};

fn terminal(view: &View, ui: &Ui, columns: u16, rows: u16) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| draw(frame, view, ui)).unwrap();
    terminal.backend().clone()
}

fn screen(view: &View, ui: &Ui, columns: u16, rows: u16) -> String {
    terminal(view, ui, columns, rows).to_string()
}

fn ui() -> Ui {
    Ui::new(true)
}

#[test]
fn scaling_out_at_80_by_24() {
    let (_, mut view) = busy();
    view.set_load(Some("load 80/s, step 2 of 3".to_owned()));
    insta::assert_snapshot!(screen(&view, &ui(), 80, 24));
}

#[test]
fn everything_asked_for_is_there_at_80_by_24() {
    let (_, view) = busy();
    let text = screen(&view, &ui(), 80, 24);
    for needed in [
        "CPU",
        "out > 35 %",
        "in < 15 %",
        "ready",
        "desired",
        "RPM",
        "p50/p95/p99",
        "in flight",
        "queued",
        "failed",
        "http://127.0.0.1:5000",
        "4211",
        "MEM",
        "IN-FL",
        "UP",
        "RST",
        "out>35",
        "in<15",
        "instances",
        "▲",
        " now ",
        "scale out 2 → 3",
        "q quit",
        "? help",
        "w why",
    ] {
        assert!(text.contains(needed), "`{needed}` is cut:\n{text}");
    }
}

#[test]
fn the_whole_run_at_120_by_40() {
    insta::assert_snapshot!(screen(&whole(), &ui(), 120, 40));
}

#[test]
fn a_projector() {
    insta::assert_snapshot!(screen(&whole(), &ui(), 200, 60));
}

#[test]
fn the_smallest() {
    let (_, view) = busy();
    insta::assert_snapshot!(screen(&view, &ui(), 60, 15));
}

#[test]
fn too_small_says_how_small() {
    let (_, view) = busy();
    insta::assert_snapshot!(screen(&view, &ui(), 59, 15));
    insta::assert_snapshot!(screen(&view, &ui(), 20, 6));
    for (columns, rows) in [(1, 1), (0, 0), (200, 1), (1, 200)] {
        terminal(&view, &ui(), columns, rows);
    }
}

#[test]
fn nothing_seen_yet() {
    insta::assert_snapshot!(screen(&View::default(), &ui(), 80, 24));
}

#[test]
fn help() {
    let (_, view) = busy();
    let ui = Ui { popup: Some(Popup::Help), ..ui() };
    insta::assert_snapshot!(screen(&view, &ui, 80, 24));
}

#[test]
fn the_whole_reason() {
    let (_, view) = busy();
    let ui = Ui { popup: Some(Popup::Why), ..ui() };
    insta::assert_snapshot!(screen(&view, &ui, 80, 24));
}

#[test]
fn trouble() {
    let (mut run, mut view) = busy();
    run.failures = 2;
    run.show(&mut view, 1, 80.0);
    run.failures = 0;
    run.show(&mut view, 11, 80.0);
    run.set_state(3, State::Backoff);
    run.set_state(1, State::Unhealthy);
    run.crash(2);
    run.applied = Applied::Failed("no process could be started: out of memory".to_owned());
    run.show(&mut view, 2, 80.0);
    insta::assert_snapshot!(screen(&view, &ui(), 80, 24));
}

#[test]
fn held_by_hand_with_a_question() {
    let (mut run, mut view) = busy();
    let to = ScaleTo::By(-1);
    run.commands.push(Command::Scale { to, until: Some(moment(60.0)), by: "key".to_owned() });
    run.show(&mut view, 3, 80.0);
    let worker = WorkerId { slot: 2, run: 1 };
    let ui = Ui { question: Some(Question { kill: true, worker }), selected: 2, ..ui() };
    insta::assert_snapshot!(screen(&view, &ui, 80, 24));
}

#[test]
fn blind() {
    let (_, mut view) = busy();
    for at in [17.0, 18.0] {
        view.apply(&Cycle::Blind { at: moment(at), because: "connection refused".to_owned() });
    }
    insta::assert_snapshot!(screen(&view, &ui(), 80, 24));
}

#[test]
fn another_signal_than_cpu() {
    let settings = serde_json::json!({"signal": "rps", "up": 20, "down": 8});
    let (mut run, mut view) = (MadeUp::with(settings, 5), View::default());
    run.show(&mut view, 10, 6.0);
    run.show(&mut view, 23, 60.0);
    insta::assert_snapshot!(screen(&view, &ui(), 80, 24));
}

#[test]
fn without_colour_there_is_none_and_nothing_is_lost() {
    let (_, view) = busy();
    let plain = terminal(&view, &Ui::new(false), 80, 24);
    for cell in plain.buffer().content() {
        assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "`{}` has a colour", cell.symbol());
    }
    assert_eq!(plain.to_string(), screen(&view, &ui(), 80, 24), "the same text, with colour and without");
}

#[test]
fn every_size_is_drawn() {
    let (_, view) = busy();
    for popup in [None, Some(Popup::Help), Some(Popup::Why)] {
        let ui = Ui { popup, ..ui() };
        for columns in (58..=210).step_by(17) {
            for rows in (14..=70).step_by(7) {
                screen(&view, &ui, columns, rows);
            }
        }
    }
}

#[test]
fn many_workers_scroll_to_the_selected() {
    let (_, mut view) = busy();
    let mut cycle = MadeUp::new().turn(1.0);
    if let Cycle::Decided { seen, decision, .. } = &mut cycle {
        let one = seen.workers[0].clone();
        seen.workers = (1..=40)
            .map(|slot| {
                let mut w = one.clone();
                w.id.slot = slot;
                w
            })
            .collect();
        (seen.fleet.ready, seen.at, decision.in_force.max) = (40, moment(30.0), u32::MAX);
    }
    view.apply(&cycle);
    let ui = Ui { selected: 33, ..ui() };
    insta::assert_snapshot!(screen(&view, &ui, 80, 24));
}

#[test]
fn policies_that_only_watch_are_lines_of_letters() {
    let mut run = MadeUp::beside(serde_json::json!({}), 1, "hpa:target=30,kpa,aws");
    let mut view = View::default();
    run.show(&mut view, 20, 5.0);
    let shown = screen(&view, &ui(), 120, 40);
    assert!(shown.contains("h hpa ") && shown.contains("k kpa ") && shown.contains("a aws "), "{shown}");
    assert!(
        ["hka", "kah", "ahk"].iter().any(|line| shown.contains(line)),
        "three lines at one height take turns: {shown}"
    );
}

#[test]
fn a_recording_being_played_at_80_by_24() {
    let (_, mut view) = busy();
    view.set_load(Some("on daily_wave".to_owned()));
    let mut ui = ui();
    let begin = view.turns().next().map(|turn| turn.at);
    ui.playback = Some(Playback { begin, paused: true, ..Playback::new(1440.0) });
    let text = screen(&view, &ui, 80, 24);
    for needed in ["PAUSED 1440x", "day 1 ", "last day", "space go on", "→ step", "← back", "q quit", "[ ]"]
    {
        assert!(text.contains(needed), "`{needed}` is cut:\n{text}");
    }
    assert!(!text.contains("k kill"), "{text}");
}
