// The page: what there is, in order; of several traces the one that the reader chooses.
const groups = [...new Set(report.timelines.map(timeline => timeline.group))];
let plots = [];

function show(group) {
  const parent = at("timelines");
  parent.replaceChildren();
  const shown = report.timelines.filter(timeline => timeline.group === group);
  parent.classList.toggle("many", shown.length > 2);
  plots = shown.map(timeline => new Plot(parent, timeline));
  pareto(scoresOf(group));
}

function scoresOf(group) {
  return report.scores.filter(score => groups.length < 2 || `${score.trace}, start-up ${score.start_up_s} s` === group);
}

function lists() {
  at("events").hidden = report.events.length === 0;
  at("events-note").textContent = report.events_left_out > 0 ? `and ${report.events_left_out} more` : "";
  for (const event of report.events) {
    const line = make(at("events-list"), "li");
    make(line, "time", {}, clock(event.at_s, 1));
    make(line, "span", { class: event.change > 0 ? "out" : "in" }, event.change > 0 ? "▲" : "▼");
    make(line, "span", {}, event.text);
  }
  at("facts").hidden = report.facts.length === 0;
  for (const [name, value] of report.facts) {
    make(at("facts-list"), "dt", {}, name);
    make(at("facts-list"), "dd", {}, value);
  }
}

at("title").textContent = report.title;
document.title = `${report.title} · autoscale`;
document.querySelector("main").classList.toggle("scored", report.scores.length > 0);
for (const group of groups) option(at("group"), group);
at("group-label").hidden = groups.length < 2;
at("group").addEventListener("change", () => show(at("group").value));
scoreTable(report.scores);
moneyTable(report.scores);
ledger(report.scores);
heat(report.scores);
lists();
show(groups[0] ?? "");
addEventListener("resize", () => {
  for (const plot of plots) plot.draw();
  pareto(scoresOf(at("group").value));
});
