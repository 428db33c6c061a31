//! The last row: keys, or a question, or a word to the user.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::fit::{Piece, fit};
use super::palette::Tone;
use super::{Question, Ui};
use crate::text;
use crate::view::View;

pub(super) fn draw(frame: &mut Frame, area: Rect, view: &View, ui: &Ui) {
    let line = match (&ui.question, &ui.notice) {
        (Some(question), _) => Line::styled(asked(*question, view, area.width), ui.palette.style(Tone::High)),
        (None, Some(notice)) => Line::styled(
            format!(" {}", text::cut(notice, usize::from(area.width.saturating_sub(1)))),
            ui.palette.style(Tone::High),
        ),
        (None, None) => keys(view, ui, area.width),
    };
    frame.render_widget(line, area);
}

fn asked(question: Question, view: &View, width: u16) -> String {
    let worker = view.workers().iter().find(|worker| worker.id == question.worker);
    let pid = worker.and_then(|worker| worker.pid).map_or(String::new(), |pid| format!(" (PID {pid})"));
    let id = question.worker;
    let text = if question.kill {
        format!(" Kill {id}{pid} now, as a crash would?  y yes  n no")
    } else {
        format!(" Drain {id}{pid}: finish its requests, then stop it?  y yes  n no")
    };
    text::cut(&text, usize::from(width))
}

fn keys(view: &View, ui: &Ui, width: u16) -> Line<'static> {
    if let Some(playback) = &ui.playback {
        return bar(&playback.keys(), ui, width);
    }
    let by_hand = view.steered();
    let entries = [
        (0, "q", "quit"),
        (0, "?", "help"),
        (1, "+ -", "scale"),
        (1, "p", if by_hand { "resume" } else { "pause" }),
        (2, "k", "kill"),
        (2, "d", "drain"),
        (if view.load().is_some() { 1 } else { 9 }, "l", "load"),
        (1, "w", "why"),
        (if view.foresight().is_some() { 1 } else { 9 }, "f", "forecast"),
        (3, "↑ ↓", "select"),
        (3, "space", if ui.frozen.is_some() { "go on" } else { "freeze" }),
        (4, "z", "zoom"),
    ];
    bar(&entries, ui, width)
}

fn bar(entries: &[(u8, &'static str, &'static str)], ui: &Ui, width: u16) -> Line<'static> {
    let shown = entries.iter().filter(|(rank, ..)| *rank < 9);
    let pieces = shown.map(|(rank, key, word)| {
        let key = Span::styled(*key, ui.palette.bar());
        Piece::new(*rank, vec![key, Span::raw(format!(" {word}"))])
    });
    let mut line = fit(pieces.collect(), width.saturating_sub(1));
    line.spans.insert(0, Span::raw(" "));
    line
}
