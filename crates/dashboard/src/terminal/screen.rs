//! Owns the terminal: takes it, draws on it, listens to its keys, and gives it back however the
//! program ends.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::pin::pin;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clock::Clock;
use control::Cycle;
use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyModifiers};
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute};
use futures_util::{Stream, StreamExt};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use rustix::process::{Signal, kill_current_process_group};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};

use super::{Action, Playback, Ui, draw, key};
use crate::view::View;

/// Time between two frames at least: ten a second are smooth, and more would cost CPU that is
/// being measured.
const FRAME: Duration = Duration::from_millis(100);

/// After so long without a turn the screen says so: several turns of every sensible interval.
const SILENT_AFTER: Duration = Duration::from_secs(5);

/// How often silence is looked for.
const SILENCE_CHECK: Duration = Duration::from_secs(1);

/// How long a stop signal may take to arrive. A process without a shell to return to cannot be
/// stopped; it goes on after this.
const STOP_ARRIVES_WITHIN: Duration = Duration::from_millis(300);

/// Whether the terminal is ours: read by the panic hook, which has no screen at hand.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Why there is no screen, or no more.
#[derive(Debug, thiserror::Error)]
pub enum ScreenError {
    /// Standard output is a file or a pipe.
    #[error("standard output is not a terminal")]
    NotATerminal,
    /// The terminal refused, or is gone.
    #[error("{doing}: {cause}")]
    Terminal {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        #[source]
        cause: io::Error,
    },
}

fn failed(doing: &'static str) -> impl FnOnce(io::Error) -> ScreenError {
    move |cause| ScreenError::Terminal { doing, cause }
}

/// Why a screen came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The user asked to leave.
    Quit,
    /// There are no more turns to show.
    NoMoreTurns,
}

/// What reaches a screen.
#[derive(Clone, Debug)]
pub enum Update {
    /// One turn of the loop.
    Turn(Box<Cycle>),
    /// What the load generator does now; see [`View::set_load`].
    Load(Option<String>),
    /// A word to the user, as in why an action was refused.
    Notice(String),
    /// Everything anew: the player went back.
    Anew(Box<View>),
    /// How the player stands.
    Playback(Playback),
}

impl From<Cycle> for Update {
    fn from(cycle: Cycle) -> Self {
        Self::Turn(Box::new(cycle))
    }
}

/// The terminal, taken. Given back when dropped, and by a panic of any thread.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
}

impl Screen {
    /// Takes the terminal: raw mode, second screen, no cursor.
    pub fn enter() -> Result<Self, ScreenError> {
        if !io::stdout().is_terminal() {
            return Err(ScreenError::NotATerminal);
        }
        restore_on_panic();
        take()?;
        match terminal() {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// Draws one frame.
    pub fn draw(&mut self, view: &View, ui: &Ui) -> Result<(), ScreenError> {
        if !TAKEN.load(Ordering::SeqCst) {
            // Another thread panicked and the program lives on: its message stands on the first
            // screen, to be read afterwards.
            self.take_again()?;
        }
        self.terminal.draw(|frame| draw(frame, view, ui)).map_err(failed("cannot draw on the terminal"))?;
        Ok(())
    }

    /// Takes the terminal again after it was given back, and forgets what was on it.
    fn take_again(&mut self) -> Result<(), ScreenError> {
        take()?;
        self.terminal = terminal()?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn terminal() -> Result<Terminal<CrosstermBackend<BufWriter<Stdout>>>, ScreenError> {
    let backend = CrosstermBackend::new(BufWriter::new(io::stdout()));
    Terminal::new(backend).map_err(failed("cannot measure the terminal"))
}

fn take() -> Result<(), ScreenError> {
    TAKEN.store(true, Ordering::SeqCst);
    let taken = enable_raw_mode()
        .and_then(|()| execute!(io::stdout(), EnterAlternateScreen, Clear(ClearType::All), cursor::Hide));
    taken.map_err(|cause| {
        give_back();
        ScreenError::Terminal { doing: "cannot take the terminal", cause }
    })
}

/// Harmless when it is not ours. Errors have nowhere to go: the terminal may be gone.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let mut out = io::stdout();
        let _ = execute!(out, LeaveAlternateScreen, cursor::Show);
        let _ = disable_raw_mode();
        let _ = out.flush();
    }
}

/// The message of a panic must be readable, and the shell usable afterwards.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
    });
}

