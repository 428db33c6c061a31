// The view model: cycles in, numbers out. The same arithmetic as `view.rs`.
const HISTORY_S = 600, RATE_SPAN_S = 10, EVENTS_MAX = 200, ANOTHER_RUN_S = 60;

const seconds = (from, to) => (to - from) / 1000;

// Whole numbers bare, small ones with two decimals, others with one: as in the reasons elsewhere.
function number(value) {
  if (Math.abs(value) < 2 && Math.abs(value * 10 - Math.round(value * 10)) > 0.05) return value.toFixed(2);
  return Math.abs(value - Math.round(value)) < 0.05 ? value.toFixed(0) : value.toFixed(1);
}
const withUnit = (value, unit) => unit ? `${number(value)} ${unit}` : number(value);
const slot = id => id.split(".")[0];
const words = rule => rule === "by_hand" ? "hand" : rule.replaceAll("_", " ");

function because(reason) {
  const numbers = new Map(reason.numbers);
  return reason.sentence.replace(/\{(\w+)\}/g, (all, name) => numbers.has(name) ? number(numbers.get(name)) : all);
}

function left(s) {
  const whole = Math.max(0, Math.ceil(s));
  return whole < 100 ? `${whole} s` : `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")} min`;
}

const desired = decision => (decision.limited.at(-1) ?? decision.recommended).replicas;
const change = decision => desired(decision) - decision.current;

function outcome(decision) {
  const by = change(decision);
  if (by === 0) return `stays at ${decision.current}`;
  return `scale ${by > 0 ? "out" : "in"} ${decision.current} → ${desired(decision)}`;
}

function blockers(decision) {
  if (decision.blocked_by.length > 0) return decision.blocked_by;
  const undone = decision.recommended.replicas !== decision.current && change(decision) === 0;
  const last = decision.limited.at(-1);
  return undone && last ? [{ by: last.rule, until: null, because: last.because }] : [];
}

function orderInForce({ in_force: inForce, boost }, now) {
  const [order, until] = inForce.paused ? ["paused", inForce.paused_until]
    : inForce.held !== null ? [`held at ${inForce.held}`, inForce.held_until]
    : boost ? [`boosted to ${boost.min} or more`, boost.until]
    : inForce.scale_in_paused ? ["scale-in paused", inForce.paused_until] : [null, null];
  if (order === null) return null;
  return until === null ? `${order} until resumed` : `${order}, ${left(seconds(now, Date.parse(until)))} left`;
}

class View {
  constructor() {
    Object.assign(this, {
      now: null, last: null, asked: null, blind: null, turns: [], events: [], marks: new Map(),
      told: "", above: null, outs: [], completions: 0, failures: 0, used: 0, fixed: 0,
    });
  }

  apply(cycle) {
    const decided = cycle.decided;
    const at = Date.parse(decided ? decided.seen.at : cycle.blind.at);
    if (this.now !== null && seconds(at, this.now) > ANOTHER_RUN_S) Object.assign(this, new View());
    if (this.now !== null && at <= this.now) return;
    if (decided) this.decided(at, decided); else this.unanswered(at, cycle.blind.because);
    this.now = at;
    this.turns = this.turns.filter(turn => seconds(turn.at, at) <= HISTORY_S);
    this.events.length = Math.min(this.events.length, EVENTS_MAX);
  }

  tell(at, kind, what, why = "") { this.events.unshift({ at, kind, what, why }); }

  unanswered(at, why) {
    if (!this.blind) this.tell(at, "blind", "the pool does not answer", why);
    this.blind = { since: this.blind?.since ?? at, because: why };
    this.turns.push({ at, fleet: null, change: 0, arrivals: 0, measured: 0 });
  }

  decided(at, { seen, decision, applied }) {
    for (const transition of seen.transitions ?? []) this.lost(transition);
    if (this.blind) { this.tell(at, "blind", "the pool answers again"); this.blind = null; }
    for (const command of seen.commands ?? []) this.ordered(at, command);
    const asked = decision.recommended.rule !== "between_turns";
    if (asked) this.block(at, decision);
    this.changed(at, decision, applied);
    this.reactions(at, seen, decision);
    this.addUp(at, seen, decision);
    const { value = null, up = null, down = null } = decision.measured ?? {};
    const ordered = applied === "ordered";
    this.turns.push({
      at, value, up, down, fleet: seen.fleet, shadows: decision.shadows ?? [], change: ordered ? change(decision) : 0, desired: desired(decision),
      arrivals: seen.traffic?.arrivals ?? 0, measured: seen.traffic?.length_s ?? 0, latency: seen.traffic?.latency,
    });
    if (asked) this.asked = decision;
    this.last = { seen, decision, applied };
  }

  lost({ at, worker, pid, from, to, because: why }) {
    if (!from || from === "draining" || !(to === null || to === "backoff" || to === "unhealthy")) return;
    const what = { backoff: "waits after a crash", unhealthy: "unhealthy" }[to] ?? "ended";
    this.tell(Date.parse(at), "lost", `${slot(worker)}${pid ? ` (PID ${pid})` : ""} ${what}`, why);
  }

