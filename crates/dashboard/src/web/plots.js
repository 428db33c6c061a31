// Plots over time, as SVG: areas, lines, levels, and where something was wrong.
const SVG = "http://www.w3.org/2000/svg";
const at = id => document.getElementById(id);
const rem = () => parseFloat(getComputedStyle(document.documentElement).fontSize);

function make(parent, name, attributes = {}, text) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

function shape(parent, name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

function number(value) {
  if (value == null) return "–";
  const size = Math.abs(value);
  return value.toLocaleString("en", { maximumFractionDigits: size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3 });
}

// A line's or dot's colour; beyond the eighth they come again, dashed or hollow, the first being the optimum's.
const tint = place => place < 8 ? `c${place}` : `c${1 + (place - 1) % 7} again`;

// A step of 1, 2 or 5 times a power of ten that cuts `span` into about `parts`.
function round(span, parts) {
  const power = 10 ** Math.floor(Math.log10(span / parts || 1));
  return power * [1, 2, 5, 10].find(factor => power * factor >= span / parts);
}

const SPANS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400,
  172800, 604800, 1209600, 2592000, 7776000];

function clock(seconds, step) {
  const days = Math.floor(seconds / 86400), rest = Math.round(seconds - days * 86400);
  const two = value => String(Math.floor(value)).padStart(2, "0");
  const time = step < 60 ? `${two(rest / 3600)}:${two(rest % 3600 / 60)}:${two(rest % 60)}` : `${two(rest / 3600)}:${two(rest % 3600 / 60)}`;
  return step >= 86400 ? `day ${days + 1}` : days > 0 || step >= 3600 ? `d${days + 1} ${time}` : time;
}

class Plot {
  constructor(parent, timeline) {
    this.timeline = timeline;
    this.hidden = new Set();
    const figure = make(parent, "figure");
    const caption = make(figure, "figcaption");
    make(caption, "span", {}, `${timeline.name} (${timeline.unit || "count"})`);
    this.legend(make(caption, "span", { class: "legend" }));
    this.read = make(caption, "span", { class: "read" });
    this.svg = shape(figure, "svg", { class: "plot", role: "img", "aria-label": `${timeline.name} over time` });
    this.svg.addEventListener("pointermove", event => this.point(event.offsetX));
    this.svg.addEventListener("pointerleave", () => this.point(null));
    this.draw();
  }

  legend(parent) {
    const all = [...this.timeline.areas.map(series => [series, "area"]),
      ...this.timeline.lines.map((series, place) => [series, `line ${tint(place)}${series.reference ? " reference" : ""}`])];
    for (const [series, style] of all) {
      const button = make(parent, "button", { "aria-pressed": "true", title: "show or hide" });
      const key = shape(button, "svg", { viewBox: "0 0 26 10" });
      if (style === "area") shape(key, "rect", { x: 1, y: 1, width: 24, height: 8, class: style });
      else shape(key, "path", { d: "M0 5H26", class: style });
      button.append(series.name);
      button.addEventListener("click", () => {
        if (!this.hidden.delete(series.name)) this.hidden.add(series.name);
        button.setAttribute("aria-pressed", String(!this.hidden.has(series.name)));
        this.draw();
      });
    }
  }

