//! A message's fields, kept as the lines that they came as: most are only passed on.

use bytes::Bytes;
use http::HeaderMap;

use crate::lines::{put_field, put_fields};

/// Lines that have been judged, each with its end; an empty one may stand behind them.
#[derive(Clone, Debug, Default)]
pub(crate) struct FieldLines(Bytes);

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    line: &'a [u8],
    colon: usize,
}

impl<'a> Field<'a> {
    pub(crate) fn name(self) -> &'a [u8] {
        &self.line[..self.colon]
    }

    pub(crate) fn value(self) -> &'a [u8] {
        self.line[self.colon + 1..].trim_ascii()
    }

    /// With its end.
    pub(crate) fn line(self) -> &'a [u8] {
        self.line
    }

    /// Whether this is its name; in any case of letters.
    pub(crate) fn is(self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name.as_bytes())
    }
}

impl FieldLines {
    pub(crate) fn new(lines: Bytes) -> Self {
        Self(lines)
    }

    /// As HTTP/1 says them.
    pub(crate) fn of(map: &HeaderMap) -> Self {
        let mut lines = Vec::new();
        put_fields(&mut lines, map);
        Self(lines.into())
    }

    /// The same with one field, said once, in the place of all of its name.
    pub(crate) fn with(&self, name: &str, value: &[u8]) -> Self {
        let mut lines = Vec::with_capacity(self.0.len() + name.len() + value.len());
        put_field(&mut lines, name, value);
        self.iter().filter(|field| !field.is(name)).for_each(|field| lines.extend_from_slice(field.line()));
        Self(lines.into())
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let (line, behind) = rest.split_at(memchr::memchr(b'\n', rest)? + 1);
            rest = behind;
            // A name is a few bytes long: to look at each costs less than to call a search. The empty
            // line at the end has none.
            let colon = line.iter().position(|&byte| byte == b':')?;
            Some(Field { line, colon })
        })
    }

    /// The values of all fields of this name, in their order.
    pub(crate) fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |field| field.is(name)).map(Field::value)
    }

    pub(crate) fn get<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        self.get_all(name).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_fields_until_the_empty_one() {
        let lines =
            FieldLines::new(Bytes::from_static(b"Host: a\r\nX-A:1\r\nx-a: \t2 \r\n\r\nno: field\r\n"));
        let names: Vec<_> = lines.iter().map(Field::name).collect();
        assert_eq!(names, [&b"Host"[..], b"X-A", b"x-a"]);
        assert_eq!(lines.get_all("x-a").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!((lines.get("host"), lines.get("hos")), (Some(&b"a"[..]), None));
        let other = lines.with("x-a", b"3");
        assert_eq!(&other.bytes()[..], b"x-a: 3\r\nHost: a\r\n");
    }
}
