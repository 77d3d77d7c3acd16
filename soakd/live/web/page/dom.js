// Elements without markup in texts: what an engine calls itself is never parsed.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const h = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);
export const s = (name, attributes, ...children) => fill(document.createElementNS(SVG, name), attributes, children);
export const byId = (id) => document.getElementById(id);

// Change a text only where it differs: a screen reader, and a selection, are left in peace.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Replace the children of an element only where what they were made of has changed.
const made = new WeakMap();
export function remake(element, key, make) {
  const text = JSON.stringify(key);
  if (made.get(element) === text) return;
  made.set(element, text);
  element.replaceChildren(...[make()].flat(Infinity).filter(Boolean));
}

const ICONS = {
  good: "M3.500 8.500l3 3 6-7",
  bad: "M4 4l8 8M12 4l-8 8",
  unsure: "M5.500 6a2.500 2.500 0 1 1 3.600 2.200c-.8.4-1.100.9-1.100 1.800M8 12.600v.1",
  waiting: "M8 4.500V8l2.500 1.500",
  broken: "M8 3.500v5.500M8 12.300v.2",
};

const ICON_OF = {
  PASS: "good", flat: "good", caught: "good", FAIL: "bad", GROWS: "bad", MISSED: "bad",
  INVALID: "broken", INCONCLUSIVE: "unsure",
};

export function icon(state) {
  return s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true", fill: "none", stroke: "currentColor", "stroke-width": "1.600", "stroke-linecap": "round", "stroke-linejoin": "round" },
    s("circle", { cx: 8, cy: 8, r: 7.2, "stroke-width": "1.300" }),
    s("path", { d: ICONS[ICON_OF[state] ?? "waiting"] }));
}

export const badge = (state, word) => h("span", { class: "badge", "data-state": state ?? "" }, icon(state), word ?? state ?? "no answer yet");
