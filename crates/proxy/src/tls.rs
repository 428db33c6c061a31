//! The certificate that clients are shown, and that may change while they are connected.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

/// What is offered by ALPN, the best first.
const PROTOCOLS: [&[u8]; 2] = [HTTP_2, b"http/1.1"];
/// HTTP/2's name there.
pub(crate) const HTTP_2: &[u8] = b"h2";

/// Why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The text for the certificate holds none.
    #[error("there is no certificate in PEM format: {0}")]
    NoCertificate(String),
    /// The text for the key holds none.
    #[error("there is no private key in PEM format: {0}")]
    NoKey(String),
    /// The two do not go together, or are of a kind that is not known.
    #[error("the certificate and the key are refused: {0}")]
    Refused(rustls::Error),
    /// The cryptography cannot be set up; a defect.
    #[error("TLS cannot be set up: {0}")]
    SetUp(rustls::Error),
}

/// TLS 1.2 and 1.3 for clients, with one certificate at a time.
pub struct Tls {
    acceptor: TlsAcceptor,
    provider: Arc<CryptoProvider>,
    shown: Arc<Shown>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// One is equal to itself only: what it shows changes.
impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Tls {
    /// With a certificate, those that vouch for it behind it, and its key, all in PEM format.
    ///
    /// # Errors
    /// When the texts hold none, or do not go together.
    pub fn new(certificate_pem: &[u8], key_pem: &[u8]) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let first = certified(certificate_pem, key_pem, &provider)?;
        let shown = Arc::new(Shown(ArcSwap::from_pointee(first)));
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::SetUp)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&shown) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        // Clients that come back resume without a signature, whichever thread they meet.
        config.ticketer = ring::Ticketer::new().map_err(TlsError::SetUp)?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), provider, shown })
    }

    /// Shows another certificate to those who connect from now on; connections that stand are not
    /// touched.
    ///
    /// # Errors
    /// As for [`new`](Self::new); then the old one stays.
    pub fn replace(&self, certificate_pem: &[u8], key_pem: &[u8]) -> Result<(), TlsError> {
        let next = certified(certificate_pem, key_pem, &self.provider)?;
        self.shown.0.store(Arc::new(next));
        Ok(())
    }

    pub(crate) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }
}

/// The certificate in force. Whatever name is asked for: there is no other.
#[derive(Debug)]
struct Shown(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

fn certified(
    certificate_pem: &[u8],
    key_pem: &[u8],
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate_pem)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::NoCertificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate("no section CERTIFICATE".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|error| TlsError::NoKey(error.to_string()))?;
    CertifiedKey::from_der(chain, key, provider).map_err(TlsError::Refused)
}
