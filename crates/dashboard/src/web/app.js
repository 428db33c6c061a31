// Fetches cycles, draws the view, sends orders. Text only ever enters as text.
const view = new View();
const outlook = new Outlook();
const at = id => document.getElementById(id);
const charts = { signal: new Chart(at("signal-chart")), instances: new Chart(at("instances-chart")) };
const clock = time => new Date(time).toLocaleTimeString([], { hour12: false });
const group = value => Math.round(value).toLocaleString("en");
const known = (value, format) => value === null || value === undefined ? "–" : format(value);
let problem = "connecting";

function put(id, text, name) {
  const element = at(id);
  if (element.textContent !== text) element.textContent = text;
  if (name !== undefined) element.className = name;
}

function cell(row, content, name = "") {
  const made = row.insertCell();
  made.className = name;
  made.append(content);
  return made;
}

function condition() {
  if (problem) return [problem, true];
  if (view.blind) return [`no answer since ${clock(view.blind.since)}`, true];
  if (!view.last) return ["waiting for the first turn", false];
  const order = orderInForce(view.last.decision, view.now);
  if (order) return [order, true];
  return [view.last.applied === "dry_run" ? "dry run" : "automatic", false];
}

function figures() {
  const { seen, decision } = view.last, measured = decision.measured, fleet = seen.fleet, traffic = seen.traffic;
  const byCpu = !measured || measured.signal === "worker_cpu", cpu = view.cpu();
  const tone = byCpu && cpu !== null ? (measured?.up != null && cpu > measured.up ? "high"
    : measured?.down != null && cpu < measured.down ? "low" : "") : "";
  put("cpu", known(cpu, value => `${value.toFixed(1)} %`), tone);
  const lines = [["out above", measured?.up], ["in below", measured?.down]]
    .filter(([, line]) => line != null).map(([word, line]) => `${word} ${withUnit(line, measured.unit)}`).join(", ");
  put("lines", byCpu ? lines : `${measured.signal} ${known(measured.value, v => withUnit(v, measured.unit))}; ${lines}`);
  put("replicas", `${fleet.ready} / ${desired(decision)}`);
  const others = ["starting", "unhealthy", "backoff", "draining"].filter(state => fleet[state] > 0)
    .map(state => `${fleet[state]} ${state}`);
  put("states", [...others, `min ${decision.in_force.min}, max ${decision.in_force.max}`].join(" · "));
  const rate = view.perSecond(), latency = view.latency();
  put("rpm", known(rate, value => group(value * 60)));
  put("rate", known(rate, value => `${value.toFixed(1)} per second`));
  const millis = s => s * 1000 < 9.95 ? (s * 1000).toFixed(1) : (s * 1000).toFixed(0);
  put("latency", known(latency, found => [found.p50_s, found.p95_s, found.p99_s].map(millis).join(" / ")));
  put("failed", group(view.failures), view.failures > 0 ? "bad" : "");
  put("flight", `${known(traffic?.in_flight, String)} in flight, ${known(traffic?.queued, String)} queued`);
  const reaction = view.reaction();
  put("reaction", known(reaction, found => `${found.total.toFixed(1)} s`));
  const short = s => s === 0 ? "0" : s.toFixed(s < 0.995 ? 2 : 1);
  put("parts", reaction ? Object.entries(reaction.parts)
    .map(([part, s]) => `${part}\u00a0${known(s, short)}`).join(" ") : "no scale-out yet");
  outlook.figures(measured?.unit);
  put("used", group(view.used));
  const saved = view.fixed > 0 ? 100 * (1 - view.used / view.fixed) : -1;
  put("saved", saved >= 0 ? `${saved.toFixed(0)} % less than ${decision.in_force.max} always` : "");
}

function reasons() {
  const decision = view.asked ?? view.last.decision, said = because(decision.recommended.because);
  const wants = decision.recommended.replicas;
  put("reason", `${outcome(decision)}${change(decision) === 0 && wants !== decision.current ? `, wants ${wants}` : ""}: ${said}`);
  const time = until => until ? ` (${left(seconds(view.now, Date.parse(until)))} left)` : "";
  const held = blockers(decision).map(blocked => {
    const why = because(blocked.because);
    return `${words(blocked.by)}${time(blocked.until)}${why.includes(said) ? "" : `: ${why}`}`;
  });
  const flip = decision.nearest_flip;
  put("hold", [held.length ? `blocked by ${held.join(", ")}` : "",
    flip ? `nearest flip → ${flip.replicas}: ${because(flip.because)}` : ""].filter(Boolean).join(" · "));
  trail(decision, time);
}

