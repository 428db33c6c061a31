//! Small pieces written as one: a plain write costs the kernel less than a vectored one.

use std::cell::RefCell;
use std::io::IoSlice;

/// Heads with small bodies fit; longer ones are not worth a copy.
const GATHERED_BYTES_MAX: usize = 4 * 1024;

thread_local! {
    /// One for all connections of a thread: none writes while another does, and an idle one needs
    /// none.
    static GATHERED: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(GATHERED_BYTES_MAX));
}

/// Runs `write` on the bytes of all `slices` if they are few, and tells its result.
pub(crate) fn gather<R>(slices: &[IoSlice<'_>], write: impl FnOnce(&[u8]) -> R) -> Option<R> {
    if let [only] = slices {
        return Some(write(only));
    }
    let length: usize = slices.iter().map(|slice| slice.len()).sum();
    (length <= GATHERED_BYTES_MAX).then(|| {
        GATHERED.with_borrow_mut(|gathered| {
            gathered.clear();
            slices.iter().for_each(|slice| gathered.extend_from_slice(slice));
            write(gathered)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_bytes_become_one_piece_and_many_stay_apart() {
        let slices = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"c")];
        assert_eq!(gather(&slices, <[u8]>::to_vec), Some(b"abc".to_vec()));
        let large = vec![0; GATHERED_BYTES_MAX];
        assert_eq!(gather(&[IoSlice::new(&large), IoSlice::new(b"a")], <[u8]>::len), None);
        assert_eq!(gather(&[IoSlice::new(&large)], <[u8]>::len), Some(GATHERED_BYTES_MAX));
    }
}
