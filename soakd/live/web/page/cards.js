// One card an engine: whether it grows, its charts, its counters, and where it grows.

import { seriesOf } from "/page/api.js";
import { Chart } from "/page/chart.js";
import { badge, h, remake, s, say } from "/page/dom.js";
import { bytes, cores, count, duration, estimate, figures, inWords, isNumber, perSecond, seconds, UNKNOWN } from "/page/format.js";
import { aligned, hang } from "/page/growth.js";
import { breaches, checkOf, CLASSES, hostCheck, leakCheck, perHour, shownState, stateOf } from "/page/words.js";

const POINTS = 256;
const WANTED = [
  "reachable_bytes", "resident_bytes", "rss_anon_bytes", "rss_bytes", "live_bytes", "server.rss_anon_bytes", "service_p50_s", "service_p95_s",
  "service_p99_s", "response_p99_s", "rate_per_s", "errors_per_s",
];
const AHEAD = 0.06;

export class Card {
  constructor(engine, marks) {
    this.engine = engine;
    this.live = null;
    this.visible = false;
    this.due_ms = 0;
    this.badge = h("span", { class: "push" });
    this.chips = h("span", { class: "chip" });
    this.reason = h("p", { class: "card-reason" });
    this.growth = h("div");
    this.breaches = h("div");
    this.facts = h("dl", { class: "facts" });
    this.sites = h("div");
    this.heap = h("div");
    this.charts = this.makeCharts(marks);
    this.element = h("article", { class: "panel card", id: anchor(engine.name), "aria-label": `Engine ${engine.name}` },
      h("div", { class: "card-head" }, h("h3", null, engine.name), h("span", { class: "chip" }, engine.kind), this.chips, this.badge),
      this.reason, this.breaches, this.growth, this.sites,
      h("div", { class: "charts" }, Object.values(this.charts).map((chart) => chart.element)), this.facts, this.heap);
  }

  makeCharts(marks) {
    const { name, limits } = this.engine;
    const make = (spec) => new Chart({ marks, ...spec }, name);
    const fit = (id) => () => estimate(checkOf(this.engine, id));
    const signed = (value) => (value > 0 ? "+" : "") + bytes(value);
    return {
      growth: make({
        title: "Growth", note: "change since the load began", axis: bytes,
        lines: [
          { label: "reachable", color: "violet", width: 2, value: signed },
          { label: "fit", color: "violet", style: "dash", value: fit("growth.reachable_bytes"), optional: true },
          { label: "low", color: "violet", width: 0, quiet: true, value: bytes },
          { label: "high", color: "violet", width: 0, quiet: true, value: bytes },
          { label: "resident", color: "blue", value: signed },
          { label: "fit", color: "blue", style: "dash", value: () => estimate(hostCheck(this.engine)), optional: true },
          { label: "limit", color: "red", style: "dots", width: 2, value: () => inWords(leakCheck(this.engine)?.limit, leakCheck(this.engine)?.unit), optional: true },
        ],
        bands: [{ series: [4, 3], color: "violet" }],
      }),
      memory: make({
        title: "Memory", note: "live against resident", axis: bytes, zero: true,
        lines: [
          { label: "RSS", color: "dim", value: bytes },
          { label: "anonymous RSS", color: "blue", value: bytes },
          { label: "live", color: "teal", value: bytes },
          { label: "reachable", color: "violet", value: bytes },
          { label: "server", color: "amber", value: bytes, optional: true },
        ],
      }),
      latency: make({
        title: "Service time", note: "of each window", axis: seconds, log: true,
        lines: [
          { label: "p50", color: "teal", value: seconds },
          { label: "p95", color: "blue", value: seconds, width: 2 },
          { label: "p99", color: "violet", value: seconds },
          { label: "response p99", color: "dim", value: seconds },
          { label: "limit p95", color: "red", style: "dots", width: 2, value: () => seconds(limits.latency_p95_s), optional: true },
        ],
      }),
      rate: make({
        title: "Rate", note: "operations a second", axis: figures, zero: true,
        lines: [
          { label: "achieved", color: "blue", value: perSecond },
          { label: "planned", color: "dim", style: "dots", value: perSecond },
          { label: "errors", color: "red", value: perSecond, width: 2 },
        ],
      }),
    };
  }

  // What the JSON interface says of the engine: it has been judged again.
  judged(engine) {
    this.engine = engine;
    const check = leakCheck(engine);
    const state = shownState(engine);
    this.element.dataset.state = state ?? "";
    remake(this.badge, state, () => badge(state));
    const role = engine.twin_of ? `${engine.role} of ${engine.twin_of}` : engine.role;
    say(this.chips, engine.class && CLASSES[engine.class] ? `${role} · ${CLASSES[engine.class]}` : role);
    say(this.reason, engine.reason ?? (check?.reason || "Not judged yet."));
    const found = breaches(engine);
    remake(this.breaches, found, () => found.map(breachRow));
    remake(this.growth, [check, engine.role], () => growthRow(check, engine));
    remake(this.sites, engine.sites, () => siteList(engine.sites));
    remake(this.heap, engine.heap, () => heapTables(engine.heap));
    this.due_ms = 0;
  }

