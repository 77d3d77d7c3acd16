// One chart: uPlot, a legend in words that follows the cursor, and keys that move it.

import { h, say } from "/page/dom.js";
import { tick, UNKNOWN } from "/page/format.js";

const HEIGHT = 150;
const STEPS = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 432000, 864000];
const DASHES = { dash: [6, 4], dots: [2, 4] };
const sized = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) target.chart?.resize(contentRect.width);
});

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export class Chart {
  // spec: title, note, lines [{label, color, style, width, value}], log, marks() -> [{from, to}], zero
  constructor(spec, group) {
    this.spec = spec;
    this.group = group;
    this.data = null;
    this.plot = null;
    this.box = h("div", { class: "plot", tabindex: "0", role: "img", "aria-label": `${spec.title}: no reading yet`, onkeydown: (event) => this.key(event) });
    this.box.chart = this;
    this.empty = h("div", { class: "empty" }, "no reading yet");
    this.values = spec.lines.map(() => h("b", null, UNKNOWN));
    this.items = spec.lines.map((line, i) => h("li", { hidden: line.quiet },
      h("span", { class: `key c-${line.color} ${line.style ?? ""}`, "aria-hidden": "true" }), `${line.label} `, this.values[i]));
    this.note = h("small", null, spec.note ?? "");
    this.element = h("div", { class: "chart" }, h("h4", null, spec.title, this.note), this.box, h("ul", { class: "legend" }, this.items));
    this.box.append(this.empty);
    sized.observe(this.box);
  }

  // columns: x and one array a line, null where there is no value
  show(columns, note) {
    this.data = columns;
    if (note !== undefined) say(this.note, note);
    const any = columns.slice(1).some((column) => column.some((value) => value !== null));
    this.empty.hidden = any;
    if (!any) return;
    if (!this.plot) this.make();
    else this.plot.setData(columns);
    this.tell();
  }

  make() {
    const width = this.box.clientWidth;
    if (!width || !this.data) return;
    const { spec } = this;
    const font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const axis = { stroke: color("dim"), font, grid: { stroke: color("grid"), width: 1 }, ticks: { show: false } };
    this.plot?.destroy();
    this.plot = new uPlot({
      width, height: HEIGHT, padding: [8, 18, 0, 0], legend: { show: false },
      cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false }, sync: { key: this.group } },
      scales: { x: { time: false }, y: spec.log ? { distr: 3 } : { range: (_, low, high) => this.range(low, high) } },
      axes: [
        { ...axis, incrs: STEPS, size: 26, space: 46, values: (_, splits) => splits.map(tick) },
        { ...axis, size: 62, space: 34, ...(spec.log ? { splits: (_, __, low, high) => decades(low, high) } : {}), values: (_, splits) => splits.map((value) => (value === null ? "" : spec.axis(value))) },
      ],
      series: [{}, ...spec.lines.map((line) => ({
        stroke: color(line.color), width: line.width ?? 1.5, dash: DASHES[line.style], points: { show: false }, spanGaps: true,
        alpha: line.alpha ?? 1,
      }))],
      bands: (spec.bands ?? []).map(({ series, color: name }) => ({ series, fill: color(name) + "2e" })),
      hooks: { setCursor: [() => this.tell()], drawClear: [(plot) => this.mark(plot)] },
    }, this.data, this.box);
    this.plot.root.setAttribute("aria-hidden", "true");
  }

  range(low, high) {
    if (low === null || high === null) return [0, 1];
    if (this.spec.zero) low = Math.min(0, low);
    const spare = (high - low || Math.abs(high) * 0.1 || 1) * 0.08;
    return [low - (this.spec.zero && low === 0 ? 0 : spare), high + spare];
  }

  // Bands behind the lines: faults on purpose.
  mark(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.fillStyle = color("amber") + "33";
    for (const { from, to } of this.spec.marks?.() ?? []) {
      const [a, b] = [plot.valToPos(from, "x", true), plot.valToPos(to, "x", true)];
      const left = Math.max(a, bbox.left);
      const right = Math.min(Math.max(b, a + 2), bbox.left + bbox.width);
      if (right > left) ctx.fillRect(left, bbox.top, right - left, bbox.height);
    }
    ctx.restore();
  }

  resize(width) {
    if (!this.data || this.empty.hidden === false || !width) return;
    if (!this.plot) this.make();
    else if (Math.abs(this.plot.width - width) >= 1) this.plot.setSize({ width, height: HEIGHT });
  }

  // The theme has changed: canvases keep their colours.
  repaint() {
    if (this.plot) this.make();
  }

  // Write the values at the cursor, or the last ones.
  tell() {
    const at = this.plot?.cursor.idx ?? null;
    const words = this.spec.lines.map((line, i) => {
      const value = nearest(this.data[i + 1], at);
      say(this.values[i], value === null ? UNKNOWN : line.value(value));
      if (!line.quiet) this.items[i].hidden = value === null && Boolean(line.optional);
      return value === null || line.quiet ? null : `${line.label} ${line.value(value)}`;
    });
    const when = at === null ? "now" : `at ${tick(this.data[0][at])}`;
    this.box.setAttribute("aria-label", `${this.spec.title}, ${when}: ${words.filter(Boolean).join(", ") || "no reading yet"}`);
  }

  key(event) {
    if (!this.plot) return;
    const [last, at] = [this.data[0].length - 1, this.plot.cursor.idx];
    const step = Math.max(1, Math.round(last / 60));
    const to = { ArrowLeft: (at ?? last + step) - step, ArrowRight: (at ?? 0) + step, Home: 0, End: last, Escape: -1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (to === -1) this.plot.setCursor({ left: -10, top: -10 });
    else this.plot.setCursor({ left: this.plot.valToPos(this.data[0][Math.max(0, Math.min(last, to))], "x"), top: 10 });
  }
}

// Places on a logarithmic axis: powers of ten, and between them where there are few.
function decades(low, high) {
  const between = Math.log10(high / low) > 2.5 ? [1] : [1, 2, 5];
  const places = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    places.push(...between.map((part) => part * 10 ** power).filter((place) => place >= low * 0.999 && place <= high * 1.001));
  }
  return places;
}

// The value at an index, or the last one before it: signals are read at different times.
function nearest(column, at) {
  for (let i = at ?? column.length - 1; i >= 0; i--) if (column[i] !== null && column[i] !== undefined) return column[i];
  return null;
}
