//! Which byte may stand where, as one table.

/// May stand in a method or a field's name (`tchar`, RFC 9110, 5.6.2).
pub(super) const TOKEN: u8 = 1;
/// May stand in a field's value (`field-vchar`, SP and HTAB, RFC 9110, 5.5).
pub(super) const VALUE: u8 = 2;
/// May stand in a target's path. RFC 3986's characters, and those beyond them that browsers send
/// and that no parser takes for the end of something.
pub(super) const PATH: u8 = 4;
/// The same for a query.
pub(super) const QUERY: u8 = 8;
/// May stand in a host's name (`reg-name`, RFC 3986, 3.2.2), but for the comma, which makes one of
/// two `Host` fields that somebody has joined.
pub(super) const HOST: u8 = 16;
/// A hexadecimal digit.
pub(super) const HEX: u8 = 32;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte: u8 = 0;
    loop {
        table[byte as usize] = class(byte);
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

const fn class(byte: u8) -> u8 {
    let mut class = 0;
    let alphanumeric = byte.is_ascii_alphanumeric();
    if alphanumeric || is_one_of(byte, b"!#$%&'*+-.^_`|~") {
        class |= TOKEN;
    }
    if byte == b'\t' || byte == b' ' || byte.is_ascii_graphic() || byte >= 0x80 {
        class |= VALUE;
    }
    if byte.is_ascii_graphic() && !is_one_of(byte, b"\"#<>`?") {
        class |= PATH;
    }
    if byte.is_ascii_graphic() && !is_one_of(byte, b"\"#<>") {
        class |= QUERY;
    }
    if alphanumeric || is_one_of(byte, b"-._~%!$&'()*+;=") {
        class |= HOST;
    }
    if byte.is_ascii_hexdigit() {
        class |= HEX;
    }
    class
}

const fn is_one_of(byte: u8, list: &[u8]) -> bool {
    let mut index = 0;
    while index < list.len() {
        if list[index] == byte {
            return true;
        }
        index += 1;
    }
    false
}

/// Whether `byte` is of `class`.
pub(super) fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// Whether all of `bytes` are of `class`; true of none.
pub(super) fn all(bytes: &[u8], class: u8) -> bool {
    bytes.iter().all(|&byte| is(byte, class))
}

/// The same of [`VALUE`], which most bytes of a head are judged by: eight at a time.
pub(super) fn is_value(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    let (words, rest) = bytes.as_chunks::<8>();
    let is_clean = |word: &[u8; 8]| {
        let word = u64::from_ne_bytes(*word);
        // The top bit of a byte is set where it is below a space; or, with a byte before it that is so,
        // perhaps; or where it is DEL.
        let controls = word.wrapping_sub(ONES * 0x20) & !word;
        let deletes = (word ^ (ONES * 0x7f)).wrapping_sub(ONES) & !(word ^ (ONES * 0x7f));
        (controls | deletes) & TOPS == 0
    };
    // A tab looks like a control, and may stand here.
    words.iter().all(|word| is_clean(word) || all(word, VALUE)) && all(rest, VALUE)
}

/// Whether `bytes` are a token.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && all(bytes, TOKEN)
}

/// Whether each `%` in `bytes` begins an escaped byte (RFC 3986, 2.1).
pub(super) fn escapes_are_whole(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|&byte| byte == b'%') {
        match rest.get(at + 1..at + 3) {
            Some(digits) if all(digits, HEX) => rest = &rest[at + 3..],
            _ => return false,
        }
    }
    true
}

/// `value` without white space around it.
pub(super) fn trim(value: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !is_space(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

/// The members of a list.
pub(super) fn members(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&byte| byte == b',').map(trim)
}

/// A field line's name and its value, trimmed; `None` for a line that is no field, white space
/// before the colon included.
pub(super) fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|&byte| !is(byte, TOKEN))?;
    let (name, value) = (&line[..colon], &line[colon..]);
    let value = value.strip_prefix(b":")?;
    (!name.is_empty() && is_value(value)).then(|| (name, trim(value)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn eight_at_a_time_are_judged_as_one_by_one(
            bytes in proptest::collection::vec(prop_oneof![8 => 0x20..0x7e_u8, 1 => any::<u8>()], 0..40),
        ) {
            prop_assert_eq!(is_value(&bytes), all(&bytes, VALUE));
        }
    }

    #[test]
    fn every_byte_is_judged_alike_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for place in 0..9 {
                let mut bytes = [b'a'; 9];
                bytes[place] = byte;
                assert_eq!(is_value(&bytes), all(&bytes, VALUE), "{byte:#x} at {place}");
            }
        }
    }
}
