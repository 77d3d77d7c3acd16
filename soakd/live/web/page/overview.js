// The engines at a glance, and engines on one tape beside each other.

import { anchor } from "/page/cards.js";
import { badge, h, remake } from "/page/dom.js";
import { bytes, cores, count, estimate, figures, inWords, isNumber, perSecond, seconds, UNKNOWN } from "/page/format.js";
import { checkOf, CLASSES, leakCheck, shownState } from "/page/words.js";

const head = (...names) => h("thead", null, h("tr", null, names.map((name, i) => h("th", { scope: "col", class: i === 1 ? "left" : null }, name))));

export function overview(table, engines, live) {
  const rows = engines.map((engine) => {
    const [check, now] = [leakCheck(engine), live?.engines[engine.name]];
    const errors = now?.operations.error ?? 0;
    return { engine, state: shownState(engine), check, now, errors };
  });
  const key = rows.map(({ engine, state, check, now }) => [engine.name, state, check?.estimate, check?.low, now?.rate_per_s, now?.latest, now?.latency, now?.operations, now?.up]);
  remake(table, key, () => [
    h("caption", { class: "offscreen" }, "Engines at a glance"),
    head("Engine", "So far", "Growth [95 % interval]", "Limit", "Reachable", "Resident", "Service p95", "Rate", "Errors"),
    h("tbody", null, rows.map(({ engine, state, check, now, errors }) => h("tr", null,
      h("td", null, h("a", { href: `#${anchor(engine.name)}` }, engine.name), h("span", { class: "sub" }, [engine.role, CLASSES[engine.class]].filter(Boolean).join(" · "))),
      h("td", { class: "left" }, badge(state)),
      h("td", null, estimate(check)),
      h("td", null, inWords(check?.limit, check?.unit)),
      h("td", null, bytes(now?.latest.reachable_bytes)),
      h("td", null, bytes(now?.latest.resident_bytes ?? now?.latest.rss_anon_bytes)),
      h("td", null, seconds(now?.latency.service_p95_s)),
      h("td", { class: isDown(now) ? "bad" : null }, now?.up === false ? (now.ended_by ?? "starting") : perSecond(now?.rate_per_s)),
      h("td", { class: errors ? "bad" : null }, count(errors))))),
  ]);
}

const isDown = (now) => now?.up === false && !["completed", null].includes(now.ended_by);

// Engines that are driven by the same operations: subject, its rivals and its twins.
export function rivals(box, engines, live) {
  const groups = Object.values(Object.groupBy(engines.filter((engine) => engine.role !== "control"), family)).filter((group) => group.length > 1 && group.some((engine) => engine.role !== "subject"));
  const key = [groups.map((group) => group.map((engine) => [engine.name, live?.engines[engine.name]?.latency, live?.engines[engine.name]?.latest, live?.engines[engine.name]?.rate_per_s, leakCheck(engine)?.estimate]))];
  box.closest("section").hidden = groups.length === 0;
  remake(box, key, () => groups.map((group) => h("div", { class: "panel scroll", tabindex: "0", role: "region", "aria-label": `Comparison of ${group.map((engine) => engine.name).join(", ")}` }, compared(group, live))));
}

const family = (engine) => `${engine.kind.split(".")[0]}/${engine.mix}`;

function compared(group, live) {
  const now = (engine) => live?.engines[engine.name];
  const cpu = (engine) => {
    const [used, rate] = [checkOf(engine, "cpu.ratio")?.estimate, checkOf(engine, "rate.achieved")?.achieved_per_second];
    return isNumber(used) && rate ? used / rate : null;
  };
  const rows = [
    ["Service p50", (engine) => now(engine)?.latency.service_p50_s, seconds, "low"],
    ["Service p95", (engine) => now(engine)?.latency.service_p95_s, seconds, "low"],
    ["Service p99", (engine) => now(engine)?.latency.service_p99_s, seconds, "low"],
    ["Rate", (engine) => now(engine)?.rate_per_s, perSecond, null],
    ["Processor per operation", cpu, seconds, "low"],
    ["Processor", (engine) => checkOf(engine, "cpu.ratio")?.estimate, cores, "low"],
    ["Reachable", (engine) => now(engine)?.latest.reachable_bytes, bytes, "low"],
    ["Resident", (engine) => now(engine)?.latest.resident_bytes ?? now(engine)?.latest.rss_anon_bytes, bytes, "low"],
    ["Server RSS", (engine) => now(engine)?.server?.rss_bytes, bytes, null],
    ["Errors", (engine) => now(engine)?.operations.error, count, null],
  ];
  const best = (values) => Math.min(...values.filter(isNumber));
  return h("table", null,
    h("thead", null, h("tr", null, h("th", { scope: "col" }, ""), group.map((engine) => h("th", { scope: "col" }, engine.name, h("span", { class: "sub" }, engine.role))))),
    h("tbody", null,
      h("tr", null, h("th", { scope: "row" }, "Growth"), group.map((engine) => h("td", null, estimate(leakCheck(engine))))),
      rows.map(([name, read, write, better]) => {
        const values = group.map(read);
        if (!values.some(isNumber)) return null;
        const subject = values[group.findIndex((engine) => engine.role === "subject")];
        return h("tr", null, h("th", { scope: "row" }, name), values.map((value, i) =>
          h("td", { class: better && isNumber(value) && value === best(values) ? "best" : null }, isNumber(value) ? write(value) : UNKNOWN,
            better && group[i].role !== "subject" && isNumber(value) && subject > 0 ? h("span", { class: "sub" }, `${figures(value / subject)}×`) : null)));
      })));
}
