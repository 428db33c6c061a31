//! Small pieces written as one: a plain write costs the kernel less than a vectored one.

use std::io::IoSlice;

/// Heads with small bodies fit; longer ones are not worth a copy.
const GATHERED_BYTES_MAX: usize = 4 * 1024;

/// Runs `write` on the bytes of all `slices` if they are few, and tells its result.
pub(crate) fn gather<R>(slices: &[IoSlice<'_>], write: impl FnOnce(&[u8]) -> R) -> Option<R> {
    if let [only] = slices {
        return Some(write(only));
    }
    let mut gathered = [0; GATHERED_BYTES_MAX];
    let mut length = 0;
    for slice in slices {
        gathered.get_mut(length..length + slice.len())?.copy_from_slice(slice);
        length += slice.len();
    }
    Some(write(&gathered[..length]))
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
