//! Arguments of `balance`.

use std::path::PathBuf;

use clap::Args;
use traffic::{Address, Version};

use super::{BalancerArgs, DoorArgs, parse};

/// A server to balance over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BackendArg {
    pub(crate) address: Address,
    pub(crate) weight: u32,
    pub(crate) version: Version,
}

/// Arguments of `balance`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  autoscale balance --listen 127.0.0.1:8000 --backend 127.0.0.1:5001 --backend 127.0.0.1:5002
  autoscale balance --backend 127.0.0.1:5001,weight=3 --backend unix:/run/app.sock --algorithm weighted_round_robin
  autoscale balance --config autoscale.toml              backends and all else from a file; HUP reloads it")]
pub(crate) struct BalanceArgs {
    #[command(flatten)]
    pub(crate) door: DoorArgs,
    /// A server to balance over: ADDR or unix:PATH, with ,weight=N and ,version=N where they are
    /// not 1 and 0; may be repeated
    #[arg(long = "backend", value_parser = backend, value_name = "ADDR")]
    pub(crate) backends: Vec<BackendArg>,
    #[command(flatten)]
    pub(crate) balancer: BalancerArgs,
}

/// `127.0.0.1:5001`, `:5001`, `unix:/path`, each with `,weight=3` and `,version=2` or not.
pub(crate) fn backend(text: &str) -> Result<BackendArg, String> {
    let mut words = text.split(',');
    let address = words.next().unwrap_or_default();
    let (mut weight, mut version) = (1, Version::default());
    for word in words {
        let (name, number) = word.split_once('=').unwrap_or((word, ""));
        let wrong = |_| format!("`{word}` needs a number (try weight=3 or version=2)");
        match name {
            "weight" => weight = number.parse().map_err(wrong)?,
            "version" => version = Version(number.parse().map_err(wrong)?),
            _ => return Err(format!("`{word}` says nothing of a backend (try weight=3 or version=2)")),
        }
    }
    let address = match address.strip_prefix("unix:") {
        Some("") => return Err("`unix:` needs a path, as in unix:/run/app.sock".to_owned()),
        Some(path) => Address::Unix(PathBuf::from(path)),
        None => Address::Tcp(parse::address(address)?),
    };
    Ok(BackendArg { address, weight, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_have_an_address_and_perhaps_a_weight() {
        let plain = |address| BackendArg { address, weight: 1, version: Version(0) };
        let tcp = plain(Address::Tcp(([127, 0, 0, 1], 5001).into()));
        assert_eq!(backend("127.0.0.1:5001"), Ok(tcp.clone()));
        let other = BackendArg { weight: 3, version: Version(2), ..tcp };
        assert_eq!(backend(":5001,weight=3,version=2"), Ok(other));
        assert_eq!(backend("unix:/run/a.sock"), Ok(plain(Address::Unix("/run/a.sock".into()))));
        for bad in ["nowhere", ":5001,weight=x", ":5001,weight", ":5001,wait=1", "unix:", ""] {
            assert!(backend(bad).is_err(), "{bad}");
        }
    }
}
