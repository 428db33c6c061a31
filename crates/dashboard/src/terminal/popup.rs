//! What opens over the screen: help, the whole reason, and the forecast with its models.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, BorderType, Clear, Padding, Paragraph};

use super::Ui;
use super::palette::Tone;
use crate::view::View;
use crate::{foresight, text, why};

/// Which one is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Popup {
    /// Keys and words.
    Help,
    /// The trail of the last decision.
    Why,
    /// What is expected, what is planned, and how good each model was.
    Forecast,
}

/// Keys, then words. Short enough for 80×24.
const HELP: &str = "\
q, Ctrl-C  quit              + -    one worker more, one fewer
? or h     this help         p      pause scaling, or resume it
w          why this number   k      kill the selected worker (y/n)
↑ ↓ Tab    select a worker   d      drain the selected worker (y/n)
space, z   freeze, time span l      next load step, if there is a load
f          forecast, models  Ctrl-Z suspend

desired    how many workers there should be: the decision
ready      passed its probe, gets requests; starting: not yet
draining   gets no new requests, finishes those it has, then stops
backoff    crashed repeatedly, waits before the next try
CPU        of a worker's own size: 100 % is all that it may use
out > in < more workers above the one line, fewer below the other
RPM        requests per minute, over the last 10 s
p50 p95    half, 95 % of the requests took at most so many ms
reaction   from the demand to the new worker's first request
worker-s   seconds that each worker existed, summed
queued     requests that wait because no worker is ready
held, paused  by hand; the time left counts down";

/// The same for a recording.
const PLAYBACK_HELP: &str = "\
q, Ctrl-C  quit              space  pause, or go on
? or h     this help         → ←    one turn on, one back
w          why this number   ] [    some seconds' worth on, back
↑ ↓ Tab    select a worker   0      back to the start
z          time span         + -    twice as fast, half as fast

Time is the recording's: 1440x shows a day in a minute. Nothing in it
can be changed; rewinding shows the same turns again.

desired    how many workers there should be: the decision
ready      passed its probe, gets requests; starting: not yet
draining   gets no new requests, finishes those it has, then stops
CPU        of a worker's own size: 100 % is all that it may use
out > in < more workers above the one line, fewer below the other
RPM        requests per minute, over the last turn or 10 s
reaction   from the demand to the new worker's first request
worker-s   seconds that each worker existed, summed";

/// Columns of text in a popup at most; longer lines are hard to read.
const COLUMNS_MAX: u16 = 100;

pub(super) fn draw(frame: &mut Frame, view: &View, ui: &Ui) {
    let Some(popup) = ui.popup else { return };
    let (title, content) = match popup {
        Popup::Help if ui.playback.is_some() => (" help ", PLAYBACK_HELP.to_owned()),
        Popup::Help => (" help ", HELP.to_owned()),
        Popup::Why => (" why ", whole_reason(view)),
        Popup::Forecast => (" forecast ", whole_forecast(view)),
    };
    let screen = frame.area();
    let widest = content.lines().map(text::columns).max().unwrap_or(0);
    let width = u16::try_from(widest + 4).unwrap_or(u16::MAX).clamp(40, COLUMNS_MAX).min(screen.width);
    let inner = usize::from(width.saturating_sub(4)).max(1);
    let lines: Vec<_> = content.lines().flat_map(|line| text::wrapped(line, inner, why::INDENT)).collect();
    let rows = lines.len();
    let height = u16::try_from(rows + 2).unwrap_or(u16::MAX).min(screen.height);
    let area = Rect { x: (screen.width - width) / 2, y: (screen.height - height) / 2, width, height };
    let hidden = rows.saturating_sub(usize::from(height.saturating_sub(2)));
    let scroll = ui.scroll.min(u16::try_from(hidden).unwrap_or(0));
    let keys = if hidden > 0 { " ↑ ↓ scroll, Esc closes " } else { " Esc closes " };
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .padding(Padding::horizontal(1))
        .title(title)
        .title_style(ui.palette.style(Tone::Figure))
        .title_bottom(keys);
    let lines: Vec<_> = lines.into_iter().map(Line::raw).collect();
    let paragraph = Paragraph::new(Text::from(lines)).block(block).scroll((scroll, 0));
    frame.render_widget(Clear, area);
    frame.render_widget(paragraph, area);
}

fn whole_forecast(view: &View) -> String {
    match view.foresight() {
        Some(seen) => foresight::board(seen),
        None => "this policy does not plan: `--policy predictive` does".to_owned(),
    }
}

fn whole_reason(view: &View) -> String {
    let Some(last) = view.last() else { return "nothing decided yet".to_owned() };
    let cycle = control::Cycle::Decided {
        seen: last.seen.clone(),
        decision: last.decision.clone(),
        applied: last.applied.clone(),
        ledger: None,
    };
    why::text(&cycle, view.zone())
}
