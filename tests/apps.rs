//! Other people's apps as workers: what is measured and ended is the whole process tree.

use rustix::process::Signal;

use crate::harness::{AUTOSCALE, Bench, Running, Traffic, get, signal, there_is, until};

/// Any app can be served, scaled, killed and ended.
async fn serves(bench: &Bench, mut pool: Running) {
    pool.until_ready(1).await;
    let load = Traffic::closed(&pool.url, 2);
    pool.ask(bench, &["scale", "2", "--hold", "1h"]).await.well();
    let two = pool.until_ready(2).await;
    for worker in &two.workers {
        assert!(worker.memory_bytes > Some(1_000_000), "{worker:?}");
    }
    let victim = two.workers[0].pid.unwrap();
    signal(victim, Signal::KILL);
    pool.until("it is replaced", |status| {
        status.ready == 2 && status.workers.iter().all(|worker| worker.pid != Some(victim))
    })
    .await;
    pool.ask(bench, &["scale", "1", "--hold", "1h"]).await.well();
    pool.until_ready(1).await;
    load.end_without_failure().await;
    pool.signal(Signal::INT);
    assert_eq!(pool.ended().await.code(), Some(0));
    assert_eq!(bench.processes(), []);
}

#[tokio::test]
async fn pythons_own_server() {
    if !there_is("python3") {
        return;
    }
    let bench = Bench::whole_machine().await;
    bench.write("index.html", "hello\n");
    let command =
        ["--queue-timeout", "50s", "--", "python3", "-m", "http.server", "$PORT", "--bind", "127.0.0.1"];
    let pool = bench.run(&command).await;
    assert_eq!(get(&pool.url).await.map(|answer| answer.body), Ok("hello\n".to_owned()));
    serves(&bench, pool).await;
}

#[tokio::test]
async fn a_node_server() {
    if !there_is("node") {
        return;
    }
    let bench = Bench::whole_machine().await;
    bench.write(
        "app.js",
        "require('http').createServer((_, answer) => answer.end('hello\\n')).listen(process.env.PORT)\n",
    );
    let pool = bench.run(&["--queue-timeout", "50s", "--", "node", "app.js"]).await;
    assert_eq!(get(&pool.url).await.map(|answer| answer.body), Ok("hello\n".to_owned()));
    serves(&bench, pool).await;
}

#[tokio::test]
async fn gunicorn_and_its_children() {
    if !there_is("gunicorn") {
        return;
    }
    let bench = Bench::whole_machine().await;
    bench.write(
        "app.py",
        "def app(_, answer):\n    answer('200 OK', [('content-length', '6')])\n    return [b'hello\\n']\n",
    );
    let command = ["gunicorn", "-w", "2", "-b", "127.0.0.1:{port}", "app:app"];
    let words: Vec<&str> = ["--queue-timeout", "50s", "--"].into_iter().chain(command).collect();
    let pool = bench.run(&words).await;
    assert_eq!(get(&pool.url).await.map(|answer| answer.body), Ok("hello\n".to_owned()));
    until("it has forked its own", async || {
        let its_own = |command: &str| command.ends_with("app:app") && !command.contains("autoscale");
        let count = bench.processes().iter().filter(|process| its_own(&process.command)).count();
        if count == 3 { Ok(()) } else { Err(format!("{:?}", bench.processes())) }
    })
    .await;
    serves(&bench, pool).await;
}

#[tokio::test]
async fn cpu_is_that_of_the_whole_tree() {
    let bench = Bench::new().await;
    // The shell does nothing, its child does all.
    let words = ["--max", "1", "--worker-cpus", "0.25", "--", "sh", "-c"];
    let child = "\"$0\" worker --port $PORT --cpus 0.25 & wait";
    let pool = bench.run(&[&words[..], &[child, AUTOSCALE]].concat()).await;
    pool.until_ready(1).await;
    let load = Traffic::closed(&format!("{}/?cpu_ms=20", pool.url), 4);
    let busy =
        pool.until("its child's work is seen", |status| status.workers[0].cpu_percent > Some(20.0)).await;
    assert!(busy.workers[0].memory_bytes > Some(2_000_000), "{:?}", busy.workers);
    load.end_without_failure().await;
}

/// Answers on a Unix socket with what it finds of it.
const ON_A_SOCKET: &str = "
import http.server, os, socketserver, stat, sys

class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        folder = os.path.dirname(sys.argv[1])
        body = f'{folder} {stat.S_IMODE(os.stat(folder).st_mode):o}'.encode()
        self.send_response(200)
        self.send_header('content-length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def address_string(self):
        return 'somebody'

class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

Server(sys.argv[1], Answer).serve_forever()
";

#[tokio::test]
async fn an_app_on_a_unix_socket() {
    if !there_is("python3") {
        return;
    }
    let bench = Bench::whole_machine().await;
    bench.write("app.py", ON_A_SOCKET);
    let pool = bench.run(&["--queue-timeout", "50s", "--", "python3", "app.py", "{socket}"]).await;
    let said = get(&pool.url).await.unwrap().body;
    let (folder, mode) = said.split_once(' ').unwrap();
    assert_eq!(mode, "700", "nobody else may connect");
    let folder = std::path::PathBuf::from(folder);
    serves(&bench, pool).await;
    assert!(!folder.exists(), "nothing is left");
}
