//! Addresses that belong together: `10.0.0.0/8`, or one alone.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// All addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    bits: u128,
    /// How many of the bits count, of 128; IPv4 is taken as mapped into IPv6.
    length: u32,
}

/// Text that is no network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadNetwork(String);

impl fmt::Display for BadNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no network (like 10.0.0.0/8, fd00::/8 or 127.0.0.1)", self.0)
    }
}

impl std::error::Error for BadNetwork {}

/// IPv4 addresses are the last 32 bits of IPv6 ones.
const V4_OFFSET: u32 = 96;

fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl Network {
    /// Whether `address` is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let unlike = (bits_of(address) ^ self.bits).leading_zeros();
        unlike >= self.length
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Ipv6Addr::from_bits(self.bits);
        let (address, offset) = match address.to_ipv4_mapped() {
            Some(address) if self.length >= V4_OFFSET => (IpAddr::V4(address), V4_OFFSET),
            _ => (IpAddr::V6(address), 0),
        };
        write!(f, "{address}/{}", self.length - offset)
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let bad = || BadNetwork(text.to_owned());
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let offset = if address.is_ipv4() { V4_OFFSET } else { 0 };
        let length = match length {
            Some(length) => {
                length.parse::<u32>().ok().and_then(|length| length.checked_add(offset)).ok_or_else(bad)?
            }
            None => u128::BITS,
        };
        if length > u128::BITS {
            return Err(bad());
        }
        Ok(Self { bits: bits_of(address), length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_what_begins_alike() {
        let contains = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().contains(address.parse().unwrap())
        };
        assert!(contains("10.0.0.0/8", "10.255.0.1") && !contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("127.0.0.1", "127.0.0.1") && !contains("127.0.0.1", "127.0.0.2"));
        assert!(contains("0.0.0.0/0", "8.8.8.8") && !contains("0.0.0.0/0", "fd00::1"));
        assert!(contains("fd00::/8", "fdff::1") && contains("::/0", "1.1.1.1"));
        for text in ["10.0.0.0/8", "127.0.0.1/32", "0.0.0.0/0", "fd00::/8", "::/0"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "a", "::/129", "::/-1"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
