// Series of one engine on one time axis, and the judge's line through them. The slopes are the judge's; only where the
// lines are hung up is chosen here.

export function aligned(signals, names) {
  const times = [...new Set(names.flatMap((name) => signals[name]?.t_s ?? []))].sort((a, b) => a - b);
  const at = new Map(times.map((t, i) => [t, i]));
  const column = (name, of) => {
    const values = new Array(times.length).fill(null);
    signals[name]?.t_s.forEach((t, i) => (values[at.get(t)] = signals[name][of][i]));
    return values;
  };
  return { times, column };
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? null;

// Hang up a slope of so many bytes an hour: lines fan out from one point, a third into the load seen so far.
// Returns {from, line(rate, t)}; null where there are too few readings.
export function hang(series, estimate, load) {
  const inside = (series?.t_s ?? []).map((t, i) => [t, series.last[i]]).filter(([t]) => t >= load.start_s && t <= load.end_s);
  const late = inside.slice(Math.floor(inside.length / 3));
  if (late.length < 3) return null;
  const from = late[0][0];
  const level = median(late.map(([t, value]) => value - (estimate / 3600) * (t - from)));
  return { from, zero: inside[0][1], line: (rate, t) => level + (rate / 3600) * (t - from) };
}
