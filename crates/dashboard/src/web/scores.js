// Results: cost against lateness, heat maps over whatever was varied, and the table.
const MEASURES = [
  ["cost_ratio", "cost ÷ optimum", 1, 3], ["late_request_share", "late requests, %", 100], ["violation_time_share", "time violated, %", 100],
  ["slack", "slack, %", 100], ["p99_s", "p99, s"], ["flaps_per_hour", "flaps an hour"], ["theta_under", "θ under, %"],
  ["theta_over", "θ over, %"], ["instability", "instability υ, %"], ["worker_seconds", "worker-seconds"],
];
const COLUMNS = [["trace", "trace"], ["policy", "policy"], ["start_up_s", "start-up s"], ...MEASURES.slice(0, 7),
  ["scale_outs", "outs"], ["scale_ins", "ins"]];
// Money, where there is a cost file; the ledger of what late scale-outs waited for.
const MONEY = [["trace", "trace"], ["policy", "policy"], ["start_up_s", "start-up s"], ["money.total", "in all", 1, 2],
  ["money.worker_hour", "a worker-hour", 1, 4], ["money.per_month", "a month", 1, 2], ["money.kg_co2e", "kg CO₂e in all"], ["money.kg_co2e_per_month", "kg CO₂e a month"]];
const PARTS = [["detect_s", "detect, s"], ["decide_s", "decide, s"], ["start_s", "start, s"], ["ready_s", "ready, s"], ["slow_start_s", "slow start, s"]];
const LEDGER = [["trace", "trace"], ["policy", "policy"], ["start_up_s", "start-up s"], ["episodes", "late scale-outs"], ...PARTS];
const LATE = [["trace", "trace"], ["policy", "policy"], ["at_s", "at, s"], ["workers", "workers"], ["missing", "worker-s missing"], ...PARTS];

// `hpa:target=60,tolerance=0.1` → its name and what was set.
function settings(policy) {
  const [name, rest] = policy.split(/:(.*)/s);
  const pairs = (rest ?? "").split(",").map(pair => pair.split("=")).filter(pair => pair.length === 2);
  return { name, pairs: pairs.map(([key, value]) => [key.trim(), value.trim()]) };
}

function dimensions(scores) {
  const values = new Map([["policy", new Map()], ["trace", new Map()], ["start_up_s", new Map()]]);
  for (const score of scores) {
    score.places = { policy: score.policy, trace: score.trace, start_up_s: String(score.start_up_s) };
    for (const [key, value] of settings(score.policy).pairs) score.places[key] = value;
    for (const [key, value] of Object.entries(score.places)) {
      if (!values.has(key)) values.set(key, new Map());
      values.get(key).set(value, true);
    }
  }
  const order = (one, other) => Number.isFinite(+one) && Number.isFinite(+other) ? one - other : 0;
  return new Map([...values].map(([key, found]) => [key, [...found.keys()].sort(order)]));
}

function option(select, value, text) { make(select, "option", { value }, text ?? value); }

function heat(scores) {
  const found = dimensions(scores), keys = [...found.keys()].filter(key => found.get(key).length > 1);
  if (scores.length < 2 || keys.length === 0) return;
  at("heat").hidden = false;
  for (const [key, text] of MEASURES) option(at("heat-of"), key, text);
  for (const key of keys) { option(at("heat-rows"), key, key.replace("_s", "")); option(at("heat-columns"), key, key.replace("_s", "")); }
  option(at("heat-columns"), "", "none");
  const swept = keys.filter(key => !["policy", "trace", "start_up_s"].includes(key));
  at("heat-rows").value = swept.length > 1 ? swept[0] : keys.includes("policy") ? "policy" : keys[0];
  at("heat-columns").value = swept.length > 1 ? swept[1]
    : ["start_up_s", "trace"].find(key => keys.includes(key) && key !== at("heat-rows").value) ?? "";
  const draw = () => heatTable(scores, found);
  for (const id of ["heat-of", "heat-rows", "heat-columns"]) at(id).addEventListener("change", draw);
  draw();
}

