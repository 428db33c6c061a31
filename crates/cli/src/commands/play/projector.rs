//! Says when each turn is due, and does what the keys ask.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use clock::Clock;
use dashboard::View;
use dashboard::terminal::screen::Update;
use dashboard::terminal::{Playback, Transport};
use jiff::Timestamp;
use tokio::sync::mpsc::Sender;

use super::Show;
use super::tape::Tape;

/// How long it waits before it looks again: a frame of the screen.
const FRAME: Duration = Duration::from_millis(50);
/// Turns shown between two looks at the keys.
const AT_ONCE_MAX: usize = 512;
/// A jump is so many seconds of playing, as in players of films.
const JUMP: Duration = Duration::from_secs(5);
/// Nothing happened for longer than this in the recording: it is left out.
const LULL: Duration = Duration::from_secs(600);
/// Times of the latest turns, to step back to.
const STEPS_MAX: usize = 64;
/// The paces that there are.
const WARPS: std::ops::RangeInclusive<f64> = 0.125..=10_000_000.0;
/// Minutes of playing that charts look back on, as on the live screen.
const MINUTES: u32 = 10;

/// The screen has gone.
struct Gone;

/// Plays a tape.
pub(super) struct Projector {
    name: String,
    tape: Tape,
    clock: Clock,
    updates: Sender<Update>,
    state: Playback,
    /// When which time of the recording was due.
    anchor: (Duration, Timestamp),
    /// Times of the latest turns shown, the last one at the end.
    shown: VecDeque<Timestamp>,
}

impl Projector {
    pub(super) fn new(show: Show, clock: Clock, updates: Sender<Update>) -> Self {
        let state = Playback::new(show.warp.clamp(*WARPS.start(), *WARPS.end()));
        Self {
            name: show.name,
            tape: Tape::new(show.source),
            clock,
            updates,
            state,
            anchor: (Duration::ZERO, Timestamp::MIN),
            shown: VecDeque::new(),
        }
    }

    /// Plays until the screen or the keys are gone.
    pub(super) fn run(mut self, orders: &Receiver<Transport>) {
        // `Gone` is the usual end.
        let _ = self.play(orders);
    }