function trail(decision, time) {
  const body = document.createElement("tbody"), { measured, in_force: inForce } = decision;
  const row = (label, text) => { const made = body.insertRow(); cell(made, label); cell(made, text); };
  const step = ({ replicas, rule, because: why }) => `${replicas} · ${rule}: ${because(why)}`;
  row("in force", `policy ${inForce.policy}, ${inForce.min} to ${inForce.max} replicas`);
  if (measured) row("measured", `${measured.signal} ${known(measured.value, value => withUnit(value, measured.unit))}`);
  for (const bad of decision.unsound ?? [])
    row("unsound", `${bad.signal}${bad.worker ? ` of ${slot(bad.worker)}` : ""}, ${bad.dropped ? "not taken" : "taken"}: ${because(bad.because)}`);
  for (const out of decision.excluded) row("left out", `${slot(out.worker)}: ${because(out.because)}`);
  row("before", String(decision.current));
  for (const alarm of decision.alarms ?? []) {
    row("alarm", `${alarm.name} ${alarm.state}: ${alarm.breaching} of the last ${alarm.of} datapoints breach, ${alarm.needed} needed`);
  }
  for (const member of decision.members ?? []) row("member", `${step(member.step)} (${member.policy})`);
  if (decision.raw) row("formula", step(decision.raw));
  if (decision.overruled) row("policy", step(decision.overruled));
  row("recommended", step(decision.recommended));
  for (const limit of decision.limited) row("limited to", step(limit));
  row("final", String(desired(decision)));
  for (const blocked of decision.blocked_by) row("blocked by", `${blocked.by}${time(blocked.until)}: ${because(blocked.because)}`);
  if (decision.nearest_flip) row("nearest flip", `${decision.nearest_flip.replicas} · ${because(decision.nearest_flip.because)}`);
  at("trail").replaceChildren(body);
}

function age(s) {
  if (s < 100) return `${Math.floor(s)} s`;
  return s < 6000 ? `${Math.floor(s / 60)} min` : s < 360000 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
}

function bar(percent) {
  const cover = document.createDocumentFragment();
  if (percent === null) { cover.append("–"); return cover; }
  const frame = document.createElement("span"), filled = document.createElement("b");
  frame.className = "bar";
  filled.style.width = `${Math.min(100, Math.max(0, percent))}%`;
  frame.append(filled);
  cover.append(frame, `${percent.toFixed(0)} %`);
  return cover;
}

const SYMBOLS = { ready: "●", starting: "◌", draining: "▽", unhealthy: "!", backoff: "‖" };
const KINDS = { out: "▲", in: "▼", blocked: "■", order: "●", lost: "✗", refused: "!", blind: "?" };

function workers() {
  // A row that is replaced under the pointer would lose the click: rows stay while their worker does.
  const body = at("workers"), old = new Map([...body.rows].map(row => [row.dataset.id, row]));
  const rows = view.last.seen.workers.map(worker => {
    const row = old.get(worker.id) ?? document.createElement("tr");
    const buttons = row.lastElementChild ?? steering(worker);
    row.dataset.id = worker.id;
    row.replaceChildren();
    cell(row, slot(worker.id));
    cell(row, worker.address?.tcp ? `http://${worker.address.tcp}` : worker.address?.unix ? `unix:${worker.address.unix}` : "–");
    cell(row, known(worker.pid, String), "n");
    cell(row, `${SYMBOLS[worker.state] ?? "·"} ${worker.state}`, `state-${worker.state}`);
    cell(row, bar(worker.cpu_percent));
    cell(row, known(worker.memory_bytes, bytes => `${(bytes / 1048576).toFixed(1)} MiB`), "n");
    cell(row, String(worker.in_flight), "n");
    cell(row, known(view.workerPerMinute(worker.id), group), "n");
    cell(row, age(seconds(Date.parse(worker.started_at), view.now)), "n");
    cell(row, String(worker.restarts), "n");
    row.append(buttons);
    return row;
  });
  if (rows.length !== body.rows.length || rows.some((row, place) => body.rows[place] !== row)) body.replaceChildren(...rows);
}

function steering(worker) {
  const made = document.createElement("td"), name = slot(worker.id);
  for (const [word, question] of [["drain", "finish its requests, then stop it"], ["kill", "now, as a crash would"]]) {
    const button = document.createElement("button");
    button.textContent = word;
    button.title = question;
    button.addEventListener("click", () => {
      const here = view.last.seen.workers.some(other => other.id === worker.id);
      if (!here) notice(`${name} is gone already`);
      else if (confirm(`${word} ${name} (PID ${worker.pid ?? "–"}): ${question}?`)) order(`workers/${name}/${word}`);
    });
    made.append(button, " ");
  }
  return made;
}

function story() {
  at("events").replaceChildren(...view.events.slice(0, 60).map(event => {
    const line = document.createElement("li");
    const part = (name, text, tag = "span") => {
      const made = document.createElement(tag);
      made.className = name;
      made.textContent = text;
      line.append(made);
    };
    part("", clock(event.at), "time");
    part(`kind-${event.kind}`, KINDS[event.kind]);
    part(`kind-${event.kind}`, event.what);
    part("because", event.why);
    return line;
  }));
}

