//! What keys do.

use control::{Command, Cycle};
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use dashboard::View;
use dashboard::terminal::{Action, Playback, Popup, Transport, Ui, Zoom, key};

use crate::made_up::{busy, moment};

fn press(ui: &mut Ui, view: &View, code: KeyCode) -> Option<Action> {
    key(ui, view, KeyEvent::new(code, KeyModifiers::NONE))
}

fn types(ui: &mut Ui, view: &View, text: &str) -> Option<Action> {
    text.chars().map(|c| press(ui, view, KeyCode::Char(c))).last().unwrap()
}

#[test]
fn keys_and_their_actions() {
    let (_, mut view) = busy();
    view.set_load(Some("load 80/s".to_owned()));
    let rows = [
        ("q", Some(Action::Quit)),
        ("+", Some(Action::Scale(1))),
        ("=", Some(Action::Scale(1))),
        ("-", Some(Action::Scale(-1))),
        ("p", Some(Action::Pause)),
        ("l", Some(Action::LoadStep)),
        ("k", None),
        ("ky", Some(Action::Kill("w1".to_owned()))),
        ("kY", Some(Action::Kill("w1".to_owned()))),
        ("kn", None),
        ("kny", None),
        ("k+y", Some(Action::Kill("w1".to_owned()))),
        ("dy", Some(Action::Drain("w1".to_owned()))),
        ("dq", None),
        ("y", None),
        ("?", None),
        ("?q", None),
        ("?qq", Some(Action::Quit)),
        ("w+", None),
        ("x", None),
    ];
    for (text, expected) in rows {
        assert_eq!(types(&mut Ui::new(true), &view, text), expected, "typed {text}");
    }
}

#[test]
fn control_c_quits_whatever_is_open_and_releases_do_nothing() {
    let (_, view) = busy();
    let quit = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    for before in ["", "?", "k", "w"] {
        let mut ui = Ui::new(true);
        before.chars().for_each(|c| drop(press(&mut ui, &view, KeyCode::Char(c))));
        assert_eq!(key(&mut ui, &view, quit), Some(Action::Quit));
    }
    let release = KeyEvent::new_with_kind(KeyCode::Char('q'), KeyModifiers::NONE, KeyEventKind::Release);
    assert_eq!(key(&mut Ui::new(true), &view, release), None);
}

#[test]
fn the_selection_moves_and_names_the_victim() {
    let (_, view) = busy();
    let mut ui = Ui::new(true);
    let rows = [
        (KeyCode::Down, 1),
        (KeyCode::Tab, 2),
        (KeyCode::Down, 3),
        (KeyCode::Down, 3),
        (KeyCode::Tab, 0),
        (KeyCode::Up, 0),
        (KeyCode::Down, 1),
        (KeyCode::BackTab, 0),
    ];
    for (code, row) in rows {
        press(&mut ui, &view, code);
        assert_eq!(ui.selected_row(&view), Some(row), "after {code:?}");
    }
    press(&mut ui, &view, KeyCode::Down);
    assert_eq!(types(&mut ui, &view, "dy"), Some(Action::Drain("w2".to_owned())));
    ui.selected = 99;
    assert_eq!(ui.selected_row(&view), Some(3), "beyond the end is the last");
    assert_eq!(ui.selected_row(&View::default()), None);
}

#[test]
fn a_worker_that_went_meanwhile_is_not_killed_in_the_person_of_its_successor() {
    let (mut run, mut view) = busy();
    let mut ui = Ui::new(true);
    types(&mut ui, &view, "k");
    run.crash(1);
    run.show(&mut view, 1, 80.0);
    assert_eq!(types(&mut ui, &view, "y"), None);
    assert_eq!(ui.notice.as_deref(), Some("w1 is gone already"));
    types(&mut ui, &view, "x");
    assert_eq!(ui.notice, None, "a notice lasts until the next key");
}

#[test]
fn p_resumes_what_is_paused_or_held() {
    let (mut run, mut view) = busy();
    run.commands.push(Command::Pause {
        until: Some(moment(99.0)),
        scale_in_only: false,
        at: None,
        by: "key".to_owned(),
    });
    run.show(&mut view, 1, 80.0);
    assert_eq!(types(&mut Ui::new(true), &view, "p"), Some(Action::Resume));
    run.commands.push(Command::Resume { by: "key".to_owned() });
    run.show(&mut view, 1, 80.0);
    assert_eq!(types(&mut Ui::new(true), &view, "p"), Some(Action::Pause));
}

#[test]
fn without_a_load_of_ours_l_says_so() {
    let (_, view) = busy();
    let mut ui = Ui::new(true);
    assert_eq!(types(&mut ui, &view, "l"), None);
    assert!(ui.notice.is_some());
    assert_eq!(types(&mut ui, &View::default(), "k"), None);
    assert!(ui.question.is_none(), "there is nobody to kill");
}

#[test]
fn space_freezes_and_popups_scroll() {
    let (_, mut view) = busy();
    let mut ui = Ui::new(true);
    types(&mut ui, &view, " ");
    let at = view.now();
    view.apply(&Cycle::Blind { at: moment(50.0), because: "gone".to_owned() });
    assert_eq!(ui.frozen.as_ref().map(|frozen| frozen.now()), Some(at));
    types(&mut ui, &view, " ");
    assert!(ui.frozen.is_none());

    types(&mut ui, &view, "w");
    press(&mut ui, &view, KeyCode::Down);
    assert_eq!((ui.popup, ui.scroll), (Some(Popup::Why), 1));
    types(&mut ui, &view, "?");
    assert_eq!((ui.popup, ui.scroll), (Some(Popup::Help), 0));
    press(&mut ui, &view, KeyCode::Esc);
    assert_eq!(ui.popup, None);
}

#[test]
fn z_goes_round_the_spans() {
    let (_, view) = busy();
    let mut ui = Ui::new(true);
    let mut seen = Vec::new();
    for _ in 0..5 {
        types(&mut ui, &view, "z");
        seen.push(ui.span);
    }
    let minutes = [1, 2, 5, 10].map(Zoom::Minutes);
    assert_eq!(seen, [&minutes[..], &[Zoom::Fitting]].concat());
}

#[test]
fn a_recording_is_steered_and_cannot_be_changed() {
    let (_, view) = busy();
    let mut ui = Ui::new(true);
    ui.playback = Some(Playback::new(1440.0));
    let rows = [
        (KeyCode::Char(' '), Some(Transport::Toggle)),
        (KeyCode::Right, Some(Transport::Forward)),
        (KeyCode::Left, Some(Transport::Back)),
        (KeyCode::Char('['), Some(Transport::JumpBack)),
        (KeyCode::Char(']'), Some(Transport::JumpOn)),
        (KeyCode::Char('0'), Some(Transport::Start)),
        (KeyCode::Char('+'), Some(Transport::Faster)),
        (KeyCode::Char('-'), Some(Transport::Slower)),
        (KeyCode::Char('k'), None),
        (KeyCode::Char('z'), None),
    ];
    for (code, expected) in rows {
        assert_eq!(press(&mut ui, &view, code), expected.map(Action::Play), "{code:?}");
        assert!(ui.question.is_none());
    }
    assert_eq!(press(&mut ui, &view, KeyCode::Char('q')), Some(Action::Quit));
}
