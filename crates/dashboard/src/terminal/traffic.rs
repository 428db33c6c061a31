//! The two charts over one span of time: the policy's signal with its lines, and the number of
//! instances.

use std::time::Duration;

use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::Span;
use ratatui::widgets::canvas::{Canvas, Line as Stroke, Points};

use super::fit::{Piece, fit_with_gap};
use super::palette::{Palette, Tone};
use super::{Ui, instances};
use crate::text;
use crate::view::{Turn, View};

/// Below this many rows the two charts stand side by side.
const STACKED_ROWS: u16 = 14;

/// Columns left of a plot, for what its height means.
pub(super) const GUTTER: u16 = 9;

/// What charts are measured in.
const MINUTE: Duration = Duration::from_secs(60);

/// A gap between turns longer than this is shown as a gap, unless turns are that far apart.
const GAP: Duration = Duration::from_secs(20);

/// The span of time across a plot. Its right edge moves in whole columns, so that the picture
/// slides instead of shimmering.
#[derive(Clone, Copy, Debug)]
pub(super) struct Across {
    left: Timestamp,
    right: Timestamp,
    now: Timestamp,
}

pub(super) fn draw(frame: &mut Frame, area: Rect, view: &View, ui: &Ui) {
    let (first, second) = if area.height >= STACKED_ROWS {
        let [first, second] = Layout::vertical([Constraint::Fill(3), Constraint::Fill(2)]).areas(area);
        (first, second)
    } else {
        let [first, second] = Layout::horizontal([Constraint::Fill(1); 2]).spacing(1).areas(area);
        (first, second)
    };
    let minute = ui.playback.map_or(MINUTE, |playback| playback.unit);
    let length = ui.span.length(view.elapsed(), first.width, minute);
    signal(frame, first, view, ui, length);
    instances::draw(frame, second, view, ui, length);
}

impl Across {
    /// `length` that ends now, for a plot of so many columns; `None` before the first turn.
    pub(super) fn ending_now(view: &View, length: Duration, columns: u16) -> Option<Self> {
        let now = view.now()?;
        let column = length.as_millis() / u128::from(columns.max(1));
        let column = i64::try_from(column).unwrap_or(1).max(1);
        let edge = now.as_millisecond().div_euclid(column) * column + column;
        let right = Timestamp::from_millisecond(edge).unwrap_or(now);
        let left = right.checked_sub(length).unwrap_or(Timestamp::MIN);
        Some(Self { left, right, now })
    }

    /// Where `at` stands among so many places; `None` left of the plot.
    pub(super) fn place(&self, at: Timestamp, places: u16) -> Option<u16> {
        if at < self.left {
            return None;
        }
        let share =
            text::between(self.left, at).as_secs_f64() / text::between(self.left, self.right).as_secs_f64();
        let place = u16::try_from(text::rounded((share * f64::from(places)).floor())).ok()?;
        Some(place.min(places.saturating_sub(1)))
    }

    /// The turn in force at the end of each of so many columns; `None` where there was none.
    pub(super) fn columns<'a>(&self, view: &'a View, columns: u16) -> Vec<Option<&'a Turn>> {
        let mut turns = view.turns().peekable();
        let mut last: Option<&Turn> = None;
        let gap = gap(view);
        let width = text::between(self.left, self.right) / u32::from(columns.max(1));
        (1..=u32::from(columns))
            .map(|column| {
                let end = self.left.checked_add(width * column).unwrap_or(self.right).min(self.now);
                while let Some(turn) = turns.next_if(|turn| turn.at <= end) {
                    last = Some(turn);
                }
                last.filter(|turn| text::between(turn.at, end) <= gap.max(width))
            })
            .collect()
    }
}

/// Without turns for longer than this, nobody knows what was.
fn gap(view: &View) -> Duration {
    let mut latest = view.turns().rev().map(|turn| turn.at);
    let last = latest.next().zip(latest.next()).map(|(now, before)| text::between(before, now));
    GAP.max(last.unwrap_or_default() * 2)
}

/// A chart's heading and its plot with gutter and axis; `None` when there is no room.
pub(super) fn plot(area: Rect) -> Option<Rect> {
    let plot = Rect {
        x: area.x + GUTTER,
        y: area.y + 1,
        width: area.width.saturating_sub(GUTTER),
        height: area.height.saturating_sub(2),
    };
    (plot.width >= 8 && plot.height >= 2).then_some(plot)
}

/// The row below a plot: the axis with the scale markers on it.
pub(super) fn axis(frame: &mut Frame, plot: Rect, view: &View, span: Across, palette: Palette) {
    let buffer = frame.buffer_mut();
    let y = plot.bottom();
    buffer.set_string(plot.x - 1, y, "└", palette.style(Tone::Label));
    buffer.set_string(plot.x, y, "─".repeat(usize::from(plot.width)), palette.style(Tone::Label));
    for turn in view.turns().filter(|turn| turn.change != 0) {
        let Some(column) = span.place(turn.at, plot.width) else { continue };
        let (symbol, tone) = if turn.change > 0 { ("▲", Tone::High) } else { ("▼", Tone::Good) };
        buffer.set_string(plot.x + column, y, symbol, palette.style(tone));
    }
}

/// A label in the gutter with its tick.
pub(super) fn tick(frame: &mut Frame, plot: Rect, row: u16, label: &str, style: Style) {
    let text = format!("{:>1$} ", text::cut(label, usize::from(GUTTER) - 2), usize::from(GUTTER) - 2);
    let buffer = frame.buffer_mut();
    buffer.set_string(plot.x - GUTTER, plot.y + row, text, style);
    buffer.set_string(plot.x - 1, plot.y + row, "┤", style);
}

