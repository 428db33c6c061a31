//! Lines that lose their least important pieces first when there is no room for all.

use ratatui::text::{Line, Span};

use super::palette::{Palette, Tone};

/// Columns between two pieces that have nothing to do with each other.
pub(super) const GAP: usize = 2;

/// A piece of a line: shown whole or not at all.
pub(super) struct Piece {
    /// Less important pieces have larger ranks and go first.
    rank: u8,
    spans: Vec<Span<'static>>,
}

impl Piece {
    pub(super) fn new(rank: u8, spans: Vec<Span<'static>>) -> Self {
        Self { rank, spans }
    }

    fn width(&self) -> usize {
        self.spans.iter().map(Span::width).sum()
    }
}

/// A label and its figure.
pub(super) fn figure(palette: Palette, rank: u8, label: &'static str, figure: String, tone: Tone) -> Piece {
    let mut spans = vec![Span::styled(figure, palette.style(tone))];
    if !label.is_empty() {
        spans.insert(0, Span::styled(format!("{label} "), palette.style(Tone::Label)));
    }
    Piece::new(rank, spans)
}

/// As many pieces as fit into `width`, in their order, [`GAP`] between them.
pub(super) fn fit(pieces: Vec<Piece>, width: u16) -> Line<'static> {
    fit_with_gap(pieces, width, GAP)
}

/// As many pieces as fit into `width`, in their order.
pub(super) fn fit_with_gap(mut pieces: Vec<Piece>, width: u16, gap: usize) -> Line<'static> {
    let room = usize::from(width);
    while width_of(&pieces, gap) > room && pieces.len() > 1 {
        let least = pieces.iter().enumerate().max_by_key(|(_, piece)| piece.rank);
        let Some((place, _)) = least else { break };
        pieces.remove(place);
    }
    let mut spans = Vec::new();
    for piece in pieces {
        if !spans.is_empty() {
            spans.push(Span::raw(" ".repeat(gap)));
        }
        spans.extend(piece.spans);
    }
    Line::from(spans)
}

fn width_of(pieces: &[Piece], gap: usize) -> usize {
    pieces.iter().map(Piece::width).sum::<usize>() + gap * pieces.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(width: u16) -> String {
        let piece = |rank, text: &str| Piece::new(rank, vec![Span::raw(text.to_owned())]);
        fit(vec![piece(0, "cpu"), piece(2, "p50"), piece(1, "rpm"), piece(2, "p99")], width).to_string()
    }

    #[test]
    fn the_least_important_goes_first_and_the_most_important_stays() {
        assert_eq!(texts(80), "cpu  p50  rpm  p99");
        assert_eq!(texts(18), "cpu  p50  rpm  p99");
        assert_eq!(texts(17), "cpu  p50  rpm");
        assert_eq!(texts(12), "cpu  rpm");
        assert_eq!(texts(3), "cpu");
        assert_eq!(texts(1), "cpu");
    }
}
