#!/usr/bin/env python3
"""Real clients through the balancer: one command, one line for each, exit 1 if any got a wrong answer.

    python3 tests/clients/run.py [--autoscale target/debug/autoscale] [--json] [--only NAME]

What is not installed is skipped by name, and nothing is installed: for all of them have curl, node with
the packages undici and ws (NODE_PATH is heeded), h2load, wrk, chromium, and Python's requests and
websockets. Loopback only.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TIMEOUT = 120


class Skipped(Exception):
    """The client is not here."""


class Wrong(Exception):
    """The client is here and did not get what it should."""


def need(program):
    path = shutil.which(program)
    if path is None:
        raise Skipped(f"{program} is not installed")
    return path


def run(words, **more):
    """What a client printed; Wrong if it failed."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT, **more)
    if done.returncode != 0:
        raise Wrong(f"{words[0]} ended with {done.returncode}: {(done.stderr or done.stdout)[-400:].strip()}")
    return done.stdout


def expect(what, wanted, got):
    if wanted != got:
        raise Wrong(f"{what}: expected {wanted!r}, got {str(got)[:200]!r}")


# Each check is handed the places, and returns a figure or None.


def curl(place, extra, version, reuses=True):
    program = need("curl")
    sent = os.urandom(700_000)
    with tempfile.NamedTemporaryFile() as file:
        file.write(sent)
        file.flush()
        form = "%{http_version} %{response_code} %{num_connects} %{size_download}\n"
        common = [program, "-sS", *extra, "-w", form]
        urls = ["-o", "/dev/null", f"{place}/bytes?n=100000", "-o", "/dev/null", f"{place}/bytes?n=1"]
        got = run([*common, *(urls if reuses else urls[:3])])
        wanted = f"{version} 200 1 100000\n" + (f"{version} 200 0 1\n" if reuses else "")
        expect("two requests, one connection", wanted, got)
        chunked = ["-H", "transfer-encoding: chunked"] if version == "1.1" else []
        for upload in (["--data-binary", f"@{file.name}"], [*chunked, "-T", file.name, "-X", "POST"]):
            back = subprocess.run([program, "-sS", *extra, *upload, f"{place}/echo"], capture_output=True, timeout=TIMEOUT)
            expect("an upload comes back", True, back.stdout == sent)
        expect("HEAD", f"{version} 200 1 0", run([*common, "-I", "-o", "/dev/null", f"{place}/bytes?n=5"]).strip())


