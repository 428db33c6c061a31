//! Learns anew beside the model at work, on a thread of its own, within a budget of time.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

use clock::Clock;
use forecast::{Budget, Forecaster, Sample, Series, Settings};
use jiff::Timestamp;

use crate::recipe::Recipe;

/// Steps that are kept to learn from: five hours of seconds, two weeks of minutes.
const KEPT_MAX: usize = 20_000;
/// Steps before the first lesson.
const FIRST_AT: usize = 60;
/// A new lesson after this many steps, at least and at most; between them, after half as many
/// again as were known.
const AGAIN_AFTER: (usize, usize) = (100, 1_200);
/// What a lesson may take; one that took longer has fewer rounds the next time.
const LESSON_TIME_MAX: Duration = Duration::from_secs(30);

type Lesson = Result<Box<dyn Forecaster>, String>;

/// What has been read, and the lesson under way.
pub(super) struct Learner {
    recipe: Recipe,
    settings: Settings,
    clock: Clock,
    start: Option<Timestamp>,
    values: VecDeque<f64>,
    known: usize,
    next_at: usize,
    under_way: Option<UnderWay>,
    iterations: u32,
    generation: u32,
    fault: Option<String>,
}

struct UnderWay {
    answer: Receiver<Lesson>,
    since: Duration,
    /// What was read meanwhile.
    missed: Vec<(Timestamp, Sample)>,
}

impl Learner {
    pub(super) fn new(recipe: Recipe, settings: Settings, clock: Clock) -> Self {
        let iterations = recipe.iterations;
        Self {
            recipe,
            settings,
            clock,
            start: None,
            values: VecDeque::new(),
            known: 0,
            next_at: FIRST_AT,
            under_way: None,
            iterations,
            generation: 0,
            fault: None,
        }
    }

    /// Keeps what is read, and begins no lesson before [`Self::wake`].
    pub(super) fn rest(&mut self) {
        self.next_at = usize::MAX;
    }

    /// Begins a lesson as soon as there is enough to learn from.
    pub(super) fn wake(&mut self) {
        self.next_at = FIRST_AT;
    }

    /// Steps read so far.
    pub(super) fn known(&self) -> usize {
        self.known
    }

    /// Lessons learnt so far.
    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    /// Why the last lesson gave nothing.
    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Keeps a step, and begins a lesson when it is time for one.
    pub(super) fn add(&mut self, slot: Timestamp, sample: &Sample) {
        let start = *self.start.get_or_insert(slot);
        let step = self.settings.step.as_nanos().max(1);
        let elapsed = u128::try_from(slot.duration_since(start).as_nanos()).unwrap_or(0);
        let index = usize::try_from(elapsed / step).unwrap_or(usize::MAX);
        if index.saturating_sub(self.values.len()) > KEPT_MAX {
            // After so long a silence what was before teaches nothing.
            self.values.clear();
            self.start = Some(slot);
        } else {
            while self.values.len() < index {
                self.values.push_back(f64::NAN);
            }
        }
        self.values.push_back(sample.target.unwrap_or(f64::NAN));
        if self.values.len() > KEPT_MAX {
            self.values.pop_front();
            self.start = self.start.and_then(|start| start.checked_add(self.settings.step).ok());
        }
        self.known += 1;
        if let Some(lesson) = &mut self.under_way
            && lesson.missed.len() < KEPT_MAX
        {
            lesson.missed.push((slot, sample.clone()));
        }
        if self.known >= self.next_at && self.under_way.is_none() {
            self.begin();
        }
    }

    fn begin(&mut self) {
        let (least, most) = AGAIN_AFTER;
        self.next_at = self.known + (self.known / 2).clamp(least, most);
        let Some(start) = self.start else { return };
        let values = self.values.iter().copied().collect();
        let Ok(series) = Series::new(start, self.settings.step, values) else { return };
        let (say, answer) = sync_channel(1);
        let (recipe, settings) = (self.recipe.clone(), self.settings.clone());
        let budget = Budget { iterations: self.iterations };
        let lesson = move || {
            let learnt = catch_unwind(AssertUnwindSafe(|| learn(&recipe, &settings, &series, budget)));
            // Nobody listens any more when the service has ended meanwhile.
            let _ = say.send(learnt.unwrap_or_else(|_| Err("the model panicked while learning".to_owned())));
        };
        let thread = std::thread::Builder::new().name("lesson".to_owned()).spawn(lesson);
        match thread {
            Ok(_) => {
                let since = self.clock.uptime();
                self.under_way = Some(UnderWay { answer, since, missed: Vec::new() });
            }
            Err(error) => self.fault = Some(format!("a thread to learn on: {error}")),
        }
    }

    /// A model that has learnt anew and knows all that was read meanwhile.
    pub(super) fn learnt(&mut self) -> Option<Box<dyn Forecaster>> {
        let lesson = match self.under_way.as_ref()?.answer.try_recv() {
            Ok(lesson) => lesson,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Err("the lesson ended without an answer".to_owned()),
        };
        let UnderWay { since, missed, .. } = self.under_way.take()?;
        self.budget(self.clock.uptime().saturating_sub(since));
        match lesson {
            Ok(mut model) => {
                let caught_up = catch_unwind(AssertUnwindSafe(|| {
                    for (slot, sample) in &missed {
                        model.update(*slot, sample);
                    }
                }));
                self.generation += 1;
                self.fault = caught_up.is_err().then(|| "the model panicked in update".to_owned());
                caught_up.is_ok().then_some(model)
            }
            Err(fault) => {
                self.fault = Some(fault);
                None
            }
        }
    }

    /// Fewer rounds after a lesson that took too long.
    fn budget(&mut self, took: Duration) {
        if took > LESSON_TIME_MAX {
            let share = LESSON_TIME_MAX.as_secs_f64() / took.as_secs_f64();
            self.iterations = forecast_rounds(f64::from(self.iterations) * share);
        }
    }
}

/// A number of rounds, at least one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a u32, cut at 1")]
fn forecast_rounds(rounds: f64) -> u32 {
    rounds.max(1.0) as u32
}

fn learn(recipe: &Recipe, settings: &Settings, series: &Series, budget: Budget) -> Lesson {
    let mut model = (recipe.entry().map_err(|error| error.to_string())?.build)(settings);
    model.fit(series, budget).map_err(|error| error.to_string())?;
    Ok(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lesson_that_took_too_long_has_fewer_rounds_the_next_time() {
        let recipe = Recipe::of("autoregressive");
        let settings = recipe.settings(Duration::from_secs(1)).unwrap();
        let mut learner = Learner::new(recipe, settings, Clock::start());
        learner.budget(LESSON_TIME_MAX / 2);
        assert_eq!(learner.iterations, 200);
        learner.budget(LESSON_TIME_MAX * 4);
        assert_eq!(learner.iterations, 50);
        learner.budget(LESSON_TIME_MAX * 1_000);
        assert_eq!(learner.iterations, 1, "never none");
    }
}