function heatTable(scores, found) {
  const [measure, , factor] = MEASURES.find(([key]) => key === at("heat-of").value);
  const rows = at("heat-rows").value, columns = at("heat-columns").value, table = at("heat-table");
  const ratio = measure === "cost_ratio";
  // Several results in one cell: the geometric mean of ratios, the mean of all else.
  const cell = (row, column) => {
    const values = scores.filter(score => score.places[rows] === row && (columns === "" || score.places[columns] === column))
      .map(score => score[measure]).filter(value => value != null);
    if (values.length === 0) return null;
    const sum = values.reduce((sum, value) => sum + (ratio ? Math.log(value) : value), 0) / values.length;
    return ratio ? Math.exp(sum) : sum;
  };
  const across = columns === "" ? [""] : found.get(columns);
  const cells = found.get(rows).map(row => across.map(column => cell(row, column)));
  const known = cells.flat().filter(value => value !== null);
  const low = Math.min(...known), high = Math.max(...known);
  table.replaceChildren();
  const head = make(make(table, "thead"), "tr");
  make(head, "th", {}, `${rows.replace("_s", "")} \\ ${columns.replace("_s", "") || "all"}`);
  for (const column of across) make(head, "th", {}, column || "all");
  const body = make(table, "tbody");
  found.get(rows).forEach((row, place) => {
    const line = make(body, "tr");
    make(line, "th", {}, row);
    for (const value of cells[place]) {
      const share = value === null || high <= low ? 0 : ratio ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
      const color = `color-mix(in oklab, color-mix(in oklab, var(--bad) ${Math.round(100 * share)}%, var(--ready)) 45%, var(--panel))`;
      make(line, "td", { class: "cell", style: value === null ? "" : `background: ${color}` }, value === null ? "" : ratio ? value.toFixed(2) : number(value * (factor ?? 1)));
    }
  });
  at("heat-note").textContent = "Green is the lowest of all cells, red the highest. Where a cell holds several results: their "
    + (ratio ? "geometric mean." : "mean.");
}

