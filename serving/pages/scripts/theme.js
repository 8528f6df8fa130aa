// The theme: the system's, or the selected one. Runs before the first paint, so that nothing flashes.
"use strict";
(function () {
  const NAMES = ["system", "light", "dark"];
  let selected = "system";
  try {
    selected = localStorage.getItem("theme") || "system";
  } catch {
    /* storage may be blocked: then it is not remembered */
  }

  function apply() {
    if (selected === "system") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.setAttribute("data-theme", selected);
    const button = document.getElementById("theme");
    if (button) button.textContent = "Theme: " + selected;
    document.dispatchEvent(new Event("themechange"));
  }

  apply();
  document.addEventListener("DOMContentLoaded", () => {
    apply();
    document.getElementById("theme").addEventListener("click", () => {
      selected = NAMES[(NAMES.indexOf(selected) + 1) % NAMES.length];
      try {
        localStorage.setItem("theme", selected);
      } catch {
        /* as above */
      }
      apply();
    });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
})();
