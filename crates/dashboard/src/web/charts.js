// The two charts over one span of time, as SVG.
const SVG = "http://www.w3.org/2000/svg";
const LAYERS = ["ready", "starting", "draining", "failing"];
const GAP_S = 20, GUTTER = 72, FOOT = 22;

function shape(parent, name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

function counts(fleet) {
  return [fleet.ready, fleet.starting, fleet.draining, fleet.unhealthy + fleet.backoff];
}

class Chart {
  constructor(svg) {
    this.svg = svg;
    this.pointed = null;
    svg.addEventListener("pointermove", event => { this.pointed = event.offsetX; this.onpoint?.(); });
    svg.addEventListener("pointerleave", () => { this.pointed = null; this.onpoint?.(); });
  }

  begin(view, span) {
    const { svg } = this, width = svg.clientWidth, height = svg.clientHeight;
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
    this.gutter = GUTTER * rem;
    this.foot = FOOT * rem;
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.width = width - 8;
    this.height = height - this.foot;
    this.x = at => this.gutter + (1 - seconds(at, view.now) / span) * (this.width - this.gutter);
    this.turns = view.turns.filter(turn => seconds(turn.at, view.now) <= span + GAP_S);
    const clip = shape(shape(svg, "defs", {}), "clipPath", { id: `${svg.id}-plot` });
    shape(clip, "rect", { x: this.gutter, y: 0, width: Math.max(0, this.width - this.gutter), height: this.height });
    this.plot = shape(svg, "g", { "clip-path": `url(#${svg.id}-plot)` });
  }

  tick(y, label, name = "") {
    shape(this.svg, "text", { x: this.gutter - 8, y: y + 4, "text-anchor": "end", class: name }, label);
  }

  axis(view, span) {
    const { svg, gutter, height, width } = this;
    shape(svg, "path", { class: "axis", d: `M${gutter} 4V${height}H${width}` });
    const foot = height + this.foot - 6, marked = [];
    for (const turn of this.turns) {
      const x = this.x(turn.at);
      if (turn.change === 0 || x < gutter) continue;
      shape(svg, "text", { x, y: foot, class: `marker ${turn.change > 0 ? "out" : "in"}` }, turn.change > 0 ? "▲" : "▼");
      marked.push(x);
    }
    // A marker says more than the label that it would cover.
    const free = (from, to) => !marked.some(x => x > from - 8 && x < to + 8);
    const back = span >= 120 ? `${span / 60} min ago` : `${span} s ago`;
    if (free(gutter, gutter + gutter)) shape(svg, "text", { x: gutter, y: foot }, back);
    if (free(width - gutter / 2, width)) shape(svg, "text", { x: width, y: foot, "text-anchor": "end" }, "now");
  }

  // The turn under the pointer, marked.
  reading() {
    if (this.pointed === null || this.pointed < this.gutter) return null;
    const turn = this.turns.findLast(turn => this.x(turn.at) <= this.pointed);
    if (turn) shape(this.svg, "path", { class: "cursor", d: `M${this.x(turn.at)} 4V${this.height}` });
    return turn ?? null;
  }

  signal(view, span) {
    this.begin(view, span);
    const { up, down, unit } = view.last?.decision.measured ?? {};
    const values = this.turns.map(turn => turn.value).filter(value => value != null);
    const top = ceiling(Math.max(...values, up ?? 0, 0), unit);
    const y = value => 6 + (1 - Math.min(value / top, 1)) * (this.height - 6);
    this.tick(y(top), number(top));
    if (!(down > 0 && down / top < 0.12)) this.tick(y(0), "0");
    for (const [line, name, word] of [[up, "up", "out >"], [down, "down", "in <"]]) {
      if (line == null) continue;
      shape(this.plot, "path", { class: name, d: `M${this.gutter} ${y(line)}H${this.width}` });
      this.tick(y(line), `${word} ${number(line)}`, `${name}-label`);
    }
    outlook.draw(this, y, view.now);
    let path = "", before = null;
    for (const turn of this.turns) {
      if (turn.value != null) {
        const joined = before && seconds(before.at, turn.at) <= GAP_S;
        path += `${joined ? "L" : "M"}${this.x(turn.at).toFixed(1)} ${y(turn.value).toFixed(1)}`;
      }
      before = turn.value != null ? turn : null;
    }
    shape(this.plot, "path", { class: "curve", d: path });
    this.axis(view, span);
  }

  instances(view, span) {
    this.begin(view, span);
    this.textures();
    const fleets = this.turns.filter(turn => turn.fleet).map(turn => turn.fleet);
    const shadowed = this.turns.flatMap(turn => (turn.shadows ?? []).map(shadow => shadow.decided.replicas));
    const tallest = Math.max(...fleets.map(fleet => counts(fleet).reduce((a, b) => a + b)), ...shadowed, 1);
    const max = view.last?.decision.in_force.max ?? 1;
    const top = max <= Math.max(tallest, 5) * 2 ? Math.max(max, tallest) : tallest;
    const y = count => 6 + (1 - count / top) * (this.height - 6);
    const every = Math.ceil(top / Math.max(1, Math.floor(this.height / 22)));
    for (let count = 0; count <= top; count += every) {
      this.tick(y(count), String(count));
      shape(this.plot, "path", { class: "axis", d: `M${this.gutter} ${y(count)}H${this.width}` });
    }
    for (const { from, to, stack } of this.stretches(view)) {
      const x = this.x(from), width = Math.max(0, this.x(to) - x);
      let below = 0;
      stack.forEach((count, layer) => {
        const rect = { x, width, y: y(below + count), height: y(below) - y(below + count) };
        if (count > 0) shape(this.plot, "rect", { ...rect, class: `layer-${LAYERS[layer]}` });
        below += count;
      });
    }
    this.shadows(view, y);
    this.axis(view, span);
  }

  // What policies that only watch would have: stairs that differ in their dashes and say their name.
  shadows(view, y) {
    (view.last?.decision.shadows ?? []).forEach(({ label, decided }, index) => {
      let path = "";
      for (const turn of this.turns) {
        const desired = turn.shadows?.[index]?.decided.replicas;
        if (desired === undefined) continue;
        const x = this.x(turn.at).toFixed(1), height = (y(desired) + 2 * index).toFixed(1);
        path += path === "" ? `M${x} ${height}` : `H${x}V${height}`;
      }
      const dash = ["7 3", "2 3", "9 3 2 3", "4 6"][index % 4];
      shape(this.plot, "path", { class: `shadow shadow-${index % 4}`, "stroke-dasharray": dash, d: `${path}H${this.width}` });
      const name = `${label.split(":")[0]} ${decided.replicas}`;
      const x = this.width - 6 - 90 * index;
      shape(this.plot, "text", { class: `shadow-name shadow-${index % 4}`, x, y: y(decided.replicas) - 4, "text-anchor": "end" }, name);
    });
  }

  // Times during which nothing changed, each as one piece.
  stretches(view) {
    const made = [];
    this.turns.forEach((turn, index) => {
      if (!turn.fleet) return;
      const to = Math.min(this.turns[index + 1]?.at ?? view.now, turn.at + GAP_S * 1000);
      const stack = counts(turn.fleet), last = made.at(-1);
      if (last?.to === turn.at && last.stack.join() === stack.join()) last.to = to;
      else made.push({ from: turn.at, to, stack });
    });
    return made;
  }

  // Differ in pattern, so that colour is never needed.
  textures() {
    const defs = shape(this.svg, "defs", {});
    const pattern = (id, size, d, colour) => {
      const made = shape(defs, "pattern", { id, width: size, height: size, patternUnits: "userSpaceOnUse" });
      shape(made, "path", { d, style: `stroke:var(--${colour});stroke-width:2.5;fill:none` });
    };
    pattern("starting", 8, "M-2 2L2 -2M0 8L8 0M6 10L10 6", "starting");
    pattern("draining", 6, "M1.5 3h2.5", "draining");
    pattern("failing", 6, "M0 2h6", "bad");
  }
}

function ceiling(highest, unit) {
  if (unit === "%" && highest <= 105) return 100;
  const magnitude = 10 ** Math.floor(Math.log10(Math.max(highest, 1)));
  return [1, 1.5, 2, 3, 5, 7.5, 10].map(step => step * magnitude).find(top => top >= highest) ?? highest;
}
