//! The head of the screen: what the pool is, what it does, and its figures.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::Ui;
use super::fit::{Piece, figure, fit};
use super::palette::{Palette, Tone};
use crate::text;
use crate::view::{Reaction, View};
use crate::why;

/// Rows that the head takes.
pub(super) const ROWS: u16 = 4;

pub(super) fn draw(frame: &mut Frame, area: Rect, view: &View, ui: &Ui) {
    let palette = ui.palette;
    frame.render_widget(title(view, ui, area.width), Rect { height: 1, ..area });
    frame.buffer_mut().set_style(Rect { height: 1, ..area }, palette.bar());
    let rows = [replicas(view, palette), traffic(view, palette), costs(view, palette)];
    for (row, pieces) in (1..).zip(rows) {
        let area = Rect { y: area.y + row, height: 1, x: area.x + 1, width: area.width.saturating_sub(1) };
        frame.render_widget(fit(pieces, area.width), area);
    }
}

/// Name, policy, who decides at the moment, load; the time of day stands at the right.
fn title(view: &View, ui: &Ui, width: u16) -> Line<'static> {
    let day = |now| ui.playback.and_then(|playback| playback.day(now));
    let clock = view.now().map_or(String::new(), |now| {
        let clock = text::clock(now, view.zone());
        day(now).map_or_else(|| clock.clone(), |day| format!("day {day} {clock}"))
    });
    let room = width.saturating_sub(u16::try_from(clock.len()).unwrap_or(0) + 2);
    let mut pieces = vec![Piece::new(0, vec![Span::raw(" autoscale")])];
    if let Some(last) = view.last() {
        pieces.push(Piece::new(2, vec![Span::raw(last.decision.in_force.policy.clone())]));
        if let Some(measured) = &last.decision.measured {
            pieces.push(Piece::new(4, vec![Span::raw(format!("on {}", measured.signal))]));
        }
    }
    pieces.push(Piece::new(1, vec![Span::raw(condition(view, ui))]));
    if let Some(load) = view.load() {
        pieces.push(Piece::new(3, vec![Span::raw(load.to_owned())]));
    }
    let mut line = fit(pieces, room);
    let pad = usize::from(width).saturating_sub(line.width() + clock.len() + 1);
    line.push_span(Span::raw(" ".repeat(pad)));
    line.push_span(Span::raw(clock));
    line
}

/// In capitals what keeps the screen or the pool from going on by itself.
fn condition(view: &View, ui: &Ui) -> String {
    if ui.frozen.is_some() {
        return "FROZEN (space goes on)".to_owned();
    }
    if let Some(playback) = &ui.playback {
        return playback.condition();
    }
    if let Some(silent) = ui.silent_for {
        return format!("NO NEWS for {}", text::left(silent));
    }
    if let Some((since, _)) = view.unanswered() {
        return format!("NO ANSWER since {}", text::clock(since, view.zone()));
    }
    let (Some(last), Some(now)) = (view.last(), view.now()) else {
        return "waiting for the first turn".to_owned();
    };
    let dry = matches!(last.applied, control::Applied::DryRun);
    match why::order_in_force(&last.decision, now) {
        Some(order) => order.to_uppercase().replace(" LEFT", " left").replace(" S ", " s "),
        None if dry => "DRY RUN".to_owned(),
        None => "automatic".to_owned(),
    }
}

