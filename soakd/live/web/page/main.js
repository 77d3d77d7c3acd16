// The status page: asks once for what is known, then listens, and asks again for what an event says is new.

import { get, watch } from "/page/api.js";
import { anchor, Card } from "/page/cards.js";
import { byId, h, icon, remake, say } from "/page/dom.js";
import { bytes, cadence, clock, count, dateTime, duration, isNumber, percent, UNKNOWN } from "/page/format.js";
import { Instrument } from "/page/instrument.js";
import { overview, rivals } from "/page/overview.js";
import { stretches, timeline } from "/page/timeline.js";
import { shownState } from "/page/words.js";

const LEAST_REFRESH_MS = 3_000;
const SAYINGS = {
  PASS: "Pass", FAIL: "Fail", INCONCLUSIVE: "Inconclusive", INVALID: "Invalid", INCOMPLETE: "No answer yet", "": "No answer yet",
};

const page = { run: null, engines: [], incidents: [], live: null, cards: new Map(), instrument: null, span: "whole", verdicts: -1, told: -1, busy: false };

async function load() {
  const [run, { engines }, { incidents }] = await Promise.all([get("/api/v1/run"), get("/api/v1/engines"), get("/api/v1/incidents")]);
  if (page.run && page.run.run !== run.run) return location.reload();
  Object.assign(page, { run, engines, incidents, verdicts: run.verdicts, told: run.incidents_total });
  build();
  judged();
}

function build() {
  page.instrument ??= new Instrument(byId("instrument-box"));
  for (const engine of page.engines) {
    if (page.cards.has(engine.name)) continue;
    const card = new Card(engine, () => page.faults?.filter((fault) => fault.engine === engine.name) ?? []);
    page.cards.set(engine.name, card);
    byId("cards").append(card.element);
    card.element.card = card;
    seen.observe(card.element);
  }
  say(byId("run-name"), page.run.name);
  say(byId("foot-run"), `${page.run.run} · started ${dateTime(page.run.started_at_wall_s)}`);
}

const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) target.card.visible = isIntersecting;
  refresh();
}, { rootMargin: "300px" });

function judged() {
  page.faults = stretches(page.incidents);
  for (const engine of page.engines) page.cards.get(engine.name).judged(engine);
  page.instrument.judged(page.run, page.engines);
  answer();
  tables();
}

// The answer so far, first and in words.
function answer() {
  const { run, live, engines } = page;
  const final = run.state && run.state !== "INCOMPLETE" ? run.state : null;
  const state = final ?? live?.state_so_far ?? run.state_so_far ?? "";
  byId("answer").dataset.state = state;
  say(byId("eyebrow"), final ? "Verdict" : `Verdict so far${isNumber(run.judged_s) ? `, as of ${duration(run.judged_s)}` : ""}`);
  remake(byId("state"), [state, final], () => [icon(state), `${SAYINGS[state] ?? state}${state && !final ? " so far" : ""}`]);
  byId("state").dataset.state = state;
  const [first, found] = clauses(live?.summary ?? run.summary, engines);
  say(byId("reason"), first || "The judge has not answered yet: it needs the first minutes of the load.");
  byId("reason").hidden = !first && found.length > 0;
  remake(byId("findings"), found.map(([engine, text]) => [engine.name, text, engine.sites?.[0]?.site]), () => found.map(([engine, text]) =>
    h("li", null, icon(state), h("span", null, h("a", { href: `#${anchor(engine.name)}` }, engine.name), `: ${text}`,
      engine.sites?.length ? h("span", { class: "site" }, `at ${engine.sites[0].site}`) : null))));
  document.title = `${SAYINGS[state] ?? state}${state && !final ? " so far" : ""} · ${run.name} · soakd`;
  byId("icon").href = { FAIL: "/page/icon-fail.svg", INVALID: "/page/icon-fail.svg", PASS: "/page/icon-pass.svg", INCONCLUSIVE: "/page/icon-unsure.svg" }[state] ?? "/page/icon.svg";
}

// The judge's sentence: what it says of the run, and what it says of single engines.
function clauses(summary, engines) {
  const found = [];
  const rest = (summary ?? "").split("; ").filter((clause) => {
    const engine = engines.find(({ name }) => clause.startsWith(`${name}: `));
    if (engine) found.push([engine, clause.slice(engine.name.length + 2)]);
    return clause && !engine;
  });
  const first = rest.join("; ");
  return [first && `${first[0].toUpperCase()}${first.slice(1)}.`, found];
}

function progress() {
  const { run, live } = page;
  const elapsed = live?.elapsed_s ?? run.elapsed_s;
  say(byId("elapsed"), elapsed === null ? "Starting" : duration(elapsed));
  say(byId("planned"), `of ${duration(run.planned_s)}`);
  const ended = live?.ended_for ?? run.ended_for;
  say(byId("remaining"), ended ? `ended: ${ended.replaceAll("_", " ")}` : elapsed === null ? "" : `${duration(live?.remaining_s ?? run.remaining_s)} left`);
  phases(elapsed ?? -1);
  const last = live?.last_sample_wall_s ?? run.last_sample_wall_s;
  const incidents = live?.incidents_total ?? run.incidents_total;
  const tiles = [
    ["Phase", live?.phase ?? run.phase ?? UNKNOWN, ""],
    ["Samples received", percent(live?.coverage_ratio ?? run.coverage_ratio), `every ${cadence(run.sample_every_s)}`],
    ["Last sample", last ? clock(last) : UNKNOWN, ""],
    ["Incidents", count(incidents), ""],
    ["Controls", controls(), ""],
    ["soakd itself", bytes(live?.own.rss_bytes), live?.own_cpu_cores === undefined || live.own_cpu_cores === null ? "" : `${percent(live.own_cpu_cores)} of a core`],
  ];
  remake(byId("tiles"), tiles, () => tiles.map(([name, value, more]) => h("div", null, h("dt", null, name), h("dd", null, value, more ? h("small", null, more) : null))));
}

