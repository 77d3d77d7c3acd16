// What vouches for the answer: the two controls, soakd's own footprint, and the host.

import { seriesOf } from "/page/api.js";
import { Chart } from "/page/chart.js";
import { badge, h, remake } from "/page/dom.js";
import { bytes, cores, count, estimate, inWords, isNumber, percent, UNKNOWN } from "/page/format.js";
import { leakCheck, shownState, stateOf } from "/page/words.js";

const OWN = ["rss_bytes", "rss_anon_bytes"];
const TASKS = { "control.null": "does nothing, and must be flat", "control.leak": "leaks twice the limit, and must be caught" };

export class Instrument {
  constructor(box) {
    this.controls = h("div");
    this.checks = h("div");
    this.facts = h("dl", { class: "facts" });
    this.chart = new Chart({
      title: "soakd's memory", note: "it must not grow itself", axis: bytes, zero: true,
      lines: [{ label: "RSS", color: "dim", value: bytes }, { label: "anonymous RSS", color: "blue", value: bytes }],
    }, "own");
    this.visible = true;
    this.due_ms = 0;
    box.append(
      h("div", { class: "panel" }, h("h3", null, "Controls and evidence"), this.controls, this.checks),
      h("div", { class: "panel" }, h("h3", null, "soakd and its host"), this.chart.element, this.facts));
  }

  judged(run, engines) {
    const controls = engines.filter((engine) => engine.role === "control");
    remake(this.controls, controls.map((engine) => [engine.name, shownState(engine), leakCheck(engine)]), () => controls.length ? h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Controls" }, h("table", null,
      h("thead", null, h("tr", null, h("th", { scope: "col" }, "Control"), h("th", { scope: "col", class: "left" }, "So far"), h("th", { scope: "col" }, "Growth"), h("th", { scope: "col" }, "Limit"))),
      h("tbody", null, controls.map((engine) => h("tr", null,
        h("td", null, engine.name, h("span", { class: "sub wrap-text narrow" }, TASKS[engine.kind] ?? engine.kind)),
        h("td", { class: "left" }, badge(shownState(engine))), h("td", null, estimate(leakCheck(engine))), h("td", null, inWords(leakCheck(engine)?.limit, leakCheck(engine)?.unit))))))) : h("p", { class: "dim" }, "This run has no control."));
    remake(this.checks, run.checks, () => h("table", null, h("tbody", null, run.checks.map((check) => h("tr", null,
      h("td", null, check.id, check.decides ? null : h("span", { class: "sub" }, "informational"), check.reason ? h("span", { class: "sub wrap-text" }, check.reason) : null), h("td", null, badge(stateOf(check))))))));
  }

  state(live) {
    const { own } = live;
    const rows = [
      ["RSS", bytes(own.rss_bytes)], ["Processor", isNumber(live.own_cpu_cores) ? percent(live.own_cpu_cores) + " of a core" : UNKNOWN],
      ["Descriptors", count(own.fds)], ["Threads", count(own.threads)], ["Run's files", bytes(own.run_bytes)],
      ["Disk free", bytes(own.disk_free_bytes)], ["Memory available", bytes(own.memory_available_bytes)],
      ["Processors pressed", percent(own.host_cpu_pressure_ratio), own.host_cpu_pressure_ratio > 0.5],
      ["Memory pressed", percent(own.host_memory_pressure_ratio), own.host_memory_pressure_ratio > 0.1],
      ["Disk pressed", percent(own.host_io_pressure_ratio)],
      ["Taken by others", percent(own.host_others_ratio), own.host_others_ratio > 0.5],
    ];
    remake(this.facts, rows, () => rows.filter(([, value]) => value !== UNKNOWN).map(([name, value, bad]) =>
      h("div", null, h("dt", null, name), h("dd", { class: bad ? "bad" : null }, value))));
  }

  async refresh(span, now_ms, every_ms) {
    if (now_ms < this.due_ms) return;
    this.due_ms = now_ms + 2 * every_ms;
    const { signals } = await seriesOf(null, OWN, span, 256);
    const times = signals.rss_bytes?.t_s ?? [];
    this.chart.show([times, ...OWN.map((name) => (signals[name]?.last ?? times.map(() => null)))]);
  }
}
