//! TLS towards an `https://` target: whose certificates are believed.

use std::net::IpAddr;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::config::{LoadConfig, LoadError};

/// Whose certificate a server may show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Anybody's on this machine, where nobody can be in between; elsewhere one has to be named.
    #[default]
    Loopback,
    /// Anybody's.
    Anyone,
    /// Those that these certificates vouch for, in PEM format.
    Authorities(Vec<u8>),
}

/// How to speak to the target in TLS.
pub(crate) struct Secure {
    pub(crate) connector: TlsConnector,
    pub(crate) name: ServerName<'static>,
}

impl Secure {
    /// `None` for a target that is spoken to plainly.
    pub(crate) fn to(config: &LoadConfig) -> Result<Option<Self>, LoadError> {
        if !config.target.is_tls {
            return Ok(None);
        }
        let wrong = |because: String| LoadError::Setting(format!("{}: {because}", config.target));
        let name = ServerName::try_from(config.target.host.clone())
            .map_err(|_| wrong("not a name that a certificate can have".to_owned()))?;
        let provider = Arc::new(ring::default_provider());
        let settings = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(error.to_string()))?;
        let settings = match &config.trust {
            Trust::Authorities(pem) => settings.with_root_certificates(authorities(pem).map_err(wrong)?),
            Trust::Loopback if !is_loopback(&config.target.host) => {
                return Err(wrong("not on this machine: say whose certificate it may show".to_owned()));
            }
            Trust::Loopback | Trust::Anyone => {
                settings.dangerous().with_custom_certificate_verifier(Arc::new(Believing(provider)))
            }
        };
        let connector = TlsConnector::from(Arc::new(settings.with_no_client_auth()));
        Ok(Some(Self { connector, name }))
    }
}

fn authorities(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| format!("no certificate in PEM format: {error}"))?;
        roots.add(certificate).map_err(|error| format!("a certificate cannot vouch for others: {error}"))?;
    }
    if roots.is_empty() {
        return Err("there is no certificate in the file of authorities".to_owned());
    }
    Ok(roots)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Believes whatever certificate is shown, but that its key is there.
#[derive(Debug)]
struct Believing(Arc<CryptoProvider>);

impl ServerCertVerifier for Believing {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str, trust: Trust) -> Option<String> {
        let mut config = LoadConfig::new(url.parse().unwrap());
        config.trust = trust;
        Secure::to(&config).err().map(|error| error.to_string())
    }

    #[test]
    fn only_this_machine_is_believed_unasked() {
        for here in ["https://localhost:1", "https://127.0.0.1", "https://[::1]:8000", "http://example.org"] {
            assert_eq!(refused(here, Trust::Loopback), None, "{here}");
        }
        let elsewhere = "https://example.org/";
        assert!(refused(elsewhere, Trust::Loopback).unwrap().contains("whose certificate"));
        assert_eq!(refused(elsewhere, Trust::Anyone), None);
        assert!(refused(elsewhere, Trust::Authorities(b"none".to_vec())).unwrap().contains("no certificate"));
    }
}
