// What the verdict's words mean, and which check is shown for what.

import { isNumber } from "/page/format.js";

export const stateOf = (check) => check?.so_far ?? check?.verdict ?? null;

const LEAK_CHECKS = ["growth.reachable_bytes", "growth.live_bytes", "growth.resident_bytes", "growth.rss_anon_bytes"];

export function checkOf(engine, name) {
  const checks = engine.checks ?? [];
  return checks.find((check) => check.id === name) ?? checks.find((check) => check.id === `${name}.per_operation`) ?? null;
}

// What the host pays: of anonymous memory alone where swap was not recorded.
export const hostCheck = (engine) => checkOf(engine, "growth.resident_bytes") ?? checkOf(engine, "growth.rss_anon_bytes");

export const leakCheck = (engine) => LEAK_CHECKS.map((name) => checkOf(engine, name)).find(Boolean) ?? null;

// A control that behaves is good news, also where its check says FAIL.
export function shownState(engine) {
  const state = engine.state_so_far;
  if (engine.role !== "control") return state;
  const of_leak = stateOf(leakCheck(engine));
  if (engine.kind === "control.null") return { PASS: "flat", FAIL: "GROWS" }[of_leak] ?? of_leak;
  return { FAIL: "caught", PASS: "MISSED" }[of_leak] ?? of_leak;
}

const MOST_BREACHES = 4;

// The other checks that make an engine's state what it is: the leak has a place of its own. Those of a rival count
// towards its state, and decide nothing for the run.
export function breaches(engine) {
  if (engine.role === "control" || !["FAIL", "INVALID"].includes(engine.state_so_far)) return [];
  const leak = leakCheck(engine);
  const worst = (engine.checks ?? []).filter((check) => check !== leak && stateOf(check) === engine.state_so_far);
  return worst.filter((check) => !check.informational).slice(0, MOST_BREACHES);
}

export const CLASSES = {
  flat: "flat", python_leak: "leak in Python objects", native_leak: "leak in native code", mixed_leak: "leak in Python and native code",
  collector_backlog: "collector backlog", fragmentation: "fragmentation", private_allocator: "private allocator or mmap",
  cache_filling: "cache still filling", warm_up: "warm-up", backlog: "backlog", fd_leak: "file descriptor leak",
  thread_leak: "thread leak", task_leak: "task leak", unknown: null, undecided: null,
};

// Bytes an hour of a growth check: estimate, interval and limit on one scale.
export function perHour(check, engine) {
  if (!check || !isNumber(check.estimate)) return null;
  if (check.unit === "bytes/hour") return { estimate: check.estimate, low: check.low, high: check.high, limit: check.limit };
  const achieved = checkOf(engine, "rate.achieved")?.achieved_per_second ?? engine.target_per_s;
  const limit = isNumber(check.limit) ? check.limit * achieved * 3600 : null;
  return { estimate: check.per_hour, low: check.per_hour_low, high: check.per_hour_high, limit };
}