function plots() {
  if (view.now === null) return;
  const elapsed = seconds(view.turns[0].at, view.now);
  const span = Number(at("span").value) || ([60, 120].find(span => span >= elapsed) ?? 300);
  charts.signal.signal(view, span);
  charts.instances.instances(view, span);
  const measured = view.last?.decision.measured, unit = measured?.unit ?? "";
  put("signal", `${measured?.signal.replaceAll("_", " ") ?? "signal"}${unit ? ` in ${unit}` : ""}`);
  const pointed = charts.signal.reading(), counted = charts.instances.reading();
  put("signal-at", pointed ? `${clock(pointed.at)}: ${known(pointed.value, value => withUnit(value, unit))}` : "");
  put("instances-at", counted?.fleet ? `${clock(counted.at)}: ${counted.fleet.ready} ready of ${counted.desired}` : "");
}

function draw() {
  const [text, loud] = condition();
  put("condition", text, loud ? "badge loud" : "badge");
  document.querySelector("main").className = problem || view.blind ? "stale" : "";
  put("clock", view.now === null ? "" : clock(view.now));
  if (!view.last) return;
  const { in_force: inForce, measured } = view.last.decision;
  put("policy", `${inForce.policy}${measured ? ` on ${measured.signal}` : ""}`);
  put("pause", orderInForce(view.last.decision, view.now) ? "resume" : "pause");
  figures();
  reasons();
  workers();
  story();
  plots();
}

let noticeTimer;
function notice(text) {
  put("notice", text);
  at("notice").hidden = false;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => { at("notice").hidden = true; }, 8000);
}

// A token, where one is needed, comes as `#token=…` and stays in this tab.
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) { sessionStorage.setItem("token", given); history.replaceState(null, "", location.pathname); }
function ask(path, options = {}) {
  const token = sessionStorage.getItem("token");
  const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  return fetch(path, { ...options, headers });
}
const api = (path, options) => ask(`/api/v1/${path}`, options);

async function order(path, body = { by: "web" }) {
  try {
    const steers = path.startsWith("workers/");
    const sent = steers ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    const answer = await api(path, { method: "POST", ...sent });
    const told = await answer.json().catch(() => ({}));
    notice(answer.ok ? told.text ?? "done" : [told.error ?? `refused (${answer.status})`, told.hint].filter(Boolean).join("; "));
  } catch { notice("the pool does not answer"); }
}

at("more").addEventListener("click", () => order("scale", { replicas: "+1", by: "web" }));
at("fewer").addEventListener("click", () => order("scale", { replicas: "-1", by: "web" }));
at("pause").addEventListener("click", () => order(at("pause").textContent));
at("span").addEventListener("change", plots);
for (const chart of Object.values(charts)) chart.onpoint = plots;
new ResizeObserver(plots).observe(at("charts"));

const SILENT_MS = 8000, AGAIN_MS = 1000;
let heard = 0;

async function read(stream, abort) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  const watch = setInterval(() => {
    if (performance.now() - heard > SILENT_MS) { problem = "no news"; draw(); }
    if (performance.now() - heard > 4 * SILENT_MS) abort.abort();
  }, 1000);
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const events = (rest + value).split(/\r?\n\r?\n/);
      rest = events.pop();
      const cycles = events.map(event => event.split(/\r?\n/).filter(line => line.startsWith("data:"))
        .map(line => line.slice(5)).join("\n")).filter(Boolean).map(text => JSON.parse(text))
        .filter(cycle => cycle.decided || cycle.blind);
      if (cycles.length === 0) continue;
      cycles.forEach(cycle => view.apply(cycle));
      heard = performance.now();
      problem = "";
      draw();
    }
  } finally { clearInterval(watch); }
}

async function follow() {
  for (;;) {
    try {
      const past = await api("cycles?last=600");
      if (!past.ok) throw new Error(past.status === 401 ? "a token is needed: open this page with #token=…" : `error ${past.status}`);
      (await past.json()).forEach(cycle => view.apply(cycle));
      heard = performance.now();
      problem = "";
      draw();
      const abort = new AbortController();
      // Some turns again, so that none is lost between the two requests; `apply` drops repetitions.
      const stream = await api("cycles/stream?last=20", { signal: abort.signal });
      if (!stream.ok) throw new Error(`error ${stream.status}`);
      await read(stream.body, abort);
      problem = "connection lost, trying again";
    } catch (error) {
      problem = error instanceof TypeError || error.name === "AbortError" ? "the pool does not answer, trying again" : error.message;
    }
    draw();
    await new Promise(resolve => setTimeout(resolve, AGAIN_MS));
  }
}
async function expect() {
  for (;;) {
    try {
      const answer = await ask("/predict");
      outlook.apply(answer.ok ? await answer.json() : null);
      at("band-legend").hidden = outlook.said.length < 2;
      if (answer.status === 404) return;
    } catch { /* the page says already that the pool does not answer */ }
    await new Promise(resolve => setTimeout(resolve, ASKED_MS));
  }
}
draw();
follow();
expect();
