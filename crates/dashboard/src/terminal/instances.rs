//! The chart of instances: what each worker-to-be was doing, stacked, over time.

use std::time::Duration;

use control::{FleetStatus, ShadowTurn};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::Ui;
use super::fit::{Piece, fit_with_gap};
use super::palette::{Palette, Tone};
use super::traffic::{Across, axis, plot, tick};
use crate::text;
use crate::view::View;

/// The layers from the bottom, each with its own texture: readable without colour.
const LAYERS: [(char, &str, Tone); 4] = [
    ('█', "ready", Tone::Good),
    ('▒', "starting", Tone::Pending),
    ('░', "draining", Tone::Leaving),
    ('╳', "failing", Tone::High),
];

pub(super) fn draw(frame: &mut Frame, area: Rect, view: &View, ui: &Ui, length: Duration) {
    frame.render_widget(title(view, ui.palette, area.width), Rect { height: 1, ..area });
    let Some((plot, across)) =
        plot(area).and_then(|plot| Some((plot, Across::ending_now(view, length, plot.width)?)))
    else {
        return;
    };
    let shadows = view.turns().flat_map(|turn| turn.shadows.iter().copied());
    let tallest = view.turns().filter_map(|turn| turn.fleet).map(total).chain(shadows).max().unwrap_or(0);
    let bound = view.in_force().map(|in_force| in_force.max).filter(|max| *max <= tallest.max(5) * 2);
    let top = tallest.max(bound.unwrap_or(1)).max(1);
    let rows = usable_rows(plot, top);
    ticks(frame, plot, rows, top, ui.palette);
    for (column, turn) in (0..).zip(across.columns(view, plot.width)) {
        let Some(fleet) = turn.and_then(|turn| turn.fleet) else { continue };
        for row in 0..rows {
            // The worker that the middle of this cell stands for.
            let middle = (f64::from(row) + 0.5) * f64::from(top) / f64::from(rows);
            if let Some((symbol, tone)) = layer(fleet, middle) {
                let mut text = [0; 4];
                let text = symbol.encode_utf8(&mut text);
                let style = ui.palette.style(tone);
                frame.buffer_mut().set_string(plot.x + column, plot.bottom() - 1 - row, text, style);
            }
        }
    }
    shadow_lines(frame, plot, view, across, (rows, top), ui.palette);
    axis(frame, plot, view, across, ui.palette);
}

/// Each policy that only watches is a line of its letter, at the height of the workers that it
/// would have. The lines take turns from column to column, so that none covers another.
fn shadow_lines(
    frame: &mut Frame,
    plot: Rect,
    view: &View,
    across: Across,
    (rows, top): (u16, u32),
    palette: Palette,
) {
    let letters = letters(view.shadows());
    if letters.is_empty() {
        return;
    }
    for (column, turn) in (0_u16..).zip(across.columns(view, plot.width)) {
        let Some(turn) = turn else { continue };
        let index = usize::from(column) % letters.len();
        let Some(desired) = turn.shadows.get(index) else { continue };
        let height = f64::from(*desired) * f64::from(rows) / f64::from(top);
        let Ok(row) = u16::try_from(text::rounded(height)) else { continue };
        let y = plot.bottom() - row.clamp(1, plot.height);
        let style = palette.style(Tone::Shadow);
        frame.buffer_mut().set_string(plot.x + column, y, letters[index].to_string(), style);
    }
}

/// One letter each: the first of its name that is still free.
fn letters(shadows: &[ShadowTurn]) -> Vec<char> {
    let mut taken = Vec::with_capacity(shadows.len());
    for shadow in shadows {
        let own = shadow.label.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase());
        let free = own.chain('a'..='z').find(|letter| !taken.contains(letter));
        taken.push(free.unwrap_or('?'));
    }
    taken
}

/// The heading explains the textures, first those that are on the chart.
fn title(view: &View, palette: Palette, width: u16) -> Line<'static> {
    let shown =
        |layer: usize| view.turns().filter_map(|turn| turn.fleet).any(|fleet| counts(fleet)[layer] > 0);
    let mut pieces = vec![Piece::new(0, vec![Span::styled("instances", palette.style(Tone::Figure))])];
    for (layer, (symbol, word, tone)) in LAYERS.into_iter().enumerate() {
        let rank = match (shown(layer), layer) {
            (true, 0) => 1,
            (true, _) => 2,
            (false, 3) => continue,
            (false, _) => 3,
        };
        let symbol = Span::styled(symbol.to_string(), palette.style(tone));
        pieces.push(Piece::new(
            rank,
            vec![symbol, Span::styled(format!(" {word}"), palette.style(Tone::Label))],
        ));
    }
    for (letter, shadow) in letters(view.shadows()).into_iter().zip(view.shadows()) {
        let symbol = Span::styled(letter.to_string(), palette.style(Tone::Shadow));
        let name = shadow.label.split(':').next().unwrap_or_default();
        let named = format!(" {name} {}", shadow.desired());
        pieces.push(Piece::new(1, vec![symbol, Span::styled(named, palette.style(Tone::Label))]));
    }
    fit_with_gap(pieces, width, 1)
}

/// Where all workers can have equally many rows, they do, and the rest stays empty.
fn usable_rows(plot: Rect, top: u32) -> u16 {
    match u16::try_from(top) {
        Ok(top) if top <= plot.height => plot.height / top * top,
        _ => plot.height,
    }
}

fn ticks(frame: &mut Frame, plot: Rect, rows: u16, top: u32, palette: Palette) {
    let style = palette.style(Tone::Label);
    for row in 0..plot.height {
        frame.buffer_mut().set_string(plot.x - 1, plot.y + row, "│", style);
    }
    // One label to a row at most, each at the top of the cells that it counts.
    let every = top.div_ceil(u32::from(rows)).max(1);
    for count in (1..=top).filter(|count| count % every == 0) {
        let filled = f64::from(count) * f64::from(rows) / f64::from(top);
        let Ok(filled) = u16::try_from(text::rounded(filled)) else { continue };
        tick(frame, plot, plot.height - filled.clamp(1, plot.height), &count.to_string(), style);
    }
}

fn total(fleet: FleetStatus) -> u32 {
    counts(fleet).iter().sum()
}

/// One count for each of [`LAYERS`].
fn counts(fleet: FleetStatus) -> [u32; 4] {
    [fleet.ready, fleet.starting, fleet.draining, fleet.unhealthy + fleet.backoff]
}

/// What the worker at this height was doing.
fn layer(fleet: FleetStatus, height: f64) -> Option<(char, Tone)> {
    let mut below = 0;
    for (count, (symbol, _, tone)) in counts(fleet).into_iter().zip(LAYERS) {
        below += count;
        if height < f64::from(below) {
            return Some((symbol, tone));
        }
    }
    None
}