/// Shows `view` as `updates` change it, until the user leaves or the updates end. Actions go to
/// `act`, which must not wait. `view` stays with the caller, who may sum up from it afterwards.
pub async fn run<U: Into<Update>>(
    screen: &mut Screen,
    clock: Clock,
    view: &mut View,
    updates: impl Stream<Item = U>,
    mut act: impl FnMut(Action),
) -> Result<End, ScreenError> {
    let mut updates = pin!(updates);
    let mut events = EventStream::new();
    let mut continued = continued()?;
    let mut ui = Ui::new(colour());
    let mut heard_at = clock.uptime();
    let mut drawn_at = None;
    let mut changed = true;
    loop {
        let next_frame = drawn_at.map_or(Duration::ZERO, |at: Duration| at + FRAME);
        let wait = if changed { next_frame.saturating_sub(clock.uptime()) } else { SILENCE_CHECK };
        tokio::select! {
            update = updates.next() => {
                let Some(update) = update else { return Ok(End::NoMoreTurns) };
                heard_at = clock.uptime();
                take_in(update.into(), view, &mut ui);
                changed = true;
            }
            event = events.next() => {
                changed = true;
                match event {
                    Some(Ok(Event::Key(pressed))) if suspends(pressed) => {
                        suspend(screen, clock, &mut continued).await?;
                    }
                    Some(Ok(Event::Key(pressed))) => match key(&mut ui, view, pressed) {
                        Some(Action::Quit) => return Ok(End::Quit),
                        Some(action) => act(action),
                        None => {}
                    },
                    Some(Ok(_)) => {}
                    Some(Err(cause)) => return Err(failed("cannot read keys")(cause)),
                    None => return Ok(End::Quit),
                }
            }
            // Stopped and continued by somebody else: whatever was on the screen since is not ours.
            _ = continued.recv() => {
                screen.take_again()?;
                changed = true;
            }
            () = clock.sleep(wait) => {}
        }
        // A player that is paused has nothing to say.
        let live = ui.playback.is_none();
        let silent = Some(clock.uptime().saturating_sub(heard_at));
        let silent = silent.filter(|silent| live && *silent >= SILENT_AFTER);
        changed |= silent != ui.silent_for;
        ui.silent_for = silent;
        if changed && clock.uptime() >= next_frame {
            screen.draw(view, &ui)?;
            drawn_at = Some(clock.uptime());
            changed = false;
        }
    }
}

fn take_in(update: Update, view: &mut View, ui: &mut Ui) {
    match update {
        Update::Turn(cycle) => view.apply(&cycle),
        Update::Load(load) => view.set_load(load),
        Update::Notice(notice) => ui.notice = Some(notice),
        Update::Anew(shown) => *view = *shown,
        Update::Playback(playback) => ui.playback = Some(playback),
    }
}

/// Colour, unless `NO_COLOR` is set to anything (no-color.org).
pub fn colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn suspends(pressed: KeyEvent) -> bool {
    pressed.code == KeyCode::Char('z') && pressed.modifiers.contains(KeyModifiers::CONTROL)
}

fn continued() -> Result<Signals, ScreenError> {
    let kind = SignalKind::from_raw(Signal::CONT.as_raw());
    signal(kind).map_err(failed("cannot listen for SIGCONT"))
}

/// Gives the terminal back, stops the whole job (also what started us, such as cargo), and takes
/// the terminal again when it goes on.
async fn suspend(screen: &mut Screen, clock: Clock, continued: &mut Signals) -> Result<(), ScreenError> {
    give_back();
    kill_current_process_group(Signal::TSTP)
        .map_err(|errno| failed("cannot stop for the shell")(errno.into()))?;
    // The signal takes effect a moment after the call; drawing before would spoil the shell.
    let _ = clock.timeout(STOP_ARRIVES_WITHIN, continued.recv()).await;
    screen.take_again()
}