function controls() {
  const states = page.engines.filter((engine) => engine.role === "control").map((engine) => shownState(engine) ?? UNKNOWN);
  return states.length ? states.join(", ").toLowerCase() : "none";
}

function phases(elapsed) {
  const box = byId("phases");
  if (!box.children.length) {
    box.append(...page.run.phases.map((phase) => {
      const part = h("div", { class: "phase" }, h("i", null, h("b")), h("span", null, phase.name));
      part.style.flexGrow = Math.max(phase.end_s - phase.start_s, page.run.planned_s * 0.14); // a short phase keeps its name
      return part;
    }));
  }
  page.run.phases.forEach((phase, i) => {
    const done = Math.max(0, Math.min(1, (elapsed - phase.start_s) / (phase.end_s - phase.start_s)));
    box.children[i].querySelector("b").style.width = `${100 * done}%`;
    box.children[i].dataset.now = done > 0 && done < 1 ? "yes" : "no";
  });
  box.setAttribute("aria-label", `Phases of the run: ${page.run.phases.map(({ name }) => name).join(", ")}; now ${page.live?.phase ?? page.run.phase ?? "starting"}`);
}

function tables() {
  progress();
  overview(byId("overview"), page.engines, page.live);
  rivals(byId("rivals-box"), page.engines, page.live);
  say(byId("timeline-count"), page.incidents.length < page.run.incidents_total ? `the latest ${count(page.incidents.length)} of ${count(page.run.incidents_total)} incidents` : `${count(page.incidents.length)} incidents`);
  timeline(byId("timeline-box"), page.run, page.incidents, page.live?.elapsed_s ?? page.run.elapsed_s);
}

async function refresh() {
  if (!page.run || document.hidden) return;
  const now_ms = performance.now();
  const every_ms = Math.max(LEAST_REFRESH_MS, page.run.sample_every_s * 1000);
  const all = [...page.cards.values(), page.instrument];
  await Promise.allSettled(all.map((one) => one.refresh(page.span, now_ms, every_ms)));
}

async function heard(live) {
  page.live = live;
  const started = page.engines.length > 0;
  const changed = live.verdicts !== page.verdicts || live.incidents_total !== page.told || live.run !== page.run?.run || sitesChanged(live);
  if ((changed || !started) && !page.busy) {
    page.busy = true;
    try {
      await load();
    } finally {
      page.busy = false;
    }
  }
  if (!page.run) return;
  for (const [name, one] of Object.entries(live.engines)) page.cards.get(name)?.state(one);
  page.instrument.state(live);
  answer();
  tables();
  refresh();
}

const sitesChanged = (live) => page.engines.some((engine) => (live.engines[engine.name]?.sites ?? 0) !== (engine.sites?.length ?? 0));

function link(state) {
  byId("link").dataset.link = state;
  say(byId("link-word"), { live: "live", lost: "connection lost", over: "ended" }[state]);
  const banner = byId("banner");
  banner.hidden = state === "live";
  banner.dataset.kind = state;
  if (state === "lost") say(banner, `Connection lost: soakd does not answer. Last update: ${clock(Date.now() / 1000)}; reconnecting.`);
}

function ended(why) {
  const banner = byId("banner");
  say(banner, why === "ended" ? `This run has ended, and soakd with it. Its report has everything shown here: report.html in its folder, or soakd report ${page.run?.run ?? "RUN"}.` : "soakd has left this run to be resumed; this page will then continue.");
}

function choose(span) {
  page.span = span;
  for (const name of ["whole", "recent"]) byId(`span-${name}`).setAttribute("aria-pressed", String(name === span));
  for (const card of page.cards.values()) card.due_ms = 0;
  if (page.instrument) page.instrument.due_ms = 0;
  refresh();
}

function theme() {
  const root = document.documentElement;
  const order = ["auto", "light", "dark"];
  const shown = () => root.dataset.theme ?? "auto";
  const tell = () => {
    const name = shown();
    say(byId("theme"), name[0].toUpperCase() + name.slice(1));
    byId("theme").setAttribute("aria-label", `Theme: ${name === "auto" ? "as the system" : name}`);
  };
  const repaint = () => {
    for (const card of page.cards.values()) for (const chart of Object.values(card.charts)) chart.repaint();
    page.instrument?.chart.repaint();
  };
  byId("theme").addEventListener("click", () => {
    const next = order[(order.indexOf(shown()) + 1) % order.length];
    if (next === "auto") delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      localStorage.setItem("soakd-theme", next);
    } catch {
      // kept for this page only
    }
    tell();
    repaint();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  tell();
}

theme();
byId("span-whole").addEventListener("click", () => choose("whole"));
byId("span-recent").addEventListener("click", () => choose("recent"));
document.addEventListener("visibilitychange", refresh);
watch({ state: heard, end: ended, link });
