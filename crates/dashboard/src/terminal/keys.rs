//! Keys in, actions out: what the screen remembers between two frames, and how keys change it.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use traffic::WorkerId;

use super::palette::Palette;
use super::playback::{Playback, Transport, transport};
use super::popup::Popup;
use crate::view::View;

/// What a key asks of the pool or the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Leave the dashboard.
    Quit,
    /// So many replicas more, or fewer.
    Scale(i32),
    /// Change nothing until resumed.
    Pause,
    /// End a pause or a hold.
    Resume,
    /// Kill this worker, named as in `w1`.
    Kill(String),
    /// Drain this worker, named as in `w1`.
    Drain(String),
    /// The next step of the load.
    LoadStep,
    /// Steers what is being played.
    Play(Transport),
}

/// A question in the footer that waits for y or n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Kill, or else drain.
    pub kill: bool,
    /// The worker; its successor in the same slot is another.
    pub worker: WorkerId,
}

/// How much time the charts show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zoom {
    /// The whole run while it fits, then what the width allows.
    #[default]
    Fitting,
    /// So many minutes.
    Minutes(u8),
}

/// The spans that there are.
const SPANS: [u8; 4] = [1, 2, 5, 10];

impl Zoom {
    /// The span for a run of this age in a chart of so many columns, where a minute is `unit`.
    pub(super) fn length(self, elapsed: Duration, columns: u16, unit: Duration) -> Duration {
        let minutes = match self {
            Self::Minutes(minutes) => minutes,
            Self::Fitting => {
                // A column should not stand for more than some four seconds.
                let most = if columns < 60 { 2 } else { 5 };
                let needed = |minutes: &u8| unit * u32::from(*minutes) >= elapsed;
                SPANS.into_iter().find(needed).unwrap_or(most).min(most)
            }
        };
        unit * u32::from(minutes)
    }

    fn next(self) -> Self {
        match self {
            Self::Fitting => Self::Minutes(SPANS[0]),
            Self::Minutes(now) => {
                SPANS.into_iter().find(|span| *span > now).map_or(Self::Fitting, Self::Minutes)
            }
        }
    }
}

/// What the screen remembers between two frames; nothing of the pool.
#[derive(Clone, Debug)]
pub struct Ui {
    /// With or without colour.
    pub palette: Palette,
    /// What lies over the screen.
    pub popup: Option<Popup>,
    /// Rows scrolled in it.
    pub scroll: u16,
    /// What the footer asks.
    pub question: Option<Question>,
    /// Slot of the selected worker.
    pub selected: u32,
    /// What is shown instead of the present, while frozen.
    pub frozen: Option<Box<View>>,
    /// Time across the charts.
    pub span: Zoom,
    /// A word to the user, until the next key.
    pub notice: Option<String>,
    /// How long no turn came, once that is longer than it should be.
    pub silent_for: Option<Duration>,
    /// How the recording stands; `None`: this is a running pool.
    pub playback: Option<Playback>,
}

impl Ui {
    /// A screen with or without colour.
    pub fn new(colour: bool) -> Self {
        Self {
            palette: Palette::new(colour),
            popup: None,
            scroll: 0,
            question: None,
            selected: 0,
            frozen: None,
            span: Zoom::default(),
            notice: None,
            silent_for: None,
            playback: None,
        }
    }

    /// The row of the selected worker: its slot's, or else the next one's.
    pub fn selected_row(&self, view: &View) -> Option<usize> {
        let workers = view.workers();
        let row = workers.iter().position(|worker| worker.id.slot >= self.selected);
        row.or_else(|| workers.len().checked_sub(1))
    }

    fn selected_worker(&self, view: &View) -> Option<WorkerId> {
        Some(view.workers()[self.selected_row(view)?].id)
    }

    fn select(&mut self, view: &View, step: isize, around: bool) {
        let count = view.workers().len();
        let Some(row) = self.selected_row(view) else { return };
        let row = match row.checked_add_signed(step).filter(|row| *row < count) {
            Some(row) => row,
            None if around => 0,
            None => row,
        };
        self.selected = view.workers()[row].id.slot;
    }

