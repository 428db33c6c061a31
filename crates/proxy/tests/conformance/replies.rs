//! Workers' answers, good and bad, and what a client may get of each.

/// What a client gets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Got {
    /// 502, and nothing of the answer.
    BadGateway,
    /// All of it, with this status and body.
    Whole(u16, &'static str),
    /// A body that has no proper end.
    Cut,
}
use Got::{BadGateway, Cut, Whole};

/// What a worker sends before it closes, and what becomes of it.
pub(crate) struct Reply {
    /// What is odd about it.
    pub(crate) name: &'static str,
    /// Where it stands.
    pub(crate) rfc: &'static str,
    pub(crate) send: &'static [u8],
    pub(crate) got: Got,
    /// The RFC lets a recipient make a clean message of it instead: we don't, others may.
    pub(crate) forgivable: bool,
}

const fn reply(rfc: &'static str, name: &'static str, send: &'static [u8], got: Got) -> Reply {
    Reply { name, rfc, send, got, forgivable: false }
}

const fn either(rfc: &'static str, name: &'static str, send: &'static [u8], got: Got) -> Reply {
    Reply { forgivable: true, ..reply(rfc, name, send, got) }
}

pub(crate) const REPLIES: &[Reply] = &[
    reply("9112 4", "plain", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Whole(200, "ok")),
    reply("9112 4", "empty reason", b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", Whole(200, "ok")),
    reply("9112 4", "no space before the empty reason", b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", Whole(200, "ok")),
    reply("9112 4", "a status of one's own", b"HTTP/1.1 299 Mine\r\nContent-Length: 2\r\n\r\nok", Whole(299, "ok")),
    reply("9112 4", "garbage", b"complete nonsense\r\n\r\n", BadGateway),
    reply("9112 4", "binary", b"\x16\x03\x01\x00\xff\r\n\r\n", BadGateway),
    reply("9112 4", "another protocol", b"SSH-2.0-OpenSSH\r\n", BadGateway),
    reply("9112 4", "nothing at all", b"", BadGateway),
    either("9112 4", "a body without a head (HTTP/0.9)", b"<html></html>\n", BadGateway),
    either("9112 2.3", "HTTP/2.0", b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    reply("9112 4", "status of two digits", b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    reply("9112 4", "status of four digits", b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    either("9112 4", "status below 100", b"HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    reply("9112 4", "status of letters", b"HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    reply("9112 8", "head that breaks off", b"HTTP/1.1 200 OK\r\nContent-Le", BadGateway),
    either("9112 2.2", "bare LF", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", BadGateway),
    either("9112 2.2", "bare CR in a field", b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    either("9110 5.5", "NUL in a field", b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    either("9112 5.1", "space before a colon", b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", BadGateway),
    either("9112 5.2", "folded field", b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    either("9112 5", "field without a colon", b"HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    reply("9112 6.3", "two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", BadGateway),
    either("9112 6.3", "equal lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    reply("9112 6.3", "negative length", b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", BadGateway),
    reply("9112 6.3", "length of a word", b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok", BadGateway),
    either("9112 6.3", "length and chunks", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", BadGateway),
    either("9112 6.3", "a coding that is not chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok", BadGateway),
    reply("9112 6.3", "chunked twice", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", BadGateway),
    either("9112 6.1", "chunked in HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BadGateway),
    reply("9112 6.3", "short body, not begun", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", BadGateway),
    reply("9112 8", "short body", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", BadGateway),
    reply("9112 6.3", "long body", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", Whole(200, "ok")),
    reply("9112 7.1", "chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Whole(200, "ok")),
    reply("9112 7.1.1", "chunks with extensions", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0;c\r\n\r\n", Whole(200, "ok")),
    reply("9112 8", "chunks that break off", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", Cut),
    reply("9112 8", "chunk that breaks off", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok", Cut),
    reply("9112 7.1", "bad size", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nx\r\n\r\n", Cut),
    reply("9112 7.1", "chunk longer than its size", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n", Cut),
    reply("9112 7.1", "no end after the last chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", Cut),
    either("9112 7.1.2", "bad trailer", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX A: b\r\n\r\n", Cut),
    reply("9112 6.3", "until it closes", b"HTTP/1.1 200 OK\r\n\r\nok", Whole(200, "ok")),
    reply("9112 6.3", "HTTP/1.0 until it closes", b"HTTP/1.0 200 OK\r\n\r\nok", Whole(200, "ok")),
    reply("9112 6.3", "204 has no body", b"HTTP/1.1 204 No Content\r\n\r\n", Whole(204, "")),
    reply("9112 6.3", "204 with a body", b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", Whole(204, "")),
    reply("9112 6.3", "304 with a length has no body", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Whole(304, "")),
    reply("9110 15.2", "an interim answer first", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Whole(200, "ok")),
    either("9110 15.2", "an interim answer alone", b"HTTP/1.1 103 Early Hints\r\n\r\n", BadGateway),
    reply("9110 15.2.2", "101 that nobody asked for", b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", BadGateway),
    either("9112 2.2", "empty line first", b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    reply("9112 4", "two spaces before the status", b"HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    reply("9112 4", "no space after the status", b"HTTP/1.1 200OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    reply("9112 2.3", "version in lower case", b"http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    either("9112 2.3", "HTTP/1.2", b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    reply("9112 4", "ICY", b"ICY 200 OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    either("9112 4", "NUL in the reason", b"HTTP/1.1 200 O\x00K\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    either("9112 4", "bare CR in the reason", b"HTTP/1.1 200 O\rK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    reply("9112 4", "reason beyond ASCII", b"HTTP/1.1 200 caf\xe9\r\nContent-Length: 2\r\n\r\nok", Whole(200, "ok")),
    reply("9112 4", "negative status", b"HTTP/1.1 -200 OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    either("9110 5.1", "no name", b"HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    either("9110 5.1", "space in a name", b"HTTP/1.1 200 OK\r\nX A: b\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    either("9110 5.5", "bare CR splits a cookie", b"HTTP/1.1 200 OK\r\nSet-Cookie: a\rSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    either("9110 5.5", "bare LF splits a cookie", b"HTTP/1.1 200 OK\r\nSet-Cookie: a\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    reply("9112 6.3", "length with a plus", b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", BadGateway),
    reply("9112 6.3", "hexadecimal length", b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok", BadGateway),
    reply("9112 6.3", "empty length", b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok", BadGateway),
    either("9112 6.3", "list of equal lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", BadGateway),
    reply("9112 6.3", "list of lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok", BadGateway),
    reply("9112 6.3", "length beyond 64 bits", b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551618\r\n\r\nok", BadGateway),
    either("9112 6.3", "chunks and length", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 50\r\n\r\n2\r\nok\r\n0\r\n\r\n", BadGateway),
    either("9112 6.3", "chunked, gzip", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\nok", BadGateway),
    either("9112 6.3", "xchunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nok", BadGateway),
    either("9112 6.3", "identity", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok", BadGateway),
    either("9112 6.3", "chunked on two lines", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", BadGateway),
    reply("9112 7.1", "chunked in capitals", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n2\r\nok\r\n0\r\n\r\n", Whole(200, "ok")),
    reply("9112 7.1", "trailers", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n", Whole(200, "ok")),
    reply("9112 7.1", "size with 0x", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nok\r\n0\r\n\r\n", Cut),
    reply("9112 7.1", "size with a plus", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+2\r\nok\r\n0\r\n\r\n", Cut),
    reply("9112 7.1", "negative size", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n", Cut),
    reply("9112 7.1", "size beyond 64 bits", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000002\r\nok\r\n0\r\n\r\n", Cut),
    either("9112 7.1", "bare LF after a size", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\r\n0\r\n\r\n", Cut),
    either("9112 7.1", "bare LF after data", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\n0\r\n\r\n", Cut),
    reply("9112 7.1.1", "bare LF in an extension", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a\nb\r\nok\r\n0\r\n\r\n", Cut),
    either("9110 6.5.1", "Content-Length as a trailer", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nContent-Length: 9\r\n\r\n", Cut),
    either("9112 6.3", "204 with a length", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", Whole(204, "")),
    either("9112 6.3", "204 with chunks", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Whole(204, "")),
    either("9112 6.3", "304 with chunks", b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Whole(304, "")),
    reply("9112 6.3", "length of zero and a body", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", Whole(200, "")),
    reply("9112 6.3", "bytes after the last chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", Whole(200, "ok")),
    reply("9110 15.2", "100 that nobody asked for", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Whole(200, "ok")),
    reply("9110 15.2", "several interim answers", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Whole(200, "ok")),
    either("9110 15.2", "an interim answer with a length", b"HTTP/1.1 103 Early Hints\r\nContent-Length: 40\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Whole(200, "ok")),
    either("9110 15.2", "a malformed interim answer", b"HTTP/1.1 103 Early Hints\r\nLink : </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    reply("9112 9.6", "close is for us alone", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", Whole(200, "ok")),
    reply("9112 8", "head without its empty line", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", BadGateway),
    reply("9112 8", "status line alone", b"HTTP/1.1 200 OK\r\n", BadGateway),
];
