//! Colours and emphasis, by meaning. Nothing is told by colour alone.

use control::State;
use ratatui::style::{Color, Modifier, Style};

use crate::view::Kind;

/// What a piece of the screen means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Says what the number beside it is.
    Label,
    /// The number itself.
    Figure,
    /// Well, or fewer.
    Good,
    /// Under way.
    Pending,
    /// On its way out.
    Leaving,
    /// More, or above the line.
    High,
    /// Wrong.
    Bad,
    /// A policy that only watches.
    Shadow,
    /// The CPU curve and other things that are neither good nor bad.
    Curve,
}

/// Turns meaning into style. The colours are those of Okabe and Ito, as near as the 256 colours
/// come: told apart with every kind of colour blindness, readable on black and on white.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    colour: bool,
}

impl Palette {
    /// With or without colour.
    pub fn new(colour: bool) -> Self {
        Self { colour }
    }

    /// The style of a tone.
    pub fn style(self, tone: Tone) -> Style {
        let (index, modifier) = match tone {
            Tone::Label => return Style::new().add_modifier(Modifier::DIM),
            Tone::Figure => return Style::new().add_modifier(Modifier::BOLD),
            Tone::Good => (36, Modifier::empty()),
            Tone::Pending => (172, Modifier::empty()),
            Tone::Leaving => (33, Modifier::empty()),
            Tone::High => (166, Modifier::BOLD),
            Tone::Bad => (166, Modifier::BOLD.union(Modifier::REVERSED)),
            Tone::Shadow => (175, Modifier::BOLD),
            Tone::Curve => (39, Modifier::empty()),
        };
        let style = Style::new().add_modifier(modifier);
        if self.colour { style.fg(Color::Indexed(index)) } else { style }
    }

    /// The colour of a tone, for what is painted in dots.
    pub fn paint(self, tone: Tone) -> Color {
        self.style(tone).fg.unwrap_or(Color::Reset)
    }

    /// A bar across the screen: reversed, so that it is one without colour too.
    pub fn bar(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

/// The tone of a worker's state.
pub fn of_state(state: State) -> Tone {
    match state {
        State::Ready => Tone::Good,
        State::Starting => Tone::Pending,
        State::Draining => Tone::Leaving,
        State::Unhealthy | State::Backoff => Tone::Bad,
    }
}

/// The tone of an event.
pub fn of_event(kind: Kind) -> Tone {
    match kind {
        Kind::Out => Tone::High,
        Kind::In => Tone::Good,
        Kind::Blocked => Tone::Pending,
        Kind::Order => Tone::Leaving,
        Kind::Lost | Kind::Refused | Kind::Blind => Tone::Bad,
    }
}
