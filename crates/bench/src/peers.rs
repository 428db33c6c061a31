//! Balancers under test and the server behind them, each a process that ends with its handle.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

/// Threads or processes of each peer.
pub(crate) const THREADS: usize = 2;

/// Time to begin to listen.
const START_MAX: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Our name among peers.
pub(crate) const OWN: &str = "autoscale";

/// A process that listens.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Peer {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // nginx's master would leave its workers behind if it were killed.
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        if !asked.is_ok_and(|status| status.success()) || self.child.wait().is_err() {
            let _ = self.child.kill();
        }
    }
}

/// Any free port; another program could take it before the peer does, and then the start fails.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn start(name: &'static str, address: SocketAddr, command: &mut Command) -> anyhow::Result<Peer> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("{name} could not be started"))?;
    let peer = Peer { name, address, child };
    let started = Instant::now();
    while TcpStream::connect(address).is_err() {
        anyhow::ensure!(started.elapsed() < START_MAX, "{name} does not listen on {address}");
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(peer)
}

/// Servers in one process: fixed answers on many ports and two Unix sockets.
pub(crate) struct Backends {
    _process: Peer,
    pub(crate) tcp: Vec<String>,
    pub(crate) unix: Vec<String>,
}

/// Sizes of answers, by path: `/128`, `/1024`, `/65536`; `/upload` answers as the first once it has
/// read the whole body.
const SIZES: [usize; 3] = [128, 1_024, 65_536];

pub(crate) fn backends(folder: &Path, ports: usize) -> anyhow::Result<Backends> {
    for size in SIZES {
        fs_err::write(folder.join(size.to_string()), "x".repeat(size))?;
    }
    // All held at once, so that they differ.
    let held: Vec<TcpListener> =
        (0..ports).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<_, _>>()?;
    let tcp: Vec<SocketAddr> = held.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
    drop(held);
    let unix: Vec<String> =
        ["a.sock", "b.sock"].iter().map(|name| format!("unix:{}", folder.join(name).display())).collect();
    let listen: String =
        tcp.iter().map(SocketAddr::to_string).chain(unix.clone()).map(|at| format!("listen {at};")).collect();
    let config = format!(
        "worker_processes 1; daemon off; pid {folder}/backend.pid; error_log /dev/null;\n\
         events {{ worker_connections 8192; }}\n\
         http {{ access_log off; keepalive_requests 1000000000; sendfile on; tcp_nopush off;\n\
           open_file_cache max=16; client_body_temp_path {folder}/bt; proxy_temp_path {folder}/pt;\n\
           fastcgi_temp_path {folder}/ft; uwsgi_temp_path {folder}/ut; scgi_temp_path {folder}/st;\n\
           server {{ {listen} root {folder};\n\
             default_type text/plain; location = /healthz {{ return 200 ok; }}\n\
             location = /upload {{ proxy_method GET; proxy_pass_request_body off;\n\
               proxy_set_header Content-Length \"\"; proxy_pass http://{first}/128; }} }} }}\n",
        folder = folder.display(),
        first = tcp[0],
    );
    let process = nginx("backend", tcp[0], folder, &config)?;
    Ok(Backends { _process: process, tcp: tcp.iter().map(SocketAddr::to_string).collect(), unix })
}

fn nginx(name: &'static str, address: SocketAddr, folder: &Path, config: &str) -> anyhow::Result<Peer> {
    let path = folder.join(format!("{name}.conf"));
    fs_err::write(&path, config)?;
    start(name, address, Command::new("nginx").arg("-p").arg(folder).arg("-c").arg(&path))
}

pub(crate) fn nginx_balancer(folder: &Path, backends: &[String]) -> anyhow::Result<Peer> {
    let address = free_address()?;
    nginx(
        "nginx",
        address,
        folder,
        &nginx_config(folder, backends, &format!("listen {address} reuseport;"), "n"),
    )
}

/// With TLS 1.3 alone, and HTTP/2.
pub(crate) fn nginx_tls(folder: &Path, backends: &[String], tls: &Certificate) -> anyhow::Result<Peer> {
    let address = free_address()?;
    let server = format!(
        "listen {address} ssl http2 reuseport; ssl_protocols TLSv1.3; ssl_certificate {}; ssl_certificate_key {};",
        tls.certificate.display(),
        tls.key.display()
    );
    nginx("nginx, TLS", address, folder, &nginx_config(folder, backends, &server, "s"))
}

