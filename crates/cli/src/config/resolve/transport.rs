//! How clients are spoken to, settled.

use super::picker::Picker;
use crate::args::TransportArgs;
use crate::config::file::balancer::ProxyTable;
use crate::config::{TlsFiles, Transport};

/// What flags and file say of clients' connections.
pub(super) fn transport(
    args: &TransportArgs,
    table: &ProxyTable,
    picker: &mut Picker,
) -> anyhow::Result<Transport> {
    let path = |flag: &Option<std::path::PathBuf>, file: &Option<std::path::PathBuf>| {
        let show = |path: &std::path::PathBuf| path.display().to_string();
        (flag.as_ref().map(show), file.as_ref().map(show))
    };
    let (flag, file) = path(&args.tls_cert, &table.tls_cert);
    let certificate = picker.optional("proxy.tls_cert", flag, file, "none: plain HTTP");
    let (flag, file) = path(&args.tls_key, &table.tls_key);
    let key = picker.optional("proxy.tls_key", flag, file, "none");
    let redirect_from = table.redirect_from.map(|at| at.0);
    let redirect_from = picker.optional("proxy.redirect_from", args.redirect_from, redirect_from, "nowhere");
    let tls = match (certificate, key) {
        (Some(certificate), Some(key)) => Some(TlsFiles { certificate: certificate.into(), key: key.into() }),
        (None, None) => None,
        (Some(_), None) => {
            return Err(picker.refuse("proxy.tls_cert", "has no key to it", "add --tls-key FILE"));
        }
        (None, Some(_)) => {
            return Err(picker.refuse("proxy.tls_key", "has no certificate to it", "add --tls-cert FILE"));
        }
    };
    if redirect_from.is_some() && tls.is_none() {
        let advice = "add --tls-cert and --tls-key; `autoscale tls init` makes both";
        return Err(picker.refuse("proxy.redirect_from", "needs https to redirect to", advice));
    }
    Ok(Transport { tls, redirect_from })
}
