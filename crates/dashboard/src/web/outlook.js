// What the model beside the loop expects: asked every two seconds, drawn once its time has come.
const ASKED_MS = 2000, SHOWN_AHEAD_S = 15;

class Outlook {
  constructor() {
    this.latest = null;
    this.said = [];
  }

  // `prediction` is the answer of /predict; null where nothing is forecast.
  apply(prediction) {
    this.latest = prediction;
    const ahead = this.ahead();
    if (!ahead || ahead.q10 === null) return;
    const at = Date.parse(prediction.at) + ahead.seconds * 1000;
    if (at > (this.said.at(-1)?.at ?? 0)) this.said.push({ at, ...ahead });
    while (this.said.length > HISTORY_S * 1000 / ASKED_MS) this.said.shift();
  }

  // The horizon that is shown: the furthest within a quarter of a minute.
  ahead() {
    return this.latest?.horizons.findLast(ahead => ahead.seconds <= SHOWN_AHEAD_S) ?? this.latest?.horizons[0] ?? null;
  }

  // The band in which eight of ten readings were expected, and its middle.
  draw(chart, y, now) {
    const past = this.said.filter(one => one.at <= now);
    if (past.length < 2) return;
    const point = (one, value) => `${chart.x(one.at).toFixed(1)} ${y(Math.max(0, value)).toFixed(1)}`;
    const upper = past.map(one => point(one, one.q90)), lower = past.toReversed().map(one => point(one, one.q10));
    shape(chart.plot, "path", { class: "band", d: `M${[...upper, ...lower].join("L")}Z` });
    shape(chart.plot, "path", { class: "expected", d: `M${past.map(one => point(one, one.q50)).join("L")}` });
  }

  figures(unit) {
    const ahead = this.ahead();
    at("expectation").hidden = this.latest === null;
    if (this.latest === null) return;
    put("ahead", `expected in ${ahead ? number(ahead.seconds) : SHOWN_AHEAD_S} s`);
    put("expected", ahead ? withUnit(ahead.q50, unit) : "–");
    const range = ahead?.q10 == null ? "" : `${number(ahead.q10)} to ${withUnit(ahead.q90, unit)} · `;
    put("trust", `${range}${this.latest.trust ?? "learning"} (${(this.latest.model ?? "no model").replaceAll("_", " ")})`);
  }
}