    fn toggle(&mut self, popup: Popup) {
        self.popup = if self.popup == Some(popup) { None } else { Some(popup) };
        self.scroll = 0;
    }
}

/// What a key does, seen what is shown.
pub fn key(ui: &mut Ui, view: &View, key: KeyEvent) -> Option<Action> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return (key.code == KeyCode::Char('c')).then_some(Action::Quit);
    }
    ui.notice = None;
    if let Some(question) = ui.question {
        return answer(ui, view, question, key.code);
    }
    if ui.popup.is_some() {
        match key.code {
            KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q') => ui.popup = None,
            KeyCode::Up => ui.scroll = ui.scroll.saturating_sub(1),
            KeyCode::Down => ui.scroll = ui.scroll.saturating_add(1).min(SCROLL_MAX),
            KeyCode::Char('?' | 'h') => ui.toggle(Popup::Help),
            KeyCode::Char('w') => ui.toggle(Popup::Why),
            KeyCode::Char('f') => ui.toggle(Popup::Forecast),
            _ => {}
        }
        return None;
    }
    if ui.playback.is_some() {
        return playing(ui, view, key.code);
    }
    plain(ui, view, key.code)
}

/// There is no pool to act on, but a recording to steer.
fn playing(ui: &mut Ui, view: &View, code: KeyCode) -> Option<Action> {
    match (transport(code), code) {
        (Some(order), _) => Some(Action::Play(order)),
        (None, KeyCode::Char('k' | 'd' | 'l')) => {
            ui.notice = Some("this is a recording: nothing in it can be changed".to_owned());
            None
        }
        _ => plain(ui, view, code),
    }
}

/// Rows that a popup scrolls at most; no reason is that long.
const SCROLL_MAX: u16 = 200;

fn plain(ui: &mut Ui, view: &View, code: KeyCode) -> Option<Action> {
    match code {
        KeyCode::Char('q') => return Some(Action::Quit),
        KeyCode::Char('+' | '=') => return Some(Action::Scale(1)),
        KeyCode::Char('-' | '_') => return Some(Action::Scale(-1)),
        KeyCode::Char('p') => return Some(pause_or_resume(view)),
        KeyCode::Char('k') => ask(ui, view, true),
        KeyCode::Char('d') => ask(ui, view, false),
        KeyCode::Char('l') if view.load().is_some() => return Some(Action::LoadStep),
        KeyCode::Char('l') => ui.notice = Some("there is no load of ours here".to_owned()),
        KeyCode::Char('?' | 'h') => ui.toggle(Popup::Help),
        KeyCode::Char('w') => ui.toggle(Popup::Why),
        KeyCode::Char('f') => ui.toggle(Popup::Forecast),
        KeyCode::Char('z') => ui.span = ui.span.next(),
        KeyCode::Char(' ') => {
            ui.frozen = if ui.frozen.is_some() { None } else { Some(Box::new(view.clone())) };
        }
        KeyCode::Up | KeyCode::BackTab => ui.select(view, -1, false),
        KeyCode::Down => ui.select(view, 1, false),
        KeyCode::Tab => ui.select(view, 1, true),
        _ => {}
    }
    None
}

fn pause_or_resume(view: &View) -> Action {
    let by_hand = view.steered();
    if by_hand { Action::Resume } else { Action::Pause }
}

fn ask(ui: &mut Ui, view: &View, kill: bool) {
    match ui.selected_worker(view) {
        Some(worker) => ui.question = Some(Question { kill, worker }),
        None => ui.notice = Some("there is no worker to choose".to_owned()),
    }
}

fn answer(ui: &mut Ui, view: &View, question: Question, code: KeyCode) -> Option<Action> {
    match code {
        KeyCode::Char('y' | 'Y') => {
            ui.question = None;
            let id = question.worker;
            if !view.workers().iter().any(|worker| worker.id == id) {
                ui.notice = Some(format!("{id} is gone already"));
                return None;
            }
            Some(if question.kill { Action::Kill(id.to_string()) } else { Action::Drain(id.to_string()) })
        }
        KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => {
            ui.question = None;
            None
        }
        _ => None,
    }
}
