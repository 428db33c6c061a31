//! The terminal screen: head, workers, charts, reasons, keys.
//!
//! [`draw`] and [`key`] are pure; [`screen`] owns the terminal.

mod decisions;
mod fit;
mod fleet;
mod footer;
mod instances;
mod keys;
pub mod palette;
mod playback;
mod pool;
mod popup;
pub mod screen;
mod traffic;

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

pub use keys::{Action, Question, Ui, Zoom, key};
pub use playback::{Playback, Transport};
pub use popup::Popup;

use crate::text;
use crate::view::View;

/// Below this nothing can be read: columns and rows.
pub const SMALLEST: (u16, u16) = (60, 15);

/// Rows that the two charts need to say anything.
const CHART_ROWS_MIN: u16 = 5;

/// Draws one frame. Shows the frozen view instead of `view` while there is one.
pub fn draw(frame: &mut Frame, view: &View, ui: &Ui) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        return too_small(frame, area);
    }
    let view = ui.frozen.as_deref().unwrap_or(view);
    let [head, table, charts, story, foot] = layout(area, view);
    pool::draw(frame, head, view, ui);
    fleet::draw(frame, table, view, ui);
    if charts.height > 0 {
        traffic::draw(frame, charts, view, ui);
    }
    if view.unanswered().is_some() || ui.silent_for.is_some() {
        // Old numbers must not look like new ones; the head says since when.
        let stale = Style::new().add_modifier(Modifier::DIM);
        for area in [Rect { y: head.y + 1, height: head.height - 1, ..head }, table, charts] {
            frame.buffer_mut().set_style(area, stale);
        }
    }
    decisions::draw(frame, story, view, ui);
    footer::draw(frame, foot, view, ui);
    popup::draw(frame, view, ui);
}

/// The table gets what it wants up to a third, the reasons at least what makes sense, the charts
/// the rest; where that is too little for charts, the reasons get it.
fn layout(area: Rect, view: &View) -> [Rect; 5] {
    let middle = area.height.saturating_sub(pool::ROWS + 1);
    let table = fleet::rows(view).min((middle / 3).max(6));
    let left = middle.saturating_sub(table);
    let story = if left < CHART_ROWS_MIN + decisions::ROWS_MIN + 2 {
        left
    } else {
        // 6 rows at 80×24, some more on a large screen.
        (6 + left.saturating_sub(13) / 4).min(left - CHART_ROWS_MIN).min(16)
    };
    Layout::vertical([
        Constraint::Length(pool::ROWS),
        Constraint::Length(table),
        Constraint::Length(left - story),
        Constraint::Length(story),
        Constraint::Length(1),
    ])
    .areas(area)
}

fn too_small(frame: &mut Frame, area: Rect) {
    let (columns, rows) = SMALLEST;
    let text =
        format!("{}×{} is too small: {columns}×{rows} or more, please (q quits)", area.width, area.height);
    let lines = text::columns(&text).div_ceil(usize::from(area.width.max(1)));
    let y = area.height.saturating_sub(u16::try_from(lines).unwrap_or(0)) / 2;
    let area = Rect { y: area.y + y, height: area.height.saturating_sub(y), ..area };
    let paragraph = Paragraph::new(Line::raw(text))
        .alignment(Alignment::Center)
        .wrap(ratatui::widgets::Wrap { trim: true });
    frame.render_widget(paragraph, area);
}
