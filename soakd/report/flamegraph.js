"use strict";
for (const graph of document.querySelectorAll(".flame-graph")) {
  const calls = [...graph.querySelectorAll(".call")];
  const said = graph.parentElement.querySelector(".flame-said");
  const x = (c) => Number(c.dataset.x), w = (c) => Number(c.dataset.w);
  const level = (c) => Number(c.getAttribute("aria-level"));
  const within = (a, b) => x(a) >= x(b) - 1e-6 && x(a) + w(a) <= x(b) + w(b) + 1e-6;
  let zoomed = calls[0];
  function zoom(to) {
    zoomed = to;
    for (const c of calls) {
      const above = level(c) < level(to) && within(to, c);
      const shown = above || (level(c) >= level(to) && within(c, to));
      c.style.display = shown ? "" : "none";
      c.classList.toggle("above", above);
      c.setAttribute("x", above ? "0%" : `${((x(c) - x(to)) / w(to)) * 100}%`);
      c.setAttribute("width", above ? "100%" : `${(w(c) / w(to)) * 100}%`);
    }
  }
  function go(to) {
    if (!to) return;
    for (const c of calls) c.setAttribute("tabindex", c === to ? "0" : "-1");
    to.focus();
  }
  const shown = (c) => c.style.display !== "none";
  const parent = (c) => calls.find((o) => level(o) === level(c) - 1 && within(c, o));
  const beside = (c, step) => {
    const row = calls.filter((o) => level(o) === level(c) && shown(o)).sort((a, b) => x(a) - x(b));
    return row[row.indexOf(c) + step];
  };
  graph.addEventListener("click", (e) => { const c = e.target.closest(".call"); if (c) { zoom(c); go(c); } });
  graph.addEventListener("focusin", (e) => { const c = e.target.closest(".call"); if (c) said.textContent = c.getAttribute("aria-label"); });
  graph.addEventListener("mouseover", (e) => { const c = e.target.closest(".call"); if (c) said.textContent = c.getAttribute("aria-label"); });
  graph.addEventListener("keydown", (e) => {
    const c = e.target.closest(".call");
    if (!c) return;
    const keys = {
      Enter: () => zoom(c), " ": () => zoom(c), Escape: () => { zoom(calls[0]); },
      ArrowUp: () => go(parent(c)), ArrowLeft: () => go(beside(c, -1)), ArrowRight: () => go(beside(c, 1)),
      ArrowDown: () => go(calls.filter((o) => level(o) === level(c) + 1 && within(o, c) && shown(o)).sort((a, b) => w(b) - w(a))[0]),
      Home: () => go(calls[0]),
    };
    if (keys[e.key]) { e.preventDefault(); keys[e.key](); }
  });
}
const find = document.querySelector(".flame-find"), found = document.querySelector(".flame-found");
find.addEventListener("input", () => {
  const word = find.value.trim().toLowerCase();
  let count = 0;
  for (const c of document.querySelectorAll(".flame-graph .call")) {
    const hit = word !== "" && c.querySelector("text").textContent.toLowerCase().includes(word);
    c.classList.toggle("found", hit);
    count += hit;
  }
  found.textContent = word === "" ? "" : `${count} found`;
});
