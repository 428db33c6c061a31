//! How clients are spoken to, for every command that balances.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::parse;

/// Arguments of `run` and `balance` about the connections of clients.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct TransportArgs {
    /// Speak TLS (and h2) with this certificate, PEM with its chain; read again on HUP and when it
    /// changes. Plain HTTP is then redirected. See `autoscale tls init`
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's key, PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Take plain HTTP here too, and redirect it to https
    #[arg(long, value_parser = parse::address, value_name = "ADDR")]
    pub(crate) redirect_from: Option<SocketAddr>,
    /// Who begins each connection with a PROXY header (1 or 2), as in 10.0.0.0/8; may be repeated
    /// [default: nobody]
    #[arg(long, value_name = "NETWORK")]
    pub(crate) proxy_protocol: Vec<proxy::Network>,
}
