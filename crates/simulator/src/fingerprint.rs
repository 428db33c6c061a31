//! Short names for inputs, so that a number can say what it was computed from.

/// FNV-1a with 64 bits: no defence against anyone, but two inputs that differ by accident do
/// not get one name.
pub(crate) fn of(bytes: impl IntoIterator<Item = u8>) -> String {
    let hash = bytes.into_iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn is_fnv_1a() {
        assert_eq!(super::of([]), "cbf29ce484222325");
        assert_eq!(super::of(*b"a"), "af63dc4c8601ec8c");
    }
}
