// When what happened: phases, faults on purpose, incidents; below them the latest in words.

import { h, remake, s } from "/page/dom.js";
import { clock, count, duration, tick } from "/page/format.js";

const SHOWN = 6;
const STEPS = [10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 432000, 864000];
const GOOD = new Set(["server_recovered", "fault_end", "restart", "server_restart"]);
const OF_FAULTS = new Set(["fault_begin", "fault_end"]);
let all = false;

// Faults on purpose as stretches {engine, name, from, to}, seconds since the run's origin.
export function stretches(incidents) {
  const open = new Map();
  const found = [];
  for (const { what, fault, engine, at_s } of incidents) {
    const key = `${engine}/${fault}`;
    if (what === "fault_begin") open.set(key, at_s);
    else if (what === "fault_end" && open.has(key)) {
      found.push({ engine, name: fault, from: open.get(key), to: at_s });
      open.delete(key);
    }
  }
  return found;
}

export function timeline(box, run, incidents, elapsed_s) {
  const key = [incidents.length, incidents.at(-1)?.number, run.planned_s, Math.round((300 * (elapsed_s ?? 0)) / run.planned_s), all];
  remake(box, key, () => [lanes(run, incidents, elapsed_s), words(box, run, incidents, elapsed_s)]);
}

function lanes(run, incidents, elapsed_s) {
  const total = Math.max(run.planned_s, elapsed_s ?? 0);
  const x = (t) => (1000 * Math.max(0, Math.min(total, t))) / total;
  const svg = (...children) => s("svg", { viewBox: "0 0 1000 22", preserveAspectRatio: "none", "aria-hidden": "true" }, children);
  const now = () => (elapsed_s === null ? null : s("line", { x1: x(elapsed_s), x2: x(elapsed_s), y1: 0, y2: 22, stroke: "var(--ink)", "stroke-width": 1.5, "vector-effect": "non-scaling-stroke" }));
  const names = [...new Set(incidents.map(({ engine }) => engine ?? "host and run"))];
  const faults = stretches(incidents);
  const lane = (name, label, children) => [h("div", { class: "name" }, name), h("div", { class: "lane", role: "img", "aria-label": label }, svg(children, now()))];
  const phases = run.phases.map((phase, i) => s("rect", { x: x(phase.start_s), width: Math.max(1, x(phase.end_s) - x(phase.start_s) - 1), y: 3, height: 16, fill: "var(--blue)", opacity: i % 2 ? .42 : .2 }));
  return h("div", { class: "lanes" },
    lane("phases", `Phases: ${run.phases.map((phase) => `${phase.name} from ${tick(phase.start_s)}`).join(", ")}`, phases),
    names.map((name) => {
      const mine = incidents.filter(({ engine }) => (engine ?? "host and run") === name);
      const bands = faults.filter(({ engine }) => (engine ?? "host and run") === name);
      return lane(name, `${name}: ${mine.length} incidents`, [
        bands.map(({ from, to }) => s("rect", { x: x(from), width: Math.max(3, x(to) - x(from)), y: 3, height: 16, fill: "var(--amber)", opacity: .45 })),
        mine.filter(({ what, at_s }) => !OF_FAULTS.has(what) && at_s !== null).map(({ what, at_s }) => s("line", { x1: x(at_s), x2: x(at_s), y1: 3, y2: 19, stroke: GOOD.has(what) ? "var(--green)" : "var(--red)", "stroke-width": 2.5, "vector-effect": "non-scaling-stroke" })),
      ]);
    }),
    h("div", { class: "name" }, ""), axis(total));
}

function axis(total) {
  const step = STEPS.find((one) => total / one <= 6) ?? STEPS.at(-1);
  const places = Array.from({ length: Math.floor(total / step) + 1 }, (_, i) => i * step);
  return h("div", { class: "axis", "aria-hidden": "true" }, s("svg", null, places.map((place) =>
    s("text", { x: `${(100 * place) / total}%`, y: 13, "font-size": 11, fill: "var(--dim)", "text-anchor": place === 0 ? "start" : place > 0.96 * total ? "end" : "middle" }, tick(place)))));
}

function words(box, run, incidents, elapsed_s) {
  if (!incidents.length) return h("p", { class: "none" }, "No incident so far.");
  const latest = incidents.toReversed();
  const list = h("ol", { class: "events" }, (all ? latest : latest.slice(0, SHOWN)).map((one) => h("li", null,
    h("time", { class: "dim", title: clock(one.at_wall_s) }, one.at_s === null ? clock(one.at_wall_s) : one.at_s < 0 ? "at the start" : duration(one.at_s)),
    h("span", { class: "what" }, one.what.replaceAll("_", " ")),
    h("span", { class: "detail" }, one.detail || one.engine || ""))));
  const more = latest.length > SHOWN ? h("div", { class: "events-more" }, h("button", { type: "button", class: "quiet", onclick: () => {
    all = !all;
    timeline(box, run, incidents, elapsed_s);
    box.querySelector(".events-more button")?.focus();
  } }, all ? "Show fewer" : `Show all ${count(latest.length)}`)) : null;
  return [list, more];
}
