//! The table of workers.

use control::{State, WorkerSeen};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::Ui;
use super::palette::{Palette, Tone, of_state};
use crate::text;
use crate::view::View;

/// Rows that the table never needs more of on a screen of this job.
const ROWS_MAX: usize = 12;

/// A column: its heading, its width, and what it shows of a worker.
struct Column {
    heading: &'static str,
    width: u16,
    right: bool,
    cell: fn(&Cell<'_>) -> Vec<Span<'static>>,
}

/// All that a cell may draw from.
struct Cell<'a> {
    worker: &'a WorkerSeen,
    view: &'a View,
    palette: Palette,
    width: u16,
}

/// Rows wanted, the heading included. As many as the pool may get, so that the screen does not
/// jump when it grows.
pub(super) fn rows(view: &View) -> u16 {
    let bound = view.in_force().map_or(1, |in_force| in_force.max.min(5));
    let rows = view.workers().len().max(usize::try_from(bound).unwrap_or(1)).min(ROWS_MAX);
    u16::try_from(rows + 1).unwrap_or(1)
}

pub(super) fn draw(frame: &mut Frame, area: Rect, view: &View, ui: &Ui) {
    let columns = columns(area.width, view);
    let widths: Vec<_> = columns.iter().map(|column| Constraint::Length(column.width)).collect();
    let row = |y: u16| {
        let area = Rect { y: area.y + y, height: 1, ..area };
        Layout::horizontal(widths.clone()).spacing(1).split(area)
    };
    for (column, area) in columns.iter().zip(row(0).iter()) {
        frame.render_widget(aligned(vec![Span::raw(column.heading)], column.right), *area);
    }
    frame.buffer_mut().set_style(Rect { height: 1, ..area }, ui.palette.bar());

    let workers = view.workers();
    let room = usize::from(area.height.saturating_sub(1));
    let selected = ui.selected_row(view);
    // With no room for all, the selected row stays in sight and the heading says so.
    let first = selected.map_or(0, |row| (row + 1).saturating_sub(room));
    for (y, (place, worker)) in (1..).zip(workers.iter().enumerate().skip(first).take(room)) {
        let chosen = selected == Some(place);
        for (index, (column, area)) in columns.iter().zip(row(y).iter()).enumerate() {
            let width = column.width;
            let mut spans = (column.cell)(&Cell { worker, view, palette: ui.palette, width });
            if index == 0 {
                spans.insert(0, Span::raw(if chosen { "▶" } else { " " }));
            }
            frame.render_widget(aligned(spans, column.right), *area);
        }
        if chosen {
            let area = Rect { y: area.y + y, height: 1, ..area };
            frame.buffer_mut().set_style(area, Style::new().bold());
        }
    }
    if workers.len() > room {
        let text = format!("URL {}–{} of {}", first + 1, first + room, workers.len());
        frame.render_widget(Span::styled(text, ui.palette.bar()), row(0)[1]);
    } else if workers.is_empty() {
        let text = "no workers yet";
        frame.render_widget(Span::styled(text, ui.palette.style(Tone::Label)), row(1)[1]);
    }
}

