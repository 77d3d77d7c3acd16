// Before the first paint: the theme that was chosen here before, if one was.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("soakd-theme");
  } catch {
    // a browser that keeps nothing follows the system
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
