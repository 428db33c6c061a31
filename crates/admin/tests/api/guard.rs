//! Who is let in, over real connections.

use std::sync::Arc;

use admin::{AdminConfig, Client, ClientError, ServeError};

use crate::support::{pool, pool_with};

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused_on_every_path() {
    let pool = pool(0).await;
    let own = format!("http://{}", pool.address);
    for path in ["/", "/healthz", "/api/v1/status", "/api/v1/nothing"] {
        for foreign in [
            ("host", "evil.example:9900"),
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
        ] {
            let (status, text) = pool.raw(path, &[foreign]).await;
            assert_eq!(status, 403, "{path} {foreign:?}: {text}");
        }
    }
    let headers = [("host", "localhost"), ("sec-fetch-site", "same-origin")];
    assert_eq!(pool.raw("/api/v1/status", &headers).await.0, 200);
    assert_eq!(pool.raw("/api/v1/status", &[("origin", &own)]).await.0, 200);
    assert!(pool.notes.taken.lock().is_empty());
}

#[tokio::test]
async fn the_page_may_not_be_framed_nor_load_from_elsewhere() {
    let pool = pool(0).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = http.get(format!("http://{}/", pool.address)).send().await.unwrap();
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert!(header("content-security-policy").starts_with("default-src 'none'"));
    assert_eq!(header("x-frame-options"), "DENY");
    assert_eq!(header("cache-control"), "no-store");
    assert!(header("content-type").starts_with("text/html"));
}

#[tokio::test]
async fn a_token_must_be_brought() {
    let pool = pool_with(0, Some("s3cret")).await;
    pool.client.status().await.unwrap();
    assert_eq!(pool.raw("/healthz", &[]).await.0, 200);
    assert_eq!(pool.raw("/api/v1/status", &[]).await.0, 401);
    let wrong = Client::new(&pool.address.to_string(), Some("guess".to_owned()), "test").unwrap();
    let error = wrong.stop().await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { status: 401, .. }), "{error:?}");
    assert!(pool.notes.taken.lock().is_empty());
}

#[tokio::test]
async fn only_loopback_without_a_token() {
    let config = |listen: &str, token: Option<&str>| AdminConfig {
        listen: listen.parse().unwrap(),
        token: token.map(str::to_owned),
        hosts: Vec::new(),
    };
    let refused = config("0.0.0.0:0", None).check().unwrap_err();
    assert!(matches!(refused, ServeError::Unguarded(_)) && refused.hint().contains("--admin-token"));
    assert!(config("[::]:0", None).check().is_err());
    assert!(config("0.0.0.0:0", Some("")).check().is_err());
    assert!(config("0.0.0.0:0", Some("two words")).check().is_err());
    assert!(config("0.0.0.0:0", Some("s3cret")).check().is_ok());
    assert!(config("[::1]:0", None).check().is_ok());
    assert!(!format!("{:?}", config("[::1]:0", Some("s3cret"))).contains("s3cret"));
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let pool = pool(0).await;
    let taken = tokio::net::TcpListener::bind(pool.address).await.unwrap_err();
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    let config = AdminConfig { listen: pool.address, token: None, hosts: Vec::new() };
    let ports = Arc::new(crate::support::ports());
    let clock = clock::Clock::start();
    let error = admin::serve(config, ports, clock, pool.shutdown.clone()).await.unwrap_err();
    assert!(
        matches!(&error, ServeError::Bind { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse)
    );
    assert!(error.to_string().contains(&pool.address.to_string()), "{error}");
}
