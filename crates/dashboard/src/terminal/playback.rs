//! A recording or a simulation being played: where it stands, and the keys that steer it.

use std::time::Duration;

use crossterm::event::KeyCode;
use jiff::Timestamp;

/// What a key asks of the player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Stop where it is, or go on.
    Toggle,
    /// One turn on, then stop.
    Forward,
    /// One turn back, then stop.
    Back,
    /// A few seconds' worth of playing on.
    JumpOn,
    /// A few seconds' worth of playing back.
    JumpBack,
    /// To the first turn.
    Start,
    /// Twice as fast.
    Faster,
    /// Half as fast.
    Slower,
}

/// How a recording is being played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Playback {
    /// Recorded seconds that pass in a second.
    pub warp: f64,
    /// It stands still.
    pub paused: bool,
    /// There are no more turns.
    pub over: bool,
    /// When it begins.
    pub begin: Option<Timestamp>,
    /// What a minute is on the charts, so that at the first pace a minute of playing fills it.
    pub unit: Duration,
}

/// Lengths of a chart that a reader has names for, in seconds.
const UNITS_S: [u64; 7] = [60, 300, 900, 3_600, 21_600, 86_400, 604_800];

impl Playback {
    /// At this pace, from the beginning.
    pub fn new(warp: f64) -> Self {
        let wanted = UNITS_S.iter().find(|unit| **unit as f64 >= 60.0 * warp);
        let unit = Duration::from_secs(wanted.copied().unwrap_or(UNITS_S[UNITS_S.len() - 1]));
        Self { warp, paused: false, over: false, begin: None, unit }
    }

    /// How it stands, in a word and its pace.
    pub(super) fn condition(&self) -> String {
        if self.over {
            return "THE END".to_owned();
        }
        let pace = if self.warp >= 10.0 { self.warp.round() } else { (self.warp * 100.0).round() / 100.0 };
        let word = if self.paused { "PAUSED" } else { "PLAYING" };
        format!("{word} {pace}x")
    }

    /// Which day of the recording `at` lies in, counted from 1.
    pub(super) fn day(&self, at: Timestamp) -> Option<i64> {
        let begin = self.begin?;
        Some((at.as_second() - begin.as_second()).div_euclid(86_400) + 1)
    }

    /// What stands in the footer: rank, key, word.
    pub(super) fn keys(&self) -> [(u8, &'static str, &'static str); 11] {
        [
            (0, "q", "quit"),
            (1, "?", "help"),
            (0, "space", if self.paused { "go on" } else { "pause" }),
            (0, "→", "step"),
            (0, "←", "back"),
            (1, "[ ]", "rewind, on"),
            (2, "0", "start"),
            (1, "+ -", "pace"),
            (2, "w", "why"),
            (3, "z", "zoom"),
            (4, "↑ ↓", "select"),
        ]
    }
}

/// The order behind a key; `None` where the key means something else, or nothing.
pub(super) fn transport(code: KeyCode) -> Option<Transport> {
    Some(match code {
        KeyCode::Char(' ' | 'p') => Transport::Toggle,
        KeyCode::Right | KeyCode::Char('.') => Transport::Forward,
        KeyCode::Left | KeyCode::Char(',') => Transport::Back,
        KeyCode::Char(']') | KeyCode::PageDown => Transport::JumpOn,
        KeyCode::Char('[' | 'r') | KeyCode::PageUp => Transport::JumpBack,
        KeyCode::Char('0') | KeyCode::Home => Transport::Start,
        KeyCode::Char('+' | '=') => Transport::Faster,
        KeyCode::Char('-' | '_') => Transport::Slower,
        _ => return None,
    })
}