    fn play(&mut self, orders: &Receiver<Transport>) -> Result<(), Gone> {
        self.restart_at(None)?;
        loop {
            let wait = self.advance()?;
            match orders.recv_timeout(wait) {
                Ok(order) => self.obey(order, orders)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Shows what is due; how long nothing more will be.
    fn advance(&mut self) -> Result<Duration, Gone> {
        if self.state.paused {
            return Ok(FRAME);
        }
        for _ in 0..AT_ONCE_MAX {
            let due = self.due();
            let Some(next) = self.tape.ahead().map(control::Cycle::at) else {
                if !self.state.over {
                    self.state.over = true;
                    self.tell()?;
                }
                return Ok(FRAME);
            };
            let last = self.shown.back().copied().unwrap_or(next);
            if between(last, next) > LULL {
                self.anchor = (self.clock.uptime(), next);
            } else if next > due {
                let left = between(due, next).as_secs_f64() / self.state.warp;
                return Ok(Duration::try_from_secs_f64(left).unwrap_or(FRAME).min(FRAME));
            }
            self.show_next()?;
        }
        // The source is slower than asked: time goes on from where it is.
        self.anchor_here();
        Ok(Duration::ZERO)
    }

    /// The time of the recording that is due now.
    fn due(&self) -> Timestamp {
        let passed = self.clock.uptime().saturating_sub(self.anchor.0);
        let length = Duration::try_from_secs_f64(passed.as_secs_f64() * self.state.warp).unwrap_or_default();
        self.anchor.1.checked_add(length).unwrap_or(Timestamp::MAX)
    }

    fn anchor_here(&mut self) {
        if let Some(last) = self.shown.back() {
            self.anchor = (self.clock.uptime(), *last);
        }
    }

    fn show_next(&mut self) -> Result<(), Gone> {
        let Some(cycle) = self.tape.take() else { return Ok(()) };
        self.remember(cycle.at());
        self.send(Update::from(cycle))
    }

    fn remember(&mut self, at: Timestamp) {
        if self.shown.len() == STEPS_MAX {
            self.shown.pop_front();
        }
        self.shown.push_back(at);
    }

    fn obey(&mut self, order: Transport, orders: &Receiver<Transport>) -> Result<(), Gone> {
        let jump = Duration::try_from_secs_f64(JUMP.as_secs_f64() * self.state.warp).unwrap_or(JUMP);
        let last = self.shown.back().copied();
        match order {
            Transport::Toggle => self.state.paused = !self.state.paused && !self.state.over,
            Transport::Forward => {
                self.state.paused = true;
                self.show_next()?;
            }
            Transport::Back => {
                self.state.paused = true;
                return self.step_back(orders);
            }
            Transport::JumpOn => {
                let to = last.and_then(|last| last.checked_add(jump).ok());
                while to.zip(self.tape.ahead()).is_some_and(|(to, next)| next.at() <= to) {
                    self.show_next()?;
                }
            }
            Transport::JumpBack => return self.restart_at(last.and_then(|last| last.checked_sub(jump).ok())),
            Transport::Start => return self.restart_at(None),
            Transport::Faster | Transport::Slower => {
                let factor = if order == Transport::Faster { 2.0 } else { 0.5 };
                self.state.warp = (self.state.warp * factor).clamp(*WARPS.start(), *WARPS.end());
            }
        }
        self.anchor_here();
        self.tell()
    }

    /// One turn back, and one more for each further order to do so: going back is dear.
    fn step_back(&mut self, orders: &Receiver<Transport>) -> Result<(), Gone> {
        let mut steps = 1;
        let mut other = None;
        while steps < STEPS_MAX && other.is_none() {
            match orders.try_recv() {
                Ok(Transport::Back) => steps += 1,
                Ok(order) => other = Some(order),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        let place = self.shown.len().saturating_sub(steps + 1);
        let to = self.shown.get(place).copied();
        self.restart_at(to)?;
        other.map_or(Ok(()), |order| self.obey(order, orders))
    }

    /// Shows everything up to then anew; `None`: only the first turn.
    fn restart_at(&mut self, to: Option<Timestamp>) -> Result<(), Gone> {
        let mut view = View::default().looking_back(self.state.unit * MINUTES);
        view.set_load(Some(self.name.clone()));
        self.tape.rewind();
        self.shown.clear();
        self.state.over = false;
        self.state.begin = self.tape.ahead().map(control::Cycle::at);
        let to = to.or(self.state.begin).max(self.state.begin);
        while to.zip(self.tape.ahead()).is_some_and(|(to, next)| next.at() <= to) {
            let Some(cycle) = self.tape.take() else { break };
            self.remember(cycle.at());
            view.apply(&cycle);
        }
        self.anchor_here();
        self.send(Update::Anew(Box::new(view)))?;
        self.tell()
    }

    fn tell(&self) -> Result<(), Gone> {
        self.send(Update::Playback(self.state))
    }

    fn send(&self, update: Update) -> Result<(), Gone> {
        self.updates.blocking_send(update).map_err(|_| Gone)
    }
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::mpsc::sync_channel;

    use control::Cycle;
    use tokio::sync::mpsc::{Receiver as Updates, channel};

    /// A hundred turns, a minute apart.
    fn show(warp: f64) -> Show {
        let source = Arc::new(|show: &mut dyn FnMut(Cycle) -> std::ops::ControlFlow<()>| {
            for minute in 0..100 {
                let at = Timestamp::from_second(60 * minute).unwrap();
                if show(Cycle::Blind { at, because: String::new() }).is_break() {
                    return;
                }
            }
        });
        Show { name: "made up".to_owned(), source, warp }
    }

    /// What the screen would stand at after these orders, given while it was paused at the start.
    fn after(orders: &[Transport]) -> (i64, Playback) {
        let (updates, mut shown): (_, Updates<Update>) = channel(1_024);
        let mut projector = Projector::new(show(60.0), Clock::start(), updates);
        let (keys, ordered) = sync_channel(64);
        for order in orders {
            keys.send(*order).unwrap();
        }
        drop(keys);
        projector.state.paused = true;
        assert!(projector.restart_at(None).is_ok());
        while let Ok(order) = ordered.try_recv() {
            assert!(projector.obey(order, &ordered).is_ok());
        }
        let mut at = None;
        let mut state = None;
        while let Ok(update) = shown.try_recv() {
            match update {
                Update::Turn(cycle) => at = Some(cycle.at()),
                Update::Anew(view) => at = view.now(),
                Update::Playback(playback) => state = Some(playback),
                Update::Load(_) | Update::Notice(_) => {}
            }
        }
        (at.unwrap().as_second() / 60, state.unwrap())
    }

    #[test]
    fn keys_move_through_the_turns() {
        use Transport::{Back, Forward, JumpBack, JumpOn, Start};
        let rows: [(&[Transport], i64); 7] = [
            (&[], 0),
            (&[Forward, Forward, Forward], 3),
            (&[Forward, Forward, Forward, Back], 2),
            (&[Forward, Forward, Forward, Back, Back, Forward], 2),
            (&[Back], 0),
            // Five seconds at 60x are five minutes.
            (&[JumpOn, JumpOn, JumpBack], 5),
            (&[JumpOn, Start], 0),
        ];
        for (orders, minute) in rows {
            assert_eq!(after(orders).0, minute, "{orders:?}");
        }
    }

    #[test]
    fn pace_and_pause_are_told() {
        let (_, state) = after(&[Transport::Faster, Transport::Faster, Transport::Slower, Transport::Toggle]);
        assert!((state.warp - 120.0).abs() < 1e-9 && !state.paused);
        assert_eq!(state.unit, Duration::from_secs(3_600), "what a minute is stays as it began");
    }

    #[test]
    fn it_plays_to_the_end_by_itself() {
        let (updates, mut shown) = channel(1_024);
        let projector = Projector::new(show(6_000_000.0), Clock::start(), updates);
        let (keys, ordered) = sync_channel(1);
        let playing = std::thread::spawn(move || projector.run(&ordered));
        let mut last = None;
        while let Some(update) = shown.blocking_recv() {
            match update {
                Update::Turn(cycle) => last = Some(cycle.at().as_second()),
                Update::Playback(state) if state.over => break,
                _ => {}
            }
        }
        assert_eq!(last, Some(99 * 60));
        drop(keys);
        playing.join().unwrap();
    }
}
