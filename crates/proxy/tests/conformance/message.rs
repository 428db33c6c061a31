//! Messages to the letter, read by nobody's parser but this: a second opinion on what passes.

/// No line of a case is as long.
const BYTES_MAX: usize = 1 << 20;

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The beginning of a message, perhaps.
    More,
    /// A request of this length; its text with field names in lower case and its body decoded.
    Whole { length: usize, text: String },
    /// No message at all.
    Malformed(&'static str),
}

/// Reads a request (RFC 9112), or says what is wrong with it.
pub(super) fn request(bytes: &[u8]) -> Next {
    match read(bytes, is_request_line, true) {
        Ok(Some(Read { length, head, body, .. })) => Next::Whole { length, text: head + &body },
        Ok(None) => Next::More,
        Err(fault) => Next::Malformed(fault),
    }
}

/// An answer as a client reads it: its status, and its body if that has a proper end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Option<String>,
}

/// Reads all that came on a connection that was then closed; `None` if that is no answer.
pub(super) fn answer(mut bytes: &[u8], is_to_head: bool) -> Option<Answer> {
    let is_status = |line: &[u8]| {
        let sound = line.starts_with(b"HTTP/1.1 ") || line.starts_with(b"HTTP/1.0 ");
        sound.then_some(())
    };
    loop {
        let status: u16 = std::str::from_utf8(bytes.get(9..12)?).ok()?.parse().ok()?;
        let bodiless = is_to_head || status < 200 || matches!(status, 204 | 304);
        let read = read(bytes, is_status, !bodiless).ok()?;
        let Some(read) = read else { return Some(Answer { status, body: None }) };
        if (100..200).contains(&status) {
            bytes = &bytes[read.length..];
            continue;
        }
        let rest = &bytes[read.length..];
        let body = match (bodiless || read.framed, rest) {
            (true, []) => Some(read.body),
            (true, _) => None,
            (false, rest) => Some(latin_1(rest)),
        };
        return Some(Answer { status, body });
    }
}

struct Read {
    length: usize,
    head: String,
    body: String,
    /// Whether the head says where the body ends.
    framed: bool,
}

type Fault = &'static str;

fn read(bytes: &[u8], is_first: fn(&[u8]) -> Option<()>, has_body: bool) -> Result<Option<Read>, Fault> {
    let Some(first) = line(bytes)? else { return Ok(None) };
    is_first(first).ok_or("the first line")?;
    let mut head = String::from_utf8_lossy(first).into_owned() + "\r\n";
    let mut at = first.len() + 2;
    let (mut hosts, mut length, mut chunked) = (0, None, false);
    loop {
        let Some(line) = line(&bytes[at..])? else { return Ok(None) };
        at += line.len() + 2;
        if line.is_empty() {
            break;
        }
        let (name, value) = field(line).ok_or("a field")?;
        match name.as_str() {
            "host" => hosts += 1,
            "content-length" if length.is_some() => return Err("two lengths"),
            "content-length" => {
                let digits = value.bytes().all(|byte| byte.is_ascii_digit());
                length = Some(value.parse::<usize>().ok().filter(|_| digits).ok_or("a length")?);
            }
            "transfer-encoding" if chunked || !value.eq_ignore_ascii_case("chunked") => {
                return Err("a transfer coding");
            }
            "transfer-encoding" => chunked = true,
            _ => {}
        }
        head = head + &name + ": " + &value + "\r\n";
    }
    head.push_str("\r\n");
    if chunked && length.is_some() {
        return Err("a length and chunks");
    }
    let is_request = !first.starts_with(b"HTTP/");
    if is_request && (hosts > 1 || hosts == 0 && first.ends_with(b"HTTP/1.1")) {
        return Err("Host");
    }
    let framed = chunked || length.is_some();
    let body = match (has_body, chunked, length.unwrap_or_default()) {
        (false, ..) => Some((0, String::new())),
        (true, true, _) => chunks(&bytes[at..])?,
        (true, false, length) => bytes.get(at..at.saturating_add(length)).map(|body| (length, latin_1(body))),
    };
    Ok(body.map(|(more, body)| Read { length: at + more, head, body, framed }))
}

/// A byte, a character: nothing is lost where a body is no UTF-8.
pub(super) fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// The length of a chunked body and what is in it.
fn chunks(bytes: &[u8]) -> Result<Option<(usize, String)>, Fault> {
    let (mut at, mut body) = (0, String::new());
    loop {
        let Some(size_line) = line(&bytes[at..])? else { return Ok(None) };
        at += size_line.len() + 2;
        let digits = size_line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let digits_only = std::str::from_utf8(&size_line[..digits]).unwrap_or_default();
        let size = usize::from_str_radix(digits_only, 16).map_err(|_| "a chunk's size")?;
        if size == 0 {
            break;
        }
        let Some(chunk) = bytes.get(at..at.saturating_add(size).saturating_add(2)) else { return Ok(None) };
        let data = chunk.strip_suffix(b"\r\n").ok_or("a chunk's end")?;
        body.push_str(&latin_1(data));
        at += size + 2;
    }
    loop {
        let Some(trailer) = line(&bytes[at..])? else { return Ok(None) };
        at += trailer.len() + 2;
        if trailer.is_empty() {
            return Ok(Some((at, body)));
        }
        field(trailer).ok_or("a trailer")?;
    }
}

/// The first line, without its end; nothing in it that another parser could take for one.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, Fault> {
    let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n' | 0)) else {
        return if bytes.len() > BYTES_MAX { Err("an endless line") } else { Ok(None) };
    };
    match &bytes[end..] {
        [b'\r'] => Ok(None),
        [b'\r', b'\n', ..] => Ok(Some(&bytes[..end])),
        _ => Err("a bare CR, LF or NUL"),
    }
}

fn field(line: &[u8]) -> Option<(String, String)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = line.get(..colon).filter(|name| is_token(name))?;
    let value = String::from_utf8_lossy(&line[colon + 1..]).trim_matches([' ', '\t']).to_owned();
    Some((String::from_utf8_lossy(name).to_ascii_lowercase(), value))
}

fn is_request_line(line: &[u8]) -> Option<()> {
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let [method, target, version] = words[..] else { return None };
    let plain = |byte: &u8| *byte > b' ' && *byte != 0x7f;
    let sound = is_token(method) && !target.is_empty() && target.iter().all(plain);
    (sound && matches!(version, b"HTTP/1.1" | b"HTTP/1.0")).then_some(())
}

fn is_token(bytes: &[u8]) -> bool {
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(is_tchar)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_to_the_letter() {
        let chunked =
            b"POST / HTTP/1.1\r\nHOST: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nG";
        let text = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nok".to_owned();
        assert_eq!(request(chunked), Next::Whole { length: chunked.len() - 1, text });
        assert_eq!(request(b"GET / HTTP/1.1\r\nHost: a\r\n\r"), Next::More);
        for bad in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            b"GET / HTTP/1.1\nHost: a\n\n",
            b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ] {
            assert!(matches!(request(bad), Next::Malformed(_)), "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn answers_are_whole_or_visibly_not() {
        let body = |text: &[u8]| answer(text, false).map(|answer| (answer.status, answer.body));
        let ok = || Some("ok".to_owned());
        assert_eq!(body(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), Some((200, ok())));
        assert_eq!(body(b"HTTP/1.1 103 X\r\n\r\nHTTP/1.1 200 OK\r\n\r\nok"), Some((200, ok())));
        assert_eq!(body(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok"), Some((200, None)));
        assert_eq!(body(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nok"), Some((200, None)));
        assert_eq!(body(b""), None);
    }
}