def curl_websocket(places):
    program = need("curl")
    words, url = [], places.plain.replace("http", "ws", 1)
    if " ws" not in run([program, "--version"]):
        # Built without websockets: the handshake by hand, RFC 6455, 1.3.
        fields = ["connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13",
                  "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="]
        words, url = [word for field in fields for word in ("-H", field)], places.plain
    done = subprocess.run([program, "-sS", "-i", "-N", "--http1.1", "--max-time", "2", *words, f"{url}/ws"],
                          capture_output=True, text=True, timeout=TIMEOUT)
    # It would go on: 28 is its time-out.
    expect("how it ended", 28, done.returncode)
    expect("switched", True, done.stdout.startswith("HTTP/1.1 101"))
    expect("accepted", True, not words or "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in done.stdout)


PYTHON_REQUESTS = """
import requests, sys
plain, secure, ca = sys.argv[1:]
for place in (plain, secure):
    with requests.Session() as session:
        session.verify, session.trust_env = ca, False
        for n in range(200):
            answer = session.get(f"{place}/bytes", params={"n": n})
            assert answer.status_code == 200 and len(answer.content) == n, answer
        sent = bytes(range(256)) * 4000
        assert session.post(f"{place}/echo", data=sent).content == sent
        assert session.post(f"{place}/echo", data=(sent[i:i + 999] for i in range(0, len(sent), 999))).content == sent
        with session.get(f"{place}/bytes?n=3000000", stream=True) as answer:
            assert sum(map(len, answer.iter_content(8192))) == 3000000
print(requests.__version__, 406)
"""

PYTHON_WEBSOCKETS = """
import asyncio, ssl, sys, websockets
plain, secure, ca = sys.argv[1:]
async def talk(place, tls):
    async with websockets.connect(place.replace("http", "ws", 1) + "/ws", ssl=tls, max_size=None) as socket:
        for n in range(200):
            await socket.send(f"message {n}")
            assert await socket.recv() == f"message {n}"
        large = bytes(range(256)) * 4096
        await socket.send(large)
        assert await socket.recv() == large
        await asyncio.wait_for(await socket.ping(), 10)
async def main():
    await asyncio.gather(*(talk(plain, None) for _ in range(20)))
    await talk(secure, ssl.create_default_context(cafile=ca))
asyncio.run(main())
print(websockets.__version__, 21 * 201)
"""

NODE_UNDICI = """
const [plain, secure] = process.argv.slice(1);
let undici; try { undici = require('undici'); } catch { undici = null; }
const get = undici ? undici.fetch : fetch;
const version = undici ? require('undici/package.json').version : process.versions.undici + ', built in';
(async () => {
  let count = 0;
  for (const place of [plain, secure]) {
    await Promise.all(Array.from({ length: 200 }, async (_, n) => {
      const answer = await get(`${place}/bytes?n=${n}`);
      const length = (await answer.arrayBuffer()).byteLength;
      if (answer.status !== 200 || length !== n) throw new Error(`${answer.status} ${length} for ${n}`);
      count++;
    }));
    const sent = 'y'.repeat(500000);
    const back = await (await get(`${place}/echo`, { method: 'POST', body: sent })).text();
    if (back !== sent) throw new Error('an upload came back changed');
    count++;
  }
  console.log(version, count);
})().catch(error => { console.error(error); process.exit(1); });
"""

NODE_WS = """
const [plain, secure] = process.argv.slice(1);
const WebSocket = require('ws');
const talk = place => new Promise((done, failed) => {
  const socket = new WebSocket(place.replace('http', 'ws') + '/ws');
  let back = 0;
  socket.on('open', () => { for (let n = 0; n < 200; n++) socket.send('message ' + n); });
  socket.on('message', data => {
    if (data.toString() !== 'message ' + back++) failed(new Error('wrong message'));
    if (back === 200) { socket.close(1000); }
  });
  socket.on('close', code => code === 1000 ? done() : failed(new Error('closed with ' + code)));
  socket.on('error', failed);
});
Promise.all([talk(plain), talk(secure)])
  .then(() => console.log(require('ws/package.json').version, 400))
  .catch(error => { console.error(error); process.exit(1); });
"""


def python(module, script):
    def check(places):
        if subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True).returncode:
            raise Skipped(f"Python's {module} is not installed")
        version, count = run([sys.executable, "-c", script, *places.all()]).rsplit(" ", 1)
        return f"{version}, {int(count)} exchanges"

    return check


def node(package, script):
    def check(places):
        program = need("node")
        if package and subprocess.run([program, "-e", f"require('{package}')"], capture_output=True).returncode:
            raise Skipped(f"node's package {package} is not installed (or not on NODE_PATH)")
        trust = {**os.environ, "NODE_EXTRA_CA_CERTS": places.ca}
        version, count = run([program, "-e", script, "--", *places.all()[:2]], env=trust).rsplit(" ", 1)
        return f"{version}, {int(count)} exchanges"

    return check


def h2load(url, words):
    text = run([need("h2load"), "-n", "20000", "-c", "20", "-m", "32", *words, f"{url}/bytes?n=128"])
    counted = re.search(r"requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored", text)
    expect("succeeded, failed, errored", ("20000", "0", "0"), counted and counted.groups())
    expect("application protocol", True, "h2" in text)
    return re.search(r"finished in .*?, ([\d.]+) req/s", text).group(1) + " requests/s"


def wrk(places):
    text = run([need("wrk"), "-t", "1", "-c", "50", "-d", "3s", f"{places.plain}/bytes?n=128"])
    trouble = [line.strip() for line in text.splitlines() if "Non-2xx" in line or "Socket errors" in line]
    expect("trouble", [], trouble)
    return re.search(r"Requests/sec:\s*([\d.]+)", text).group(1) + " requests/s"