  ordered(at, { command, to, by }) {
    const scale = () => to === "max" ? "scale to the maximum"
      : "by" in to ? `scale by ${to.by > 0 ? "+" : ""}${to.by}` : `scale to ${to.exactly}`;
    const what = { scale, pause: () => "pause", resume: () => "resume", reload: () => "new configuration" }[command];
    this.tell(at, "order", `order: ${what ? what() : command}`, `by ${by}`);
  }

  block(at, decision) {
    const now = blockers(decision), named = now.map(blocked => blocked.by).join();
    if (now.length === 0) { if (change(decision) === 0) this.told = ""; return; }
    const before = this.told;
    this.told = named;
    if (named === before || change(decision) !== 0) return;
    const what = `${outcome(decision)}, blocked by ${now.map(blocked => words(blocked.by)).join(", ")}`;
    this.tell(at, "blocked", what, now.map(blocked => because(blocked.because)).join("; "));
  }

  changed(at, decision, applied) {
    if (change(decision) !== 0) {
      const limits = decision.limited.map(step => `; ${step.rule}: ${because(step.because)}`).join("");
      const dry = applied === "dry_run" ? " (dry run)" : "";
      const kind = change(decision) > 0 ? "out" : "in";
      this.tell(at, kind, outcome(decision) + dry, because(decision.recommended.because) + limits);
    }
    if (applied.failed !== undefined && applied.failed !== this.last?.applied.failed) {
      this.tell(at, "refused", "order refused", applied.failed);
    }
  }

  reactions(at, seen, decision) {
    const measured = decision.measured;
    const high = measured && measured.value !== null && measured.up !== null && measured.value > measured.up;
    if (!high) this.above = null; else this.above ??= { from: this.now ?? at, to: at };
    let until = Infinity;
    for (const out of this.outs.slice(-8).reverse()) {
      this.follow(out, seen.workers, until);
      until = out.at;
    }
    if (change(decision) === 0) return;
    if (change(decision) > 0) {
      this.outs.push({ at, risen: this.above?.from ?? at, seen: this.above?.to ?? at, ready: null, first: null });
      this.outs = this.outs.slice(-100);
    }
    this.above = null;
  }

  follow(out, workers, until) {
    const time = text => text === null ? null : Date.parse(text);
    const candidates = workers.map(worker => {
      const ready = time(worker.ready_at), since = time(worker.since);
      const back = worker.state === "ready" && since >= out.at && ready !== null && ready < out.at ? since : null;
      return { from: back ?? time(worker.started_at), ready: back ?? ready, first: time(worker.first_request_at) };
    }).filter(({ from, ready }) => from >= out.at && from < until && ready !== null);
    const first = candidates.sort((a, b) => a.ready - b.ready)[0];
    if (!first) return;
    out.ready ??= first.ready;
    if (first.first !== null) out.first ??= Math.max(first.first, out.ready);
  }

  addUp(at, seen, decision) {
    this.completions += seen.traffic?.completions ?? 0;
    this.failures += seen.traffic?.failures ?? 0;
    const fleet = seen.fleet;
    if (this.now !== null) {
      const passed = seconds(this.now, at);
      this.used += (fleet.starting + fleet.ready + fleet.unhealthy + fleet.draining) * passed;
      this.fixed += decision.in_force.max < 4294967295 ? decision.in_force.max * passed : 0;
    }
    const known = new Map();
    for (const worker of seen.workers) {
      const marks = worker.state === "starting" ? [] : this.marks.get(worker.id) ?? [];
      marks.push({ at, requests: worker.requests });
      while (marks.length > 2 && seconds(marks[1].at, at) >= RATE_SPAN_S) marks.shift();
      known.set(worker.id, marks);
    }
    this.marks = known;
  }

  recent() { return this.turns.filter(turn => seconds(turn.at, this.now) < RATE_SPAN_S); }

  perSecond() {
    const turns = this.recent(), length = turns.reduce((sum, turn) => sum + turn.measured, 0);
    return length > 0 ? turns.reduce((sum, turn) => sum + turn.arrivals, 0) / length : null;
  }

  workerPerMinute(id) {
    const marks = this.marks.get(id) ?? [];
    const minutes = marks.length > 1 ? seconds(marks[0].at, marks.at(-1).at) / 60 : 0;
    return minutes > 0 ? Math.max(0, marks.at(-1).requests - marks[0].requests) / minutes : null;
  }

  latency() { return this.recent().findLast(turn => turn.latency)?.latency ?? null; }

  cpu() {
    if (!this.last) return null;
    const { seen, decision } = this.last, measured = decision.measured;
    if (measured?.signal === "worker_cpu" && measured.value !== null) return measured.value;
    const out = new Set(decision.excluded.map(excluded => excluded.worker));
    const read = seen.workers.filter(worker => !out.has(worker.id) && worker.cpu_percent !== null);
    return read.length ? read.reduce((sum, worker) => sum + worker.cpu_percent, 0) / read.length : null;
  }

  reaction() {
    const out = this.outs.findLast(out => out.ready !== null);
    if (!out) return null;
    const parts = { see: seconds(out.risen, out.seen), decide: seconds(out.seen, out.at), start: seconds(out.at, out.ready),
      route: out.first === null ? null : seconds(out.ready, out.first) };
    return { parts, total: parts.see + parts.decide + parts.start + (parts.route ?? 0) };
  }
}