  // What an event says of it.
  state(live) {
    this.live = live;
    const { latest, latency, operations } = live;
    const errors = operations.error ?? 0;
    const rows = [
      ["Process", live.up ? `pid ${live.pid ?? UNKNOWN}` : (live.ended_by ?? "starting"), !live.up && !["completed", null].includes(live.ended_by)],
      ["Phase", live.phase ?? UNKNOWN],
      ["Operations", count(operations.ok === undefined ? null : operations.ok + errors)],
      ["Errors", count(errors), errors > 0],
      ["Dropped", count(operations.dropped), operations.dropped > 0],
      ["Skipped", count(operations.skipped), operations.skipped > 0],
      ["Rate", `${perSecond(live.rate_per_s)}`],
      ["Service p95", seconds(latency.service_p95_s)],
      ["Processor", cores(checkOf(this.engine, "cpu.ratio")?.estimate)],
      ["RSS", bytes(latest.rss_bytes)],
      ["Rust", bytes(latest.rust_bytes)],
      ["Descriptors", count(latest.fds)],
      ["Threads", count(latest.threads)],
      ["Tasks", count(latest.tasks)],
      ["Restarts", count(live.restarts), live.restarts > 0],
      ...Object.entries(live.counters).map(([name, value]) => [name.replace(/_total$/, "").replaceAll("_", " "), count(value)]),
      ...(live.server ? serverRows(live.server) : []),
    ];
    remake(this.facts, rows, () => rows.filter(([, value]) => value !== UNKNOWN).map(([name, value, bad]) =>
      h("div", null, h("dt", null, name), h("dd", { class: bad ? "bad" : null }, value))));
  }

  async refresh(span, now_ms, every_ms) {
    if (!this.visible || now_ms < this.due_ms) return;
    this.due_ms = now_ms + every_ms;
    const found = await seriesOf(this.engine.name, WANTED, span, POINTS);
    this.draw(found.signals);
  }

  draw(signals) {
    const { engine } = this;
    const { times, column } = aligned(signals, WANTED);
    const limit = engine.limits.latency_p95_s;
    const same = (value) => times.map(() => (isNumber(value) ? value : null));
    this.charts.memory.show([times, column("rss_bytes", "last"), column("rss_anon_bytes", "last"), column("live_bytes", "last"), column("reachable_bytes", "last"), column("server.rss_anon_bytes", "last")]);
    this.charts.latency.show([times, column("service_p50_s", "last"), column("service_p95_s", "greatest"), column("service_p99_s", "greatest"), column("response_p99_s", "greatest"),
      signals.service_p95_s ? same(limit) : same(null)]);
    this.charts.rate.show([times, column("rate_per_s", "last"), signals.rate_per_s ? same(engine.target_per_s) : same(null), column("errors_per_s", "greatest")]);
    this.charts.growth.show(growthColumns(signals, times, column, engine));
  }
}

export const anchor = (name) => `engine-${name.replace(/[^\w.-]/g, "_")}`;

function growthColumns(signals, times, column, engine) {
  const { load } = engine;
  const newest = times.at(-1) ?? 0;
  const ahead = newest < load.end_s ? [newest + (newest - (times[0] ?? 0)) * AHEAD] : [];
  const x = [...times, ...ahead];
  const fans = ["reachable_bytes", signals.resident_bytes ? "resident_bytes" : "rss_anon_bytes"].map((name) => {
    const rates = perHour(checkOf(engine, `growth.${name}`), engine);
    return { name, rates, hung: rates && hang(signals[name], rates.estimate, load) };
  });
  const change = ({ name }) => {
    const start = signals[name]?.t_s.findIndex((t) => t >= load.start_s) ?? -1;
    if (start < 0) return x.map(() => null);
    const zero = signals[name].last[start];
    return [...column(name, "last").map((value, i) => (value === null || times[i] < load.start_s ? null : value - zero)), ...ahead.map(() => null)];
  };
  const line = ({ hung }, rate) =>
    x.map((t) => (hung && isNumber(rate) && t >= hung.from && t <= load.end_s ? hung.line(rate, t) - hung.zero : null));
  const [reachable, rss] = fans;
  const limited = reachable.hung ? reachable : rss;
  return [x, change(reachable), line(reachable, reachable.rates?.estimate), line(reachable, reachable.rates?.low), line(reachable, reachable.rates?.high),
    change(rss), line(rss, rss.rates?.estimate), line(limited, limited.rates?.limit)];
}

function growthRow(check, engine) {
  if (!check) return null;
  const hourly = perHour(check, engine);
  const more = [];
  if (check.unit === "bytes/operation" && isNumber(hourly?.estimate)) more.push(`${inWords(hourly.estimate, "bytes/hour")} at this rate`);
  const least = check.detectable_95 ?? check.minimum_detectable;
  if (isNumber(least)) more.push(`${inWords(least, check.unit)} or more would be detected with 95 %`);
  if (isNumber(check.time_to_limit_seconds) && stateOf(check) === "FAIL") more.push(`total limit in ${duration(check.time_to_limit_seconds)}`);
  return h("div", { class: "growth", "data-state": stateOf(check) ?? "" },
    h("div", { class: "growth-words" },
      h("div", null, h("b", null, estimate(check)), h("span", { class: "dim" }, ` ${nameOf(check)}, limit ${inWords(check.limit, check.unit)}`)),
      h("div", { class: "dim" }, isNumber(check.estimate) ? more.join(" · ") : engine.reason?.includes(check.reason) ? "" : (check.reason ?? "not judged yet"))),
    isNumber(check.estimate) ? intervalPicture(check) : null);
}

