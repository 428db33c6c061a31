//! Why: the present turn with its countdowns, and what happened last, newest first.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::Ui;
use super::palette::{Tone, of_event};
use crate::view::{Event, View};
use crate::{foresight, text, why};

/// Rows below which the story is not worth its heading: heading, now, what holds, one event.
pub(super) const ROWS_MIN: u16 = 4;

pub(super) fn draw(frame: &mut Frame, area: Rect, view: &View, ui: &Ui) {
    let width = usize::from(area.width);
    let mut lines = vec![heading(ui, width)];
    lines.extend(now(view, ui, width));
    lines.extend(expected(view, ui, width));
    let room = usize::from(area.height).saturating_sub(lines.len());
    lines.extend(view.events().take(room).map(|event| told(event, view, ui, width)));
    for (row, line) in (0..area.height).zip(lines) {
        frame.render_widget(line, Rect { y: area.y + row, height: 1, ..area });
    }
}

fn heading(ui: &Ui, width: usize) -> Line<'static> {
    let label = ui.palette.style(Tone::Label);
    let text = " why ";
    let rule = "─".repeat(width.saturating_sub(text.len() + 1));
    Line::from(vec![
        Span::styled("─", label),
        Span::styled(text, ui.palette.style(Tone::Figure)),
        Span::styled(rule, label),
    ])
}

/// Two lines, always: what this turn does, and what holds it or would change it.
fn now(view: &View, ui: &Ui, width: usize) -> [Line<'static>; 2] {
    let (Some(asked), Some(now)) = (view.asked(), view.now()) else {
        return [Line::raw(" now      nothing decided yet"), Line::raw("")];
    };
    let label = ui.palette.style(Tone::Label);
    let line = |head: &'static str, content: String, tone: Tone| {
        let content = text::cut(&content, width.saturating_sub(10));
        Line::from(vec![Span::styled(head, label), Span::styled(content, ui.palette.style(tone))])
    };
    if let Some((_, because)) = view.unanswered() {
        let content = format!("nothing decided, the pool does not answer: {because}");
        return [line(" now      ", content, Tone::Bad), Line::raw("")];
    }
    let hold = why::hold(asked, now);
    [line(" now      ", why::now(asked), Tone::Figure), line("          ", hold, Tone::Pending)]
}

/// What a policy that plans expects, where one does.
fn expected(view: &View, ui: &Ui, width: usize) -> Option<Line<'static>> {
    let content = text::cut(&foresight::line(view.foresight()?), width.saturating_sub(10));
    let head = Span::styled(" ahead    ", ui.palette.style(Tone::Label));
    Some(Line::from(vec![head, Span::styled(content, ui.palette.style(Tone::Figure))]))
}

fn told(event: &Event, view: &View, ui: &Ui, width: usize) -> Line<'static> {
    let clock = text::clock(event.at, view.zone());
    let what = format!("{} {}", event.kind.symbol(), event.what);
    let left = width.saturating_sub(clock.len() + 2);
    let what = text::cut(&what, left);
    let left = left.saturating_sub(text::columns(&what));
    let why = if event.why.is_empty() { String::new() } else { text::cut(&format!("  {}", event.why), left) };
    Line::from(vec![
        Span::styled(format!(" {clock} "), ui.palette.style(Tone::Label)),
        Span::styled(what, ui.palette.style(of_event(event.kind))),
        Span::raw(why),
    ])
}
