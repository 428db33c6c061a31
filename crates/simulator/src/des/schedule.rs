//! When each worker finishes its next request: a heap whose entries move when a worker's
//! does, so that nothing outdated is ever in it.

/// Never.
pub(super) const NEVER: u64 = u64::MAX;

/// One time a place, with the earliest at hand.
#[derive(Clone, Debug, Default)]
pub(super) struct Schedule {
    /// A tournament: leaf `size + place` holds a place's time, each inner node its children's least.
    tree: Vec<u64>,
    size: usize,
}

impl Schedule {
    /// Sets the time of a place.
    pub(super) fn set(&mut self, place: usize, at: u64) {
        if place >= self.size {
            self.grow(place + 1);
        }
        let mut node = self.size + place;
        self.tree[node] = at;
        // Up to the root in any case: to guess where it could stop costs more than to go on.
        while node > 1 {
            let least = self.tree[node].min(self.tree[node ^ 1]);
            node /= 2;
            self.tree[node] = least;
        }
    }

    /// The earliest time.
    pub(super) fn earliest(&self) -> u64 {
        self.tree.get(1).copied().unwrap_or(NEVER)
    }

    /// A place with the earliest time, the lowest of them.
    pub(super) fn first(&self) -> usize {
        let mut node = 1;
        while node < self.size {
            node = 2 * node + usize::from(self.tree[2 * node] != self.tree[node]);
        }
        node - self.size
    }

    fn grow(&mut self, places: usize) {
        let times = self.tree.split_off(self.size.min(self.tree.len()));
        self.size = places.next_power_of_two().max(2);
        self.tree = vec![NEVER; 2 * self.size];
        for (place, at) in times.into_iter().enumerate() {
            self.set(place, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_is_always_at_hand() {
        let mut schedule = Schedule::default();
        assert_eq!(schedule.earliest(), NEVER);
        let mut times = vec![NEVER; 37];
        let mut state = 7_u64;
        for turn in 0..5_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let place = usize::try_from((state >> 33) % 37).unwrap();
            let at = if turn % 5 == 0 { NEVER } else { state >> 40 };
            times[place] = at;
            schedule.set(place, at);
            let least = times.iter().copied().min().unwrap();
            assert_eq!(schedule.earliest(), least);
            if least != NEVER {
                assert_eq!(times[schedule.first()], least);
            }
        }
    }
}
