// The JSON interface of the run, and its events. A connection that is lost is tried again until it is there.

const SILENT_AFTER_MS = 15_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 10_000;

export async function get(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

export const seriesOf = (name, signals, span, points) => {
  const where = name === null ? "/api/v1/own/series" : `/api/v1/engines/${encodeURIComponent(name)}/series`;
  return get(`${where}?signal=${signals.map(encodeURIComponent).join(",")}&points=${points}&span=${span}`);
};

// Calls `on.state` with each state, `on.end` when the run has ended, `on.link` with "live", "lost" or "over".
export function watch(on) {
  let pause_ms = FIRST_PAUSE_MS;
  let source = null;
  let silence = 0;
  let over = false;

  const again = () => {
    source?.close();
    source = null;
    clearTimeout(silence);
    on.link(over ? "over" : "lost");
    setTimeout(connect, pause_ms);
    pause_ms = Math.min(LONGEST_PAUSE_MS, pause_ms * 1.6);
  };
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(again, SILENT_AFTER_MS);
  };
  const connect = () => {
    source = new EventSource("/api/v1/events");
    heard();
    source.addEventListener("state", (event) => {
      heard();
      pause_ms = FIRST_PAUSE_MS;
      on.link("live");
      on.state(JSON.parse(event.data));
    });
    source.addEventListener("end", (event) => {
      const { why } = JSON.parse(event.data);
      over = why === "ended";
      on.end(why);
      again();
    });
    source.onerror = () => source && again();
  };
  connect();
}