function breachRow(check) {
  const measured = isNumber(check.estimate) ? `${inWords(check.estimate, check.unit)}${isNumber(check.limit) ? `, limit ${inWords(check.limit, check.unit)}` : ""}` : "";
  return h("p", { class: "breach" }, badge(stateOf(check)), h("b", null, ` ${check.id} `), [check.decides ? "" : "informational", measured, check.reason].filter(Boolean).join("; "));
}

const nameOf = (check) => ({ "growth.reachable_bytes": "reachable", "growth.live_bytes": "live", "growth.resident_bytes": "resident", "growth.rss_anon_bytes": "anonymous RSS" })[check.id.replace(".per_operation", "")] ?? check.id;

// The interval on a scale that holds zero and the limit.
function intervalPicture(check) {
  const { estimate: middle, limit } = check;
  const [low, high] = [check.low ?? middle, check.high ?? middle];
  const [least, most] = [Math.min(0, low), Math.max(limit * 1.25, high * 1.08)];
  const x = (value) => 4 + (292 * (value - least)) / (most - least || 1);
  const mark = (value, name, stroke) => [
    s("line", { x1: x(value), x2: x(value), y1: 4, y2: 18, stroke, "stroke-width": 1.5 }),
    s("text", { x: Math.min(282, Math.max(name.length > 1 ? 14 : 6, x(value))), y: 28, "text-anchor": "middle", "font-size": 9.5, fill: "var(--dim)" }, name)];
  return s("svg", { class: "interval", viewBox: "0 0 300 30", preserveAspectRatio: "xMidYMid meet", role: "img",
    "aria-label": `estimate ${estimate(check)}, limit ${inWords(limit, check.unit)}` },
    s("line", { x1: 4, x2: 296, y1: 11, y2: 11, stroke: "var(--line)", "stroke-width": 2 }),
    mark(0, "0", "var(--dim)"), mark(limit, "limit", "var(--red)"),
    s("rect", { x: x(low), y: 7, width: Math.max(2, x(high) - x(low)), height: 8, rx: 2, fill: "var(--state)", opacity: .45 }),
    s("circle", { cx: x(middle), cy: 11, r: 4.5, fill: "var(--state)" }));
}

function siteList(sites) {
  if (!sites?.length) return null;
  return h("section", { class: "sites", "aria-label": "Where it grows" }, sites.slice(0, 4).map((site) => h("div", { class: "site-row" },
    h("div", { class: "site" }, site.site),
    h("div", { class: "site-facts" }, [
      ...(site.facts ?? []),
    ].filter(Boolean).join(" · ")),
    site.frames?.length > 1 ? h("div", { class: "frames mono" }, site.frames.slice(0, 4).join("  ←  ")) : null)));
}

function heapTables(heap) {
  if (!heap || (!heap.types.length && !heap.containers.length)) return null;
  const sign = (value, write) => (isNumber(value) ? `+${write(value)}` : UNKNOWN);
  const grew = (row) => (isNumber(row.grown_bytes) ? `${row.at_least ? "≥ " : ""}+${bytes(row.grown_bytes)}` : UNKNOWN);
  const types = h("table", null, headOf("Type", "grown by", "objects", "now"),
    h("tbody", null, heap.types.slice(0, 8).map((row) => h("tr", null, h("td", { class: "mono" }, row.type), h("td", null, grew(row)), h("td", null, sign(row.grown_count, count)), h("td", null, bytes(row.bytes))))));
  const containers = h("table", null, headOf("Container", "grown by", "entries"),
    h("tbody", null, heap.containers.slice(0, 8).map((row) => h("tr", null, h("td", { class: "mono" }, row.name ? `${row.type} ${row.name}` : row.type), h("td", null, sign(row.grown, count)), h("td", null, count(row.length))))));
  return h("details", { open: heap.grown_bytes > 1e5 },
    h("summary", null, `What grows: types and containers, ${duration(heap.until_s - heap.from_s)} between two snapshots`),
    h("div", { class: "grown" },
      heap.types.length ? h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Types that grow" }, types) : null,
      heap.containers.length ? h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Containers that grow" }, containers) : null));
}

const headOf = (...names) => h("thead", null, h("tr", null, names.map((name) => h("th", { scope: "col" }, name))));

const serverRows = (server) => [
  [server.server, server.up ? `pid ${server.pid ?? "elsewhere"}` : server.up === null ? "starting" : "down", server.up === false],
  [`${server.server} RSS`, bytes(server.rss_bytes)], [`${server.server} live`, bytes(server.live_bytes)],
  [`${server.server} restarts`, count(server.restarts)],
];