/// CPU with the two lines, and the number of workers.
fn replicas(view: &View, palette: Palette) -> Vec<Piece> {
    let cpu = view.cpu_percent();
    let mut pieces = Vec::new();
    let measured = view.last().and_then(|last| last.decision.measured.as_ref());
    let lines = measured.map(|measured| (measured.up, measured.down)).unwrap_or_default();
    let tone = |value: Option<f64>| match (value, lines) {
        (Some(value), (Some(up), _)) if value > up => Tone::High,
        (Some(value), (_, Some(down))) if value < down => Tone::Good,
        _ => Tone::Figure,
    };
    let by_cpu = measured.is_none_or(|measured| measured.signal == "worker_cpu");
    let cpu_tone = if by_cpu { tone(cpu) } else { Tone::Figure };
    pieces.push(figure(palette, 0, "CPU", format!("{:>7}", text::percent(cpu)), cpu_tone));
    // Long units stand over the chart.
    let unit = measured.map_or("", |measured| &measured.unit);
    let unit = if unit.len() > 2 { "" } else { unit };
    if let Some(measured) = measured.filter(|_| !by_cpu) {
        let value = measured.value.map_or(text::UNKNOWN.to_owned(), |v| text::with_unit(v, unit));
        let signal = format!("{} {value}", measured.signal);
        pieces.push(figure(palette, 0, "", signal, tone(measured.value)));
    }
    let lines: Vec<_> = [("out >", lines.0), ("in <", lines.1)]
        .into_iter()
        .filter_map(|(word, line)| Some(format!("{word} {}", text::with_unit(line?, unit))))
        .collect();
    if !lines.is_empty() {
        pieces.push(figure(palette, 2, "", format!("({})", lines.join(", ")), Tone::Label));
    }
    let fleet = view.fleet();
    let workers = format!("{} ready / {} desired", fleet.ready, view.desired());
    pieces.push(figure(palette, 0, "workers", workers, Tone::Figure));
    for (number, word, tone) in [
        (fleet.starting, "starting", Tone::Pending),
        (fleet.unhealthy, "unhealthy", Tone::Bad),
        (fleet.backoff, "in backoff", Tone::Bad),
        (fleet.draining, "draining", Tone::Leaving),
    ] {
        if number > 0 {
            pieces.push(figure(palette, 1, "", format!("{number} {word}"), tone));
        }
    }
    if let Some(in_force) = view.in_force() {
        let bounds = format!("(min {}, max {})", in_force.min, in_force.max);
        pieces.push(figure(palette, 3, "", bounds, Tone::Label));
    }
    pieces
}

/// What requests do.
fn traffic(view: &View, palette: Palette) -> Vec<Piece> {
    let known = |value: Option<String>| value.unwrap_or_else(|| text::UNKNOWN.to_owned());
    let rpm = known(view.per_minute().map(|rate| text::count(text::rounded(rate))));
    let latency = view.latency().map_or_else(
        || "– / – / – ms".to_owned(),
        |latency| {
            let [p50, p95, p99] = [latency.p50, latency.p95, latency.p99].map(text::millis);
            format!("{p50} / {p95} / {p99} ms")
        },
    );
    let queued = view.queued();
    let failures = view.totals().failures;
    let bad = |wrong: bool| if wrong { Tone::Bad } else { Tone::Figure };
    let failed = if failures > 0 { format!("{} !", text::count(failures)) } else { "0".to_owned() };
    let mut pieces = vec![
        figure(palette, 0, "RPM", rpm, Tone::Figure),
        figure(palette, 1, "p50/p95/p99", latency, Tone::Figure),
        figure(palette, 2, "in flight", known(view.in_flight().map(|n| n.to_string())), Tone::Figure),
        figure(palette, 2, "queued", known(queued.map(|n| n.to_string())), bad(queued > Some(0))),
        figure(palette, 0, "failed", failed, bad(failures > 0)),
    ];
    if let Some(rate) = view.per_second() {
        pieces.insert(1, figure(palette, 3, "", format!("({rate:.1}/s)"), Tone::Label));
    }
    let ended = view.totals().completions;
    pieces.push(figure(palette, 5, "answered", text::count(ended), Tone::Figure));
    if let Some(host) = view.host_cpu_percent() {
        pieces.push(figure(palette, 5, "machine CPU", text::percent(Some(host)), Tone::Figure));
    }
    pieces
}

/// How fast the pool reacts and what it uses.
fn costs(view: &View, palette: Palette) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let last = view.last_scale_out();
    match last.and_then(|out| Some((out, out.reaction()?))) {
        None => {
            pieces.push(figure(palette, 0, "reaction", "no scale-out yet".to_owned(), Tone::Label));
        }
        Some((out, reaction)) => {
            let total = format!("{} s", text::seconds(reaction.total()));
            pieces.push(figure(palette, 0, "reaction", total, Tone::Figure));
            pieces.push(figure(palette, 2, "", parts(reaction), Tone::Label));
            pieces.push(figure(palette, 4, "", format!("in {} → {}", out.from, out.to), Tone::Label));
        }
    }
    let totals = view.totals();
    let used = text::count(text::rounded(totals.worker_seconds));
    pieces.push(figure(palette, 1, "worker-s", used, Tone::Figure));
    if let (Some(saved), Some(in_force)) = (totals.saved_percent(), view.in_force()) {
        let saved = format!("({saved:.0} % less than {} always)", in_force.max);
        pieces.push(figure(palette, 3, "", saved, Tone::Label));
    }
    pieces
}

fn parts(reaction: Reaction) -> String {
    let [detect, decide, start] = [reaction.detect, reaction.decide, reaction.start].map(text::seconds);
    let route = reaction.route.map_or("…".to_owned(), text::seconds);
    format!("(see {detect} decide {decide} start {start} route {route})")
}
