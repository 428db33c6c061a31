//! `autoscale tls`: certificates for development, of a CA of one's own.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clock::Clock;
use fs_err::os::unix::fs::OpenOptionsExt;
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};

use crate::args::{Output, TlsArgs, TlsCommand, TlsInitArgs};
use crate::failure::{FAILED, Hint};
use crate::output;

/// A development CA is trusted by hand, on one machine: it should outlast the machine.
const CA_DAYS: i64 = 3_650;
/// Longer ones are refused by Apple's systems even from a CA trusted by hand (825 days).
const CERTIFICATE_DAYS: i64 = 397;
/// Clocks of containers and machines differ; a certificate of today is good since yesterday.
const BACKDATED_DAYS: i64 = 1;
const DAY_SECONDS: i64 = 86_400;

/// Runs the command.
pub(crate) fn run(args: &TlsArgs) -> anyhow::Result<()> {
    match &args.command {
        TlsCommand::Init(args) => init(args),
    }
}

/// Where everything is, for programs.
#[derive(serde::Serialize)]
struct Made<'a> {
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    names: &'a [String],
    new_ca: bool,
}

fn init(args: &TlsInitArgs) -> anyhow::Result<()> {
    let dir = args.dir.clone().unwrap_or_else(|| supervisor::state_directory().join("tls"));
    let dir = std::path::absolute(&dir).context("the directory has no absolute path")?;
    make_directory(&dir).coded("choose another directory with --dir", FAILED)?;
    let now = Clock::start().now();
    let path = |name: &str| dir.join(name);
    let (ca_key, new_ca) = ca(&path("ca.pem"), &path("ca.key"), now)?;
    let params = ca_params(now)?;
    let issuer = Issuer::from_params(&params, ca_key);
    let key = KeyPair::generate().context("no key could be made")?;
    let mut server =
        CertificateParams::new(args.names.clone()).hint("--name takes host names and addresses")?;
    server.distinguished_name = named("autoscale development");
    (server.not_before, server.not_after) = validity(now, CERTIFICATE_DAYS)?;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    let certificate = server.signed_by(&key, &issuer).context("no certificate could be made")?;
    let made = Made {
        ca: path("ca.pem"),
        certificate: path("server.pem"),
        key: path("server.key"),
        names: &args.names,
        new_ca,
    };
    write_private(&made.key, &key.serialize_pem())?;
    write_private(&made.certificate, &certificate.pem())?;
    match args.output {
        Output::Table => explain(&made),
        format => output::value(&made, format == Output::Yaml)?,
    }
    Ok(())
}

fn explain(made: &Made<'_>) {
    let (ca, certificate, key) = (made.ca.display(), made.certificate.display(), made.key.display());
    let what = if made.new_ca { "a development CA and a certificate" } else { "a certificate of your CA" };
    output::line(&format!("made {what} for {}", made.names.join(", ")));
    output::line(&format!("  use it     autoscale run --tls-cert {certificate} --tls-key {key}"));
    output::line(&format!("  trust it   curl --cacert {ca} https://localhost:8000/"));
    output::line(&format!("             NODE_EXTRA_CA_CERTS={ca} (Node), REQUESTS_CA_BUNDLE={ca} (Python)"));
    output::line("             browsers: add ca.pem to the authorities in their settings");
    output::line("whoever has ca.key can pose as any site to those who trust ca.pem: keep it here");
}

/// The CA's key: the one that is there, or a new one with its certificate.
fn ca(certificate: &Path, key: &Path, now: Timestamp) -> anyhow::Result<(KeyPair, bool)> {
    if certificate.exists() && key.exists() {
        let pem = fs_err::read_to_string(key)?;
        let key = KeyPair::from_pem(&pem).hint("remove ca.key and ca.pem to begin anew");
        return Ok((key?, false));
    }
    let pair = KeyPair::generate().context("no key could be made")?;
    let own = ca_params(now)?.self_signed(&pair).context("no certificate could be made")?;
    write_private(key, &pair.serialize_pem())?;
    write_private(certificate, &own.pem())?;
    Ok((pair, true))
}

/// The same every time but for its dates, so that the CA need not be parsed to issue in its name.
fn ca_params(now: Timestamp) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("autoscale development CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = validity(now, CA_DAYS)?;
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// From yesterday, for so many days.
fn validity<T>(now: Timestamp, days: i64) -> anyhow::Result<(T, T)>
where
    T: From<std::time::SystemTime>,
{
    let day = |days: i64| -> anyhow::Result<T> {
        let at = now.checked_add(jiff::SignedDuration::from_secs(days * DAY_SECONDS));
        Ok(T::from(std::time::SystemTime::from(at.context("the clock is beyond all dates")?)))
    };
    Ok((day(-BACKDATED_DAYS)?, day(days)?))
}

fn make_directory(dir: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("cannot make {}", dir.display()))
}

/// Writes a file that only its owner may read, whole or not at all.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let draft = path.with_extension("new");
    let _ = fs_err::remove_file(&draft);
    let mut file = fs_err::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    fs_err::rename(&draft, path)?;
    Ok(())
}