  draw() {
    const { svg, timeline } = this, unit = rem() / 16;
    const width = svg.clientWidth, height = svg.clientHeight;
    const shown = series => !this.hidden.has(series.name);
    const areas = timeline.areas.filter(shown), lines = timeline.lines.filter(shown);
    const strips = lines.filter(series => series.wrong?.some(share => share > 0));
    const columns = Math.max(0, ...[...timeline.areas, ...timeline.lines].map(series => series.values.length));
    const highest = Math.max(...[...areas, ...lines].flatMap(series => series.values.filter(value => value !== null)),
      ...timeline.levels.map(level => level[1]), 0) || 1;
    const tick = round(highest, 5), top = Math.ceil(highest * 1.02 / tick) * tick;
    // As wide as the widest number beside the axis.
    this.left = Math.max(44, 12 + 8 * number(top).length) * unit;
    this.bottom = height - (22 + 8 * strips.length) * unit;
    this.columns = columns;
    this.x = column => this.left + column / columns * (width - 6 - this.left);
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    if (columns === 0 || width === 0) return;
    const roof = 12 * unit, y = value => roof + (1 - Math.min(value / top, 1)) * (this.bottom - roof);
    for (let value = 0; value <= top + tick / 2; value += tick) {
      shape(svg, "path", { class: "axis", d: `M${this.left} ${y(value)}H${width - 6}` });
      shape(svg, "text", { x: this.left - 6, y: y(value) + 4, "text-anchor": "end" }, number(value));
    }
    this.time(height, unit);
    for (const series of areas) shape(svg, "path", { class: "area", d: this.steps(series.values, y, this.bottom) });
    for (const series of lines) {
      const place = timeline.lines.indexOf(series);
      shape(svg, "path", { class: `line ${tint(place)}${series.reference ? " reference" : ""}`, d: this.steps(series.values, y) });
    }
    for (const [name, value] of timeline.levels) {
      shape(svg, "path", { class: "level", d: `M${this.left} ${y(value)}H${width - 6}` });
      shape(svg, "text", { x: width - 8, y: y(value) - 4, "text-anchor": "end", class: "over" }, `${name} ${number(value)}`);
    }
    strips.forEach((series, row) => {
      const from = this.bottom + (3 + 8 * row) * unit;
      const place = timeline.lines.indexOf(series);
      shape(svg, "path", { class: `line ${tint(place)}`, d: `M${this.left - 12 * unit} ${from + 3 * unit}H${this.left - 3}` });
      series.wrong.forEach((share, column) => {
        if (share > 0) shape(svg, "rect", { class: "wrong", x: this.x(column), y: from, height: 6 * unit,
          width: Math.max(1, this.x(column + 1) - this.x(column)), "fill-opacity": 0.25 + 0.75 * share });
      });
    });
    this.cursor = shape(svg, "path", { class: "cursor", d: "" });
  }

  time(height, unit) {
    const { timeline, columns } = this, span = timeline.step_s * columns;
    const most = Math.max(2, Math.floor((this.x(columns) - this.left) / (90 * unit)));
    const step = SPANS.find(step => span / step <= most) ?? round(span, most);
    for (let at = Math.ceil(timeline.from_s / step) * step; at <= timeline.from_s + span; at += step) {
      const x = this.x((at - timeline.from_s) / timeline.step_s);
      shape(this.svg, "path", { class: "axis", d: `M${x} 8V${this.bottom}` });
      shape(this.svg, "text", { x, y: height - 5, "text-anchor": x > this.x(columns) - 30 ? "end" : "middle" }, clock(at, step));
    }
  }

  // Each value holds over its column; gaps break the line. With a floor, a closed area.
  steps(values, y, floor) {
    let path = "", open = null;
    const close = column => {
      if (open !== null && floor !== undefined) path += `V${floor}H${this.x(open)}Z`;
      open = null;
    };
    values.forEach((value, column) => {
      if (value === null) { close(column); return; }
      if (open === null) { path += `M${this.x(column)} ${y(value)}`; open = column; } else path += `V${y(value)}`;
      path += `H${this.x(column + 1)}`;
    });
    close(values.length);
    return path;
  }

  point(x) {
    const { timeline } = this;
    const column = x === null ? -1 : Math.floor((x - this.left) / (this.x(this.columns) - this.left) * this.columns);
    if (column < 0 || column >= this.columns) { this.read.textContent = ""; this.cursor?.setAttribute("d", ""); return; }
    this.cursor.setAttribute("d", `M${this.x(column + 0.5)} 8V${this.bottom}`);
    const values = [...timeline.areas, ...timeline.lines].filter(series => !this.hidden.has(series.name))
      .map(series => `${series.name} ${number(series.values[column])}`);
    this.read.textContent = `${clock(timeline.from_s + column * timeline.step_s, 1)} · ${values.join(" · ")}`;
  }
}