fn signal(frame: &mut Frame, area: Rect, view: &View, ui: &Ui, length: Duration) {
    let palette = ui.palette;
    let measured = view.last().and_then(|last| last.decision.measured.as_ref());
    let name = measured.map_or("signal".to_owned(), |measured| measured.signal.replace('_', " "));
    let unit = measured.map_or("", |measured| &measured.unit);
    let mut title = vec![
        Piece::new(0, vec![Span::styled(format!(" {name}"), palette.style(Tone::Figure))]),
        Piece::new(1, vec![Span::styled(format!("· last {}", span(length)), palette.style(Tone::Label))]),
    ];
    if !unit.is_empty() {
        title.insert(1, Piece::new(2, vec![Span::raw(format!("in {unit}"))]));
    }
    let title = fit_with_gap(title, area.width, 1);
    frame.render_widget(title, Rect { height: 1, ..area });
    let Some((plot, span)) =
        plot(area).and_then(|plot| Some((plot, Across::ending_now(view, length, plot.width)?)))
    else {
        return;
    };
    for row in 0..plot.height {
        frame.buffer_mut().set_string(plot.x - 1, plot.y + row, "│", palette.style(Tone::Label));
    }
    let lines = measured.map(|measured| (measured.up, measured.down)).unwrap_or_default();
    let top = ceiling(view, unit, lines.0);
    let rows = f64::from(plot.height);
    let row_of = |value: f64| {
        let row = text::rounded(((1.0 - value / top) * rows).floor());
        u16::try_from(row).unwrap_or(0).min(plot.height - 1)
    };
    tick(frame, plot, 0, &text::number(top), palette.style(Tone::Label));
    tick(frame, plot, plot.height - 1, "0", palette.style(Tone::Label));
    // The two lines say what they are for, also where the scale's ends would stand.
    let up_row = lines.0.map(row_of);
    if let (Some(up), Some(row)) = (lines.0, up_row) {
        tick(frame, plot, row, &format!("out>{}", text::number(up)), palette.style(Tone::High));
    }
    if let Some(down) = lines.1 {
        let row = row_of(down);
        let row = if up_row == Some(row) { (row + 1).min(plot.height - 1) } else { row };
        tick(frame, plot, row, &format!("in<{}", text::number(down)), palette.style(Tone::Good));
    }
    axis(frame, plot, view, span, palette);
    curve(frame, plot, view, span, top, lines, palette);
}

/// The curve in dots, two to a column and four to a row; the lines are dashed, so that they
/// differ from it without colour.
fn curve(
    frame: &mut Frame,
    plot: Rect,
    view: &View,
    span: Across,
    top: f64,
    lines: (Option<f64>, Option<f64>),
    palette: Palette,
) {
    let (dots_x, dots_y) = (plot.width * 2, plot.height * 4);
    let (last_x, last_y) = (f64::from(dots_x - 1), f64::from(dots_y - 1));
    let height = |value: f64| (value / top).clamp(0.0, 1.0) * last_y;
    let points: Vec<_> = view
        .turns()
        .filter_map(|turn| Some((turn.at, f64::from(span.place(turn.at, dots_x)?), turn.signal)))
        .collect();
    let band: Vec<_> = view
        .turns()
        .filter_map(|turn| turn.expected.filter(|expected| expected.at <= span.now))
        .filter_map(|one| Some((f64::from(span.place(one.at, dots_x)?), one.low, one.high)))
        .collect();
    let canvas =
        Canvas::default().marker(Marker::Braille).x_bounds([0.0, last_x]).y_bounds([0.0, last_y]).paint(
            |context| {
                for (line, tone) in [(lines.0, Tone::High), (lines.1, Tone::Good)] {
                    let Some(y) = line.map(height) else { continue };
                    for x in (0..dots_x).step_by(4).map(f64::from) {
                        let end = (x + 1.0).min(last_x);
                        context.draw(&Stroke::new(x, y, end, y, palette.paint(tone)));
                    }
                }
                // What was expected of each moment: dots at both ends, so that no colour is needed.
                for (x, low, high) in &band {
                    let coords = [(*x, height(*low)), (*x, height(*high))];
                    context.draw(&Points { coords: &coords, color: palette.paint(Tone::Pending) });
                }
                context.layer();
                let gap = gap(view);
                for pair in points.windows(2) {
                    let [(from, x1, before), (to, x2, after)] = pair else { continue };
                    let (Some(before), Some(after)) = (before, after) else { continue };
                    if text::between(*from, *to) <= gap {
                        let color = palette.paint(Tone::Curve);
                        context.draw(&Stroke::new(*x1, height(*before), *x2, height(*after), color));
                    }
                }
            },
        );
    frame.render_widget(canvas, plot);
}

/// The top of the scale: 100 for percentages unless exceeded, else somewhat above all there is.
fn ceiling(view: &View, unit: &str, up: Option<f64>) -> f64 {
    let highest = view.turns().filter_map(|turn| turn.signal).fold(up.unwrap_or(0.0), f64::max);
    if unit == "%" && highest <= 105.0 {
        return 100.0;
    }
    let magnitude = 10_f64.powf(highest.max(1.0).log10().floor());
    let steps = [1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0];
    steps.iter().map(|step| step * magnitude).find(|top| *top >= highest).unwrap_or(highest)
}

fn span(length: Duration) -> String {
    let minutes = length.as_secs() / 60;
    let (count, unit) = match minutes {
        whole if whole > 0 && whole % 1_440 == 0 => (whole / 1_440, "day"),
        whole if whole > 0 && whole % 60 == 0 => (whole / 60, "hour"),
        whole => (whole, "minute"),
    };
    if count == 1 { unit.to_owned() } else { format!("{count} {unit}s") }
}