fn aligned(spans: Vec<Span<'static>>, right: bool) -> Line<'static> {
    let line = Line::from(spans);
    if right { line.right_aligned() } else { line }
}

/// At 80 columns everything; below, what matters least goes; above, room for the eye.
fn columns(width: u16, view: &View) -> Vec<Column> {
    let wide = width >= 110;
    let pick = |narrow: u16, roomy: u16| if wide { roomy } else { narrow };
    let slots = view.workers().iter().map(|worker| worker.id.slot).max().unwrap_or(1);
    // The mark, `w` and the digits; from ten workers on, the bar gives up a column.
    let id_width = 3 + u16::from(slots > 9) + u16::from(slots > 99);
    let column = |heading, width, right, cell| Column { heading, width, right, cell };
    let mut columns = vec![
        column(" ID", id_width.max(pick(0, 5)), false, id as fn(&Cell<'_>) -> Vec<Span<'static>>),
        column("URL", if width < 80 { 15 } else { pick(21, 26) }, false, url),
        column("PID", 7, true, pid),
        column("STATE", pick(9, 12), false, state),
        column("CPU", pick(12 - id_width, 22), false, cpu),
    ];
    if width >= 80 {
        columns.push(column(if wide { "MEMORY" } else { "MEM" }, pick(5, 8), true, memory));
    }
    columns.push(column(if wide { "IN FLIGHT" } else { "IN-FL" }, pick(5, 9), true, in_flight));
    columns.push(column("RPM", pick(5, 8), true, rpm));
    if width >= 80 {
        columns.push(column(if wide { "UPTIME" } else { "UP" }, pick(4, 7), true, uptime));
        columns.push(column(if wide { "RESTARTS" } else { "RST" }, pick(3, 8), true, restarts));
    }
    columns
}

fn id(cell: &Cell<'_>) -> Vec<Span<'static>> {
    vec![Span::raw(cell.worker.id.to_string())]
}

fn url(cell: &Cell<'_>) -> Vec<Span<'static>> {
    let width = usize::from(cell.width);
    let bare = cell.worker.address.as_ref().map_or(text::UNKNOWN.to_owned(), ToString::to_string);
    let full = format!("http://{bare}");
    // The address matters more than its scheme.
    let tcp = matches!(cell.worker.address, Some(traffic::Address::Tcp(_)));
    let url = if tcp && text::columns(&full) <= width { full } else { text::cut(&bare, width) };
    vec![Span::raw(url)]
}

fn pid(cell: &Cell<'_>) -> Vec<Span<'static>> {
    vec![Span::raw(cell.worker.pid.map_or(text::UNKNOWN.to_owned(), |pid| pid.to_string()))]
}

fn state(cell: &Cell<'_>) -> Vec<Span<'static>> {
    let state = cell.worker.state;
    let symbol = match state {
        State::Ready => "● ",
        State::Starting => "◌ ",
        State::Draining => "▽ ",
        State::Unhealthy => "! ",
        State::Backoff => "‖ ",
    };
    // Where there is no room for the symbol, the word does.
    let symbol = if cell.width > 10 { symbol } else { "" };
    vec![Span::styled(format!("{symbol}{state}"), cell.palette.style(of_state(state)))]
}

/// A bar of the worker's size and the number; above the line that scales out, both stand out.
fn cpu(cell: &Cell<'_>) -> Vec<Span<'static>> {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let columns = usize::from(cell.width.saturating_sub(5));
    let Some(percent) = cell.worker.cpu_percent else {
        return vec![Span::raw(format!("{:columns$}{:>5}", "", text::UNKNOWN))];
    };
    let up = cell.view.last().and_then(|last| {
        let measured = last.decision.measured.as_ref()?;
        measured.up.filter(|_| measured.signal == "worker_cpu")
    });
    let tone = if up.is_some_and(|up| percent > up) { Tone::High } else { Tone::Curve };
    let filled = percent.clamp(0.0, 100.0) / 100.0 * columns as f64 * 8.0;
    let filled = usize::try_from(text::rounded(filled)).unwrap_or(0);
    let bar = format!("{}{}", "█".repeat(filled / 8), EIGHTHS[filled % 8]);
    vec![
        Span::styled(format!("{bar:columns$}"), cell.palette.style(tone)),
        Span::raw(format!("{:>5}", format!("{}%", text::rounded(percent)))),
    ]
}

fn memory(cell: &Cell<'_>) -> Vec<Span<'static>> {
    vec![Span::raw(cell.worker.memory_bytes.map_or(text::UNKNOWN.to_owned(), text::bytes))]
}

fn in_flight(cell: &Cell<'_>) -> Vec<Span<'static>> {
    vec![Span::raw(text::narrow_count(u64::from(cell.worker.in_flight)))]
}

fn rpm(cell: &Cell<'_>) -> Vec<Span<'static>> {
    let rate = cell.view.worker_per_minute(cell.worker.id);
    vec![Span::raw(rate.map_or(text::UNKNOWN.to_owned(), |rate| text::narrow_count(text::rounded(rate))))]
}

fn uptime(cell: &Cell<'_>) -> Vec<Span<'static>> {
    let age = cell.view.now().map(|now| text::age(text::between(cell.worker.started_at, now)));
    vec![Span::raw(age.unwrap_or_default())]
}

fn restarts(cell: &Cell<'_>) -> Vec<Span<'static>> {
    let restarts = cell.worker.restarts;
    let tone = if restarts > 0 { Tone::High } else { Tone::Label };
    vec![Span::styled(text::narrow_count(u64::from(restarts)), cell.palette.style(tone))]
}
