//! Things that stay where they are put, known by their place; a place that was left is taken again.

/// Places with a thing in each, or free.
#[derive(Clone, Debug)]
pub(super) struct Slab<T> {
    places: Vec<Option<T>>,
    /// The one left last is taken first.
    free: Vec<usize>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Puts a thing in a free place, and tells which.
    pub(super) fn put(&mut self, thing: T) -> usize {
        if let Some(place) = self.free.pop() {
            self.places[place] = Some(thing);
            return place;
        }
        self.places.push(Some(thing));
        self.places.len() - 1
    }

    /// What is in a place, if it is taken.
    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        self.places.get_mut(place)?.as_mut()
    }

    /// Frees a place.
    pub(super) fn take(&mut self, place: usize) -> Option<T> {
        let thing = self.places.get_mut(place)?.take()?;
        self.free.push(place);
        Some(thing)
    }

    /// Frees all, in order of place.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> {
        self.free.clear();
        std::mem::take(&mut self.places).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_was_left_is_taken_again() {
        let mut slab = Slab::default();
        assert_eq!(["a", "b", "c"].map(|thing| slab.put(thing)), [0, 1, 2]);
        assert_eq!((slab.take(1), slab.take(1), slab.take(7)), (Some("b"), None, None));
        assert_eq!((slab.put("d"), slab.put("e")), (1, 3));
        assert_eq!((slab.get_mut(1).copied(), slab.get_mut(4)), (Some("d"), None));
        assert_eq!(slab.drain().collect::<String>(), "adce");
        assert_eq!(slab.put("f"), 0);
    }
}
