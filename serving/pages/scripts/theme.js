// The theme: the system's, or the one chosen here. Runs before anything is drawn, so that nothing flashes.
"use strict";
(function () {
  const NAMES = ["system", "light", "dark"];
  let chosen = "system";
  try {
    chosen = localStorage.getItem("theme") || "system";
  } catch {
    /* storage may be forbidden: then it is not kept */
  }

  function apply() {
    if (chosen === "system") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.setAttribute("data-theme", chosen);
    const button = document.getElementById("theme");
    if (button) button.textContent = "Theme: " + chosen;
    document.dispatchEvent(new Event("themechange"));
  }

  apply();
  document.addEventListener("DOMContentLoaded", () => {
    apply();
    document.getElementById("theme").addEventListener("click", () => {
      chosen = NAMES[(NAMES.indexOf(chosen) + 1) % NAMES.length];
      try {
        localStorage.setItem("theme", chosen);
      } catch {
        /* as above */
      }
      apply();
    });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
})();
