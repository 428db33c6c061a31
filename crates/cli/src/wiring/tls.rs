//! The certificate's files: read at the start, on HUP, and when they change.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use clock::Clock;
use proxy::Tls;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{TlsFiles, Transport};
use crate::failure::Hint;
use crate::output;

/// How often the files are looked at: whoever renews a certificate does not wait longer.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What to do about a certificate that cannot be used.
const ADVICE: &str = "`autoscale tls init` makes one for development";

/// Puts what was settled about clients' connections into the balancer's settings; what to watch.
pub(crate) fn settle(
    transport: &Transport,
    settings: &mut proxy::Config,
) -> anyhow::Result<Option<Arc<Tls>>> {
    settings.tls = transport.tls.as_ref().map(load).transpose()?;
    settings.redirect_from = transport.redirect_from;
    Ok(settings.tls.clone())
}

/// `https` or `http`, as clients must begin.
pub(crate) fn scheme(transport: &Transport) -> &'static str {
    if transport.tls.is_some() { "https" } else { "http" }
}

/// Reads the files.
fn load(files: &TlsFiles) -> anyhow::Result<Arc<Tls>> {
    let (certificate, key) = read(files).hint(ADVICE)?;
    let tls = Tls::new(&certificate, &key);
    tls.map(Arc::new).with_context(|| files.certificate.display().to_string()).hint(ADVICE)
}

/// Reads them again whenever they change, and on HUP, until told to stop. What cannot be used
/// is said once, and the old certificate stays.
pub(crate) fn watch(
    tls: Arc<Tls>,
    files: TlsFiles,
    clock: Clock,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut asked = signal(SignalKind::hangup()).context("signals cannot be heard")?;
    tokio::spawn(async move {
        let (mut read, mut seen) = (stamps(&files), stamps(&files));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(()) = asked.recv() => {}
                () = clock.sleep(LOOK_EVERY) => {
                    let before = std::mem::replace(&mut seen, stamps(&files));
                    // One file is often there before the other: they are read once both rest.
                    if seen == read || seen != before {
                        continue;
                    }
                }
            }
            read = stamps(&files);
            match reload(&tls, &files) {
                Ok(()) => output::complain("note: the certificate was read again"),
                Err(error) => output::complain(&format!("warning: the old certificate stays: {error:#}")),
            }
        }
    });
    Ok(())
}

fn reload(tls: &Tls, files: &TlsFiles) -> anyhow::Result<()> {
    let (certificate, key) = read(files)?;
    tls.replace(&certificate, &key).with_context(|| files.certificate.display().to_string())
}

fn read(files: &TlsFiles) -> std::io::Result<(Vec<u8>, Vec<u8>)> {
    Ok((fs_err::read(&files.certificate)?, fs_err::read(&files.key)?))
}

/// What changes when the files do.
fn stamps(files: &TlsFiles) -> [Option<(SystemTime, u64)>; 2] {
    let stamp = |path: &Path| {
        let seen = fs_err::metadata(path).ok()?;
        Some((seen.modified().ok()?, seen.len()))
    };
    [stamp(&files.certificate), stamp(&files.key)]
}
