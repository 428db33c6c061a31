//! What comes first, of things each of which has a place: a tournament, in which a thing that comes
//! at another time is moved, so that nothing outdated is ever in it.

use std::hint::select_unpredictable;

/// Never.
pub(super) const NEVER: u64 = u64::MAX;

/// How many meet in a match. With fewer there are more rounds, each of which waits for the one
/// before.
const FAN: usize = 8;

/// When a place's thing comes.
#[derive(Clone, Copy, Debug)]
struct Entry {
    at: u64,
    place: usize,
}

/// Those who meet, in order of place.
type Group = [Entry; FAN];

const NOBODY: Group = [Entry { at: NEVER, place: 0 }; FAN];

/// One time a place, with the earliest at hand.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// All places; then each group's first; at last a single group.
    rounds: Vec<Vec<Group>>,
    first: Entry,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { rounds: vec![vec![NOBODY]], first: NOBODY[0] }
    }
}

impl Schedule {
    /// Sets the time of a place.
    #[inline]
    pub(super) fn set(&mut self, place: usize, at: u64) {
        if place / FAN >= self.rounds[0].len() {
            self.grow(place);
        }
        let (mut entry, mut index) = (Entry { at, place }, place);
        // To the last round in any case: to guess where it could stop costs more than to go on.
        for round in &mut self.rounds {
            let group = &mut round[index / FAN];
            // The others first: what they come to does not wait for this entry.
            group[index % FAN].at = NEVER;
            let others = first_of(group);
            group[index % FAN] = entry;
            entry = earlier(entry, others, entry.place < others.place);
            index /= FAN;
        }
        self.first = entry;
    }

    /// The same for a place whose time is no later than it was, as where it was never: it meets only
    /// those who were first.
    #[inline]
    pub(super) fn advance(&mut self, place: usize, at: u64) {
        if place / FAN >= self.rounds[0].len() {
            self.grow(place);
        }
        let (mut entry, mut index) = (Entry { at, place }, place);
        for round in &mut self.rounds {
            let first = &mut round[index / FAN][index % FAN];
            entry = earlier(entry, *first, entry.place <= first.place);
            *first = entry;
            index /= FAN;
        }
        self.first = earlier(entry, self.first, entry.place <= self.first.place);
    }

    /// The earliest time.
    #[inline]
    pub(super) fn earliest(&self) -> u64 {
        self.first.at
    }

    /// A place with the earliest time, the lowest of them.
    #[inline]
    pub(super) fn first(&self) -> usize {
        self.first.place
    }

    /// Never for all places.
    pub(super) fn clear(&mut self) {
        self.rounds.iter_mut().flatten().for_each(|group| *group = NOBODY);
        self.first = NOBODY[0];
    }

    /// Makes room for a place.
    #[cold]
    fn grow(&mut self, place: usize) {
        let before = std::mem::take(&mut self.rounds[0]);
        let mut groups = (place / FAN + 1).next_power_of_two();
        self.rounds = vec![vec![NOBODY; groups]];
        while groups > 1 {
            groups = groups.div_ceil(FAN);
            self.rounds.push(vec![NOBODY; groups]);
        }
        for (place, entry) in before.into_iter().flatten().enumerate() {
            self.set(place, entry.at);
        }
    }
}

#[inline]
fn first_of(group: &Group) -> Entry {
    group.iter().fold(NOBODY[0], |first, entry| earlier(first, *entry, true))
}

/// The earlier of two, and of equals the first, if it is `preferred`. Which it is nobody can foresee,
/// so that a branch would go wrong every other time.
#[inline]
fn earlier(first: Entry, second: Entry, preferred: bool) -> Entry {
    let is_first = (first.at < second.at) | ((first.at == second.at) & preferred);
    Entry {
        at: select_unpredictable(is_first, first.at, second.at),
        place: select_unpredictable(is_first, first.place, second.place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_is_always_at_hand() {
        for places in [1, 8, 9, 37, 64, 65, 600] {
            let mut schedule = Schedule::default();
            let mut times = vec![NEVER; places];
            let mut state = 7_u64;
            for turn in 0..5_000 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let place = usize::try_from(state >> 33).unwrap() % places;
                // Few different ones, so that some are equal.
                let at = if turn % 5 == 0 { NEVER } else { state >> 58 };
                if at <= times[place] && turn % 2 == 0 {
                    schedule.advance(place, at);
                } else {
                    schedule.set(place, at);
                }
                times[place] = at;
                let least = times.iter().copied().min().unwrap();
                assert_eq!(schedule.earliest(), least);
                if least != NEVER {
                    assert_eq!(Some(schedule.first()), times.iter().position(|at| *at == least));
                }
            }
            schedule.clear();
            assert_eq!(schedule.earliest(), NEVER);
        }
    }
}
