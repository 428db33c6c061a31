//! The PROXY protocol, 1 and 2: who the client is, told by a load balancer before ours.
//!
//! After "The PROXY protocol, versions 1 & 2" (HAProxy, 2020). A header is believed from those
//! alone who are named as allowed to send one, and from them it is awaited: to guess whether one
//! came would let any client forge it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// 2.2: begins every binary header, and no other protocol.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// 2.2: signature, version and command, family, length.
const FIXED_BYTES: usize = 16;
/// 2.1: the longest line there may be, with its end.
const LINE_BYTES_MAX: usize = 107;
/// Addresses take 36 bytes, certificates' names and the like some hundred; more is no header.
const BODY_BYTES_MAX: usize = 2 * 1024;
/// No header is longer.
pub(crate) const BYTES_MAX: usize = FIXED_BYTES + BODY_BYTES_MAX;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The client; `None` where the sender speaks for itself.
    pub(crate) client: Option<IpAddr>,
    /// How many bytes the header takes.
    pub(crate) length: usize,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no PROXY header: {0}")]
pub(crate) struct BadHeader(&'static str);

/// Reads the header at the beginning of `bytes`; `None` while it is not whole.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<Told>, BadHeader> {
    let is_beginning = |of: &[u8]| bytes.iter().zip(of).all(|(byte, expected)| byte == expected);
    if is_beginning(SIGNATURE) {
        return binary(bytes);
    }
    if is_beginning(b"PROXY ") {
        return line(bytes);
    }
    Err(BadHeader("it begins otherwise"))
}

/// 2.1: `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443`.
fn line(bytes: &[u8]) -> Result<Option<Told>, BadHeader> {
    let within = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = within.iter().position(|&byte| byte == b'\n') else {
        return if bytes.len() < LINE_BYTES_MAX { Ok(None) } else { Err(BadHeader("its line is too long")) };
    };
    let text = within[..end].strip_suffix(b"\r").ok_or(BadHeader("its line ends in LF alone"))?;
    let text = std::str::from_utf8(text).map_err(|_| BadHeader("its line is not ASCII"))?;
    let length = end + 1;
    let mut words = text.split(' ').skip(1);
    let family = words.next().unwrap_or_default();
    if family == "UNKNOWN" {
        // Whatever follows is to be ignored.
        return Ok(Some(Told { client: None, length }));
    }
    let (Some(source), Some(destination), Some(from), Some(to), None) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        return Err(BadHeader("it does not have two addresses and two ports"));
    };
    let address = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let (Some(client), Some(_)) = (address(source), address(destination)) else {
        return Err(BadHeader("its addresses are not of the family that it names"));
    };
    if !is_port(from) || !is_port(to) {
        return Err(BadHeader("its ports are no ports"));
    }
    Ok(Some(Told { client: Some(client), length }))
}

/// Digits without a sign and without a zero before them.
fn is_port(text: &str) -> bool {
    let plain = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    plain && text.parse::<u16>().is_ok()
}

/// 2.2.
fn binary(bytes: &[u8]) -> Result<Option<Told>, BadHeader> {
    let Some((fixed, rest)) = bytes.split_at_checked(FIXED_BYTES) else { return Ok(None) };
    let body = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if body > BODY_BYTES_MAX {
        return Err(BadHeader("it is too long"));
    }
    let is_local = match fixed[12] {
        0x20 => true,
        0x21 => false,
        _ => return Err(BadHeader("its version or command is unknown")),
    };
    let Some(body) = rest.get(..body) else { return Ok(None) };
    let length = FIXED_BYTES + body.len();
    if is_local {
        return Ok(Some(Told { client: None, length }));
    }
    let short = BadHeader("it is too short for its addresses");
    let client = match fixed[13] {
        // Unspecified: the receiver goes by the connection itself.
        0x00 => None,
        0x11 => {
            let addresses: &[u8; 12] = body.first_chunk().ok_or(short)?;
            let [a, b, c, d, ..] = *addresses;
            Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        0x21 => {
            let addresses: &[u8; 36] = body.first_chunk().ok_or(short)?;
            let source: [u8; 16] = *addresses.first_chunk().ok_or(short)?;
            Some(IpAddr::V6(Ipv6Addr::from(source)))
        }
        // A Unix socket: a client on the sender's machine.
        0x31 => None,
        _ => return Err(BadHeader("its family is not one of streams")),
    };
    Ok(Some(Told { client, length }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, body].concat()
    }

    fn client(bytes: &[u8]) -> Result<Option<IpAddr>, BadHeader> {
        read(bytes).map(|told| told.expect("it is whole").client)
    }

    #[test]
    fn clients_are_told_in_two_ways() {
        let v4 = Some("192.0.2.1".parse().unwrap());
        let v6 = Some("2001:db8::1".parse().unwrap());
        assert_eq!(client(b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nGET"), Ok(v4));
        assert_eq!(client(b"PROXY TCP6 2001:db8::1 ::1 0 65535\r\n"), Ok(v6));
        assert_eq!(client(b"PROXY UNKNOWN\r\n"), Ok(None));
        assert_eq!(client(b"PROXY UNKNOWN ffff::1 a b c d\r\n"), Ok(None));
        assert_eq!(client(&v2(0x21, 0x11, &[192, 0, 2, 1, 192, 0, 2, 2, 0, 1, 0, 2])), Ok(v4));
        let mut body = vec![0; 36];
        body[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        body[15] = 1;
        // With a type, a length and a value behind the addresses.
        body.extend([4, 0, 1, 0]);
        assert_eq!(client(&v2(0x21, 0x21, &body)), Ok(v6));
        assert_eq!(client(&v2(0x20, 0, &[])), Ok(None), "a health check of the sender's own");
        assert_eq!(client(&v2(0x21, 0x31, &[0; 216])), Ok(None));
        let told = read(b"PROXY UNKNOWN\r\nGET / HTTP/1.1\r\n").unwrap().unwrap();
        assert_eq!(told.length, 15);
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LINE_BYTES_MAX));
        for bad in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
            b"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
            b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
            b"proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
            long.as_bytes(),
            &v2(0x11, 0x11, &[0; 12]),
            &v2(0x22, 0x11, &[0; 12]),
            &v2(0x21, 0x12, &[0; 12]),
            &v2(0x21, 0x11, &[0; 11]),
            &v2(0x21, 0x21, &[0; 35]),
            &v2(0x21, 0x11, &[0; BODY_BYTES_MAX + 1]),
        ] {
            assert!(read(bad).is_err(), "{:?}", String::from_utf8_lossy(bad));
        }
    }

    proptest! {
        /// However it is cut, the verdict is the same, and comes within the bound.
        #[test]
        fn pieces_make_no_difference(
            mut body in proptest::collection::vec(any::<u8>(), 0..60), is_line in any::<bool>(),
        ) {
            let whole = if is_line {
                body.retain(|byte| *byte != b'\n');
                [b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2", &body[..], b"\r\n"].concat()
            } else {
                v2(0x21, 0x11, &body)
            };
            let verdict = read(&whole);
            for cut in 0..whole.len() {
                match read(&whole[..cut]) {
                    Ok(None) => {}
                    early => prop_assert!(early == verdict && early.is_err(), "{cut}: {early:?}"),
                }
            }
            let filled = [&whole[..], &[0; BYTES_MAX]].concat();
            prop_assert_ne!(read(&filled), Ok(None));
        }
    }
}