/// `tag` tells its files from another's.
fn nginx_config(folder: &Path, backends: &[String], server: &str, tag: &str) -> String {
    let servers: String = backends.iter().map(|backend| format!("server {backend};")).collect();
    format!(
        "worker_processes {THREADS}; daemon off; pid {folder}/{tag}.pid; error_log /dev/null;\n\
         events {{ worker_connections 8192; }}\n\
         http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {folder}/{tag}bt;\n\
           proxy_temp_path {folder}/{tag}pt; fastcgi_temp_path {folder}/{tag}ft;\n\
           uwsgi_temp_path {folder}/{tag}ut; scgi_temp_path {folder}/{tag}st;\n\
           upstream app {{ {servers} keepalive 128; keepalive_requests 1000000000; }}\n\
           server {{ {server} server_name localhost; location / {{ proxy_pass http://app;\n\
             proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header Host $host;\n\
             proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
             proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Request-Id $request_id; }} }} }}\n",
        folder = folder.display(),
    )
}

/// `probes` are what each server's line ends in; without them nothing is asked but what is forwarded.
pub(crate) fn haproxy_balancer(folder: &Path, backends: &[String], probes: &str) -> anyhow::Result<Peer> {
    let address = free_address()?;
    let servers: String =
        (1..).zip(backends).map(|(n, backend)| format!("  server s{n} {backend} {probes}\n")).collect();
    let config = format!(
        "global\n  nbthread {THREADS}\n  maxconn 8192\n\
         defaults\n  mode http\n  timeout connect 1s\n  timeout client 60s\n  timeout server 60s\n\
         \x20 option forwardfor\n  option httpchk GET /healthz\n  http-reuse always\n\
         frontend f\n  bind {address}\n  unique-id-format %{{+X}}o%ci%cp%Ts%rt\n  unique-id-header X-Request-Id\n\
         \x20 http-request set-header X-Forwarded-Proto http\n  default_backend b\n\
         backend b\n  balance roundrobin\n{servers}",
    );
    let path = folder.join("haproxy.cfg");
    fs_err::write(&path, config)?;
    start("HAProxy", address, Command::new("haproxy").arg("-db").arg("-f").arg(&path))
}

/// The whole program, as its users run it, without probes.
pub(crate) fn autoscale(binary: &Path, backends: &[String]) -> anyhow::Result<Peer> {
    let (address, admin) = (free_address()?, free_address()?);
    let mut command = Command::new(binary);
    command.args(["balance", "--health-check", "off", "--listen", &address.to_string()]);
    command.args(["--admin", &admin.to_string()]);
    for backend in backends {
        command.args(["--backend", backend]);
    }
    start(OWN, address, &mut command)
}

/// Where `--autoscale` says, else beside this program: `cargo build` puts both there.
pub(crate) fn own_binary(options: &[&str]) -> anyhow::Result<PathBuf> {
    let named = options.iter().position(|option| *option == "--autoscale");
    let beside = || Some(std::env::current_exe().ok()?.with_file_name("autoscale"));
    let path = named.and_then(|at| options.get(at + 1)).map(PathBuf::from).or_else(beside);
    path.filter(|path| path.exists())
        .context("the binary `autoscale` is not there; hint: cargo build --release -p autoscale-cli")
}

/// The whole program with all that is on by default, probes included.
pub(crate) fn balancer(
    binary: &Path,
    name: &'static str,
    backends: &[String],
    tls: Option<&Certificate>,
) -> anyhow::Result<Peer> {
    let (address, admin) = (free_address()?, free_address()?);
    let mut command = Command::new(binary);
    command.args(["balance", "--threads", &THREADS.to_string(), "--algorithm", "round_robin"]);
    command.args(["--listen", &address.to_string(), "--admin", &admin.to_string()]);
    for backend in backends {
        command.args(["--backend", backend]);
    }
    if let Some(tls) = tls {
        command.arg("--tls-cert").arg(&tls.certificate).arg("--tls-key").arg(&tls.key);
    }
    start(name, address, &mut command)
}

/// What a server shows by TLS.
pub(crate) struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
}

/// One of our own development CA.
pub(crate) fn certificate(binary: &Path, folder: &Path) -> anyhow::Result<Certificate> {
    let dir = folder.join("tls");
    let output = Command::new(binary).args(["tls", "init", "--dir"]).arg(&dir).output()?;
    anyhow::ensure!(output.status.success(), "tls init: {}", String::from_utf8_lossy(&output.stderr));
    Ok(Certificate { certificate: dir.join("server.pem"), key: dir.join("server.key") })
}
