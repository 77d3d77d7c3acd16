// Numbers as people read them: three figures, and a unit on each.

export const UNKNOWN = "–";
const NARROW = "\u202f";

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

function scaled(value, steps, space = " ") {
  const size = Math.abs(value);
  const [factor, unit] = steps.find(([least]) => size >= least * 0.9995) ?? steps.at(-1);
  return `${figures(value / factor)}${space}${unit}`;
}

// Three figures, none of them behind a thousand.
export function figures(value) {
  const size = Math.abs(value);
  if (size !== 0 && size < 0.001) return value.toExponential(1);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  const text = value.toLocaleString("en", { minimumFractionDigits: 0, maximumFractionDigits: digits });
  return text.replace("-", "−");
}

export const count = (value) => (isNumber(value) ? Math.round(value).toLocaleString("en") : UNKNOWN);
export const shortCount = (value) =>
  isNumber(value) ? scaled(value, [[1e9, "G"], [1e6, "M"], [1e4, "k", 1e3]].map(([l, u, f]) => [f ?? l, u]).concat([[1, ""]]), "").trim() : UNKNOWN;
export const bytes = (value) =>
  isNumber(value) ? scaled(value, [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"], [1, "B"]]) : UNKNOWN;
export const seconds = (value) =>
  isNumber(value) ? scaled(value, [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]]) : UNKNOWN;
export const perSecond = (value) => (isNumber(value) ? `${value >= 1000 ? count(value) : figures(value)}/s` : UNKNOWN);
export const percent = (value) => (isNumber(value) ? `${figures(value * 100)} %` : UNKNOWN);
export const cores = (value) => (isNumber(value) ? `${figures(value)} cores` : UNKNOWN);

// "2 d 3 h", "1 h 02 min", "4 min 05 s", "12 s"
export function duration(value) {
  if (!isNumber(value)) return UNKNOWN;
  const s = Math.max(0, Math.floor(value));
  const [d, h, m] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
  const two = (n) => String(n).padStart(2, "0");
  if (d) return `${d}${NARROW}d ${h}${NARROW}h`;
  if (h) return `${h}${NARROW}h ${two(m)}${NARROW}min`;
  if (m) return `${m}${NARROW}min ${two(s % 60)}${NARROW}s`;
  return `${s}${NARROW}s`;
}

// How often something is done: parts of a second count.
export const cadence = (value) => (isNumber(value) && value % 1 && value < 60 ? seconds(value) : duration(value));

// A duration for an axis: one unit, no spaces.
export function tick(value) {
  const s = Math.round(value);
  if (s === 0) return "0";
  const part = (n, unit) => (n ? `${n}${unit}` : "");
  const [d, h, m] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
  if (d) return part(d, "d") + part(h, "h");
  if (h) return part(h, "h") + part(m, "m");
  return part(m, "m") + part(s % 60, "s");
}

export const clock = (wall_s) =>
  isNumber(wall_s) ? new Date(wall_s * 1000).toLocaleTimeString("en-GB", { hour12: false }) : UNKNOWN;
export const dateTime = (wall_s) =>
  isNumber(wall_s) ? new Date(wall_s * 1000).toISOString().replace("T", " ").slice(0, 19) + " UTC" : UNKNOWN;

const PER = { hour: "/h", operation: "/op", second: "/s" };

// A value in a unit of the verdict ("bytes/hour", "seconds", "ratio", "count"), and a function for its neighbours.
export function inUnit(unit, magnitude) {
  const [base, per] = String(unit ?? "").split("/");
  const suffix = per ? (PER[per] ?? `/${per}`) : "";
  if (base === "bytes") {
    const steps = [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"], [1, "B"]];
    const least = (size) => (per === "hour" && size === 1e6 ? 0.1 : 0.9995); // limits per hour are discussed in MB/h
    const [factor, name] = steps.find(([size]) => magnitude >= size * least(size)) ?? steps.at(-1);
    return { factor, label: ` ${name}${suffix}` };
  }
  if (base === "seconds") {
    const steps = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]];
    const [factor, name] = steps.find(([size]) => magnitude >= size * 0.9995) ?? steps[0];
    return { factor, label: ` ${name}${suffix}` };
  }
  if (base === "ratio") return { factor: 0.01, label: ` %${suffix}` };
  return { factor: 1, label: base === "count" || !base ? suffix : ` ${base}${suffix}` };
}

export function inWords(value, unit) {
  if (!isNumber(value)) return UNKNOWN;
  const { factor, label } = inUnit(unit, Math.abs(value));
  return figures(value / factor) + label;
}

// "105 B/op [104, 105]"
export function estimate(check) {
  if (!check || !isNumber(check.estimate)) return UNKNOWN;
  const all = [check.estimate, check.low, check.high].filter(isNumber);
  const { factor, label } = inUnit(check.unit, Math.max(...all.map(Math.abs)));
  const [first, ...bounds] = all.map((value) => plain(value / factor));
  return bounds.length === 2 ? `${first}${label} [${bounds.join(", ")}]` : first + label;
}

const plain = (value) => (Math.abs(value) < 0.005 ? "0" : figures(value));
export { isNumber };