function pareto(scores) {
  const points = scores.filter(score => score.cost_parts)
    .map(score => ({ x: score.cost_parts.lateness, y: score.cost_ratio - score.cost_parts.lateness, name: score.policy }));
  at("pareto").hidden = points.length === 0;
  const svg = at("pareto-plot"), unit = rem() / 16, width = svg.clientWidth, height = svg.clientHeight;
  svg.replaceChildren();
  if (points.length === 0 || width === 0) return;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const widest = Math.max(...points.map(point => point.x), 0.05) * 1.1, highest = Math.max(...points.map(point => point.y)) * 1.08;
  const lowest = Math.min(...points.map(point => point.y), 1) * 0.95;
  const left = 50 * unit, bottom = height - 40 * unit;
  // The good ones lie close together beside few bad ones: roots and, over wide spans, logarithms part them.
  const up = highest > 3 * lowest ? Math.log : value => value;
  const x = value => left + Math.sqrt(value / widest) * (width - left - 10);
  const y = value => 8 + (up(highest) - up(value)) / (up(highest) - up(lowest)) * (bottom - 8);
  const across = ticks(0, widest, x, 50 * unit), levels = ticks(lowest, highest, y, 26 * unit);
  for (const value of across) {
    shape(svg, "path", { class: "axis", d: `M${x(value)} 8V${bottom}` });
    shape(svg, "text", { x: x(value), y: bottom + 16 * unit, "text-anchor": x(value) > width - 30 * unit ? "end" : "middle" }, number(value));
  }
  for (const value of levels) {
    shape(svg, "path", { class: "axis", d: `M${left} ${y(value)}H${width - 10}` });
    shape(svg, "text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, number(value));
    const end = Math.min(widest, value - lowest), at = part => `${x(end * part)} ${y(value - end * part)}`;
    if (end > 0) shape(svg, "path", { class: "total", d: `M${Array.from({ length: 33 }, (_, step) => at((step / 32) ** 2)).join("L")}` });
  }
  shape(svg, "text", { x: width - 10, y: height - 6, "text-anchor": "end" }, "price of lateness (κ × missing worker-seconds) ÷ optimum →");
  shape(svg, "text", { x: left + 6, y: 20 * unit }, "↑ worker-seconds paid for ÷ optimum");
  // The same colours as in the plot over time, where the optimum comes first.
  const names = [...new Set(["optimal", ...points.map(point => point.name)])];
  const taken = points.map(point => ({ left: x(point.x) - 5 * unit, top: y(point.y) - 5 * unit, wide: 10 * unit, high: 10 * unit }));
  taken.push({ left, top: 0, wide: 270 * unit, high: 25 * unit });
  for (const point of points) shape(svg, "circle", { cx: x(point.x), cy: y(point.y), r: 5 * unit, class: `dot ${tint(names.indexOf(point.name))}` });
  if (points.length > 40) return;
  for (const point of [...points].sort((one, other) => one.y - other.y)) label(svg, point.name, x(point.x), y(point.y), taken, width, bottom);
}

// Round numbers from `low` to `high` whose places are at least `gap` apart.
function ticks(low, high, place, gap) {
  const known = low > 0 ? [] : [0];
  // The rounder, the earlier.
  for (const factor of [1, 5, 2, 3, 7, 1.5]) for (let power = 5; power >= -4; power--) known.push(factor * 10 ** power);
  const kept = [];
  for (const value of known) {
    if (value >= low && value <= high && kept.every(other => Math.abs(place(other) - place(value)) >= gap)) kept.push(value);
  }
  return kept;
}

// A name beside its point: where it covers nothing, or not at all.
function label(svg, name, x, y, taken, width, bottom) {
  const text = shape(svg, "text", { class: "name" }, name), unit = rem() / 16;
  const { width: wide, height: high } = text.getBBox();
  const gap = 9 * unit;
  const places = [];
  for (const lift of [0, -0.8, 0.8, -1.6, 1.6, -2.4, 2.4]) {
    places.push([x + gap, y + lift * high], [x - gap - wide, y + lift * high]);
  }
  const free = places.map(([left, middle]) => ({ left, top: middle - high / 2, wide, high })).find(box =>
    box.left > 50 * unit && box.left + box.wide < width && box.top > 4 && box.top + box.high < bottom && taken.every(other =>
      box.left >= other.left + other.wide || other.left >= box.left + box.wide || box.top >= other.top + other.high || other.top >= box.top + box.high));
  if (!free) { text.remove(); return; }
  text.setAttribute("x", free.left);
  text.setAttribute("y", free.top + high * 0.78);
  taken.push(free);
}

function scoreTable(scores) {
  at("scores").hidden = scores.length === 0;
  rowTable("scores-table", COLUMNS, scores);
}

function moneyTable(scores) {
  const priced = scores.filter(score => score.money);
  at("money").hidden = priced.length === 0;
  at("money-note").textContent = priced.length > 0 ? `in ${priced[0].money.currency}; a month has 730 hours` : "";
  rowTable("money-table", MONEY, priced.map(score => ({ ...score, ...prefixed("money.", score.money) })));
}

// Means over the late scale-outs of each policy, and the longest of all.
function ledger(scores) {
  const late = scores.filter(score => score.lateness?.episodes > 0);
  at("ledger").hidden = late.length === 0;
  rowTable("ledger-table", LEDGER, late.map(score => {
    const means = PARTS.map(([key]) => [key, score.lateness[key] / score.lateness.episodes]);
    return { ...score, episodes: score.lateness.episodes, ...Object.fromEntries(means) };
  }));
  const total = one => PARTS.reduce((sum, [key]) => sum + one[key], 0);
  // The optimum is late where that is cheaper: its own say nothing about what to mend.
  const all = late.filter(score => score.policy !== "optimal")
    .flatMap(score => score.lateness.scale_outs.map(one => ({ trace: score.trace, policy: score.policy, ...one })));
  rowTable("late-table", LATE, all.sort((one, other) => total(other) - total(one)).slice(0, 20));
}

function prefixed(prefix, object) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [prefix + key, value]));
}

function rowTable(id, columns, rows) {
  const table = at(id);
  const draw = sorted => {
    table.replaceChildren();
    const head = make(make(table, "thead"), "tr");
    for (const [key, text] of columns) {
      make(head, "th", typeof rows[0]?.[key] === "string" ? { title: "sort", class: "text" } : { title: "sort" }, text).addEventListener("click", () =>
        draw([...rows].sort((one, other) => typeof one[key] === "number" ? one[key] - other[key] : String(one[key]).localeCompare(other[key]))));
    }
    const body = make(table, "tbody");
    for (const row of sorted) {
      const line = make(body, "tr");
      for (const [key, , factor, digits] of columns) {
        const value = row[key];
        if (typeof value === "string") make(line, "td", { class: "text" }, value);
        else make(line, "td", {}, value == null ? "–" : digits ? value.toFixed(digits) : number(value * (factor ?? 1)));
      }
    }
  };
  draw(rows);
}