def browser(url):
    found = [name for name in ("chromium", "chromium-browser", "google-chrome") if shutil.which(name)]
    if not found:
        raise Skipped("no Chromium is installed")
    with tempfile.TemporaryDirectory() as profile:
        text = run([found[0], "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                    "--ignore-certificate-errors", f"--user-data-dir={profile}", "--dump-dom", f"{url}/page"])
    verdict = re.search(r"id=\"?verdict\"?>([^<]*)<", text)
    expect("what the page says", "websocket-ok", verdict and verdict.group(1))
    return run([found[0], "--version"]).strip() + ", 50 messages"


CHECKS = [
    ("curl, HTTP/1.1", lambda p: curl(p.plain, ["--http1.1"], "1.1")),
    # curl 7.88 cannot use such a connection twice, with nginx neither.
    ("curl, h2 by prior knowledge", lambda p: curl(p.plain, ["--http2-prior-knowledge"], "2", reuses=False)),
    ("curl, TLS, HTTP/1.1", lambda p: curl(p.secure, ["--http1.1", "--cacert", p.ca], "1.1")),
    ("curl, TLS, h2 by ALPN", lambda p: curl(p.secure, ["--http2", "--cacert", p.ca], "2")),
    ("curl, websocket", curl_websocket),
    ("Python requests", python("requests", PYTHON_REQUESTS)),
    ("Python websockets", python("websockets", PYTHON_WEBSOCKETS)),
    ("Node undici", node(None, NODE_UNDICI)),
    ("Node ws", node("ws", NODE_WS)),
    ("h2load, plain", lambda p: h2load(p.plain, ["-p", "h2c"])),
    ("h2load, TLS", lambda p: h2load(p.secure, [])),
    ("wrk", wrk),
    ("Chromium, a page with a websocket", lambda p: browser(p.plain)),
    ("Chromium, the same by TLS", lambda p: browser(p.secure)),
]


class Places:
    """Two origins, and the balancer before them twice: plain and in TLS."""

    def __init__(self, program, folder):
        self.processes = []
        origins = [self.start([sys.executable, str(HERE / "origin.py")]).strip() for _ in range(2)]
        run([program, "tls", "init", "--dir", folder])
        self.ca = str(next(path for path in Path(folder).iterdir() if path.name == "ca.pem"))
        files = ["--tls-cert", f"{folder}/server.pem", "--tls-key", f"{folder}/server.key"]
        backends = [word for port in origins for word in ("--backend", f"127.0.0.1:{port}")]
        common = [program, "balance", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", *backends]
        self.plain = self.start(common).removeprefix("listening on ").strip()
        self.secure = self.start([*common, *files]).removeprefix("listening on ").strip()

    def start(self, words):
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        return process.stdout.readline()

    def all(self):
        return [self.plain, self.secure, self.ca]

    def end(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(timeout=60)


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--autoscale", default=str(HERE.parent.parent / "target/debug/autoscale"))
    words.add_argument("--json", action="store_true")
    words.add_argument("--only", default="", help="checks whose name holds this")
    asked = words.parse_args()
    if shutil.which(asked.autoscale) is None:
        sys.exit(f"error: {asked.autoscale} is not there\nhint: cargo build -p autoscale-cli, or --autoscale PATH")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        places = Places(asked.autoscale, folder)
        try:
            for name, check in CHECKS:
                if asked.only not in name:
                    continue
                begun = time.monotonic()
                try:
                    verdict, text = "right", check(places) or ""
                except Skipped as why:
                    verdict, text = "skipped", str(why)
                except (Wrong, subprocess.TimeoutExpired) as why:
                    verdict, text = "WRONG", str(why)
                took = round(time.monotonic() - begun, 1)
                found.append({"client": name, "verdict": verdict, "took_s": took, "text": text})
                if not asked.json:
                    print(f"{name:34} {verdict:8} {took:5.1f} s  {text}", flush=True)
        finally:
            places.end()
    if asked.json:
        print(json.dumps(found, indent=1))
    sys.exit(1 if any(one["verdict"] == "WRONG" for one in found) else 0)


if __name__ == "__main__":
    main()
