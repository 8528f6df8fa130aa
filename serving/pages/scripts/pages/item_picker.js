// A search field for items; calls `choose` with the selected item.
import { api } from "../api.js";
import { el, fill } from "../dom.js";
import { action, failed } from "../parts.js";

export function picker(choose, signal) {
  const field = el("input", { type: "search", id: "what-if", autocomplete: "off" });
  const results = el("ul.list", { "aria-label": "Search results" });
  let searches = 0;
  field.addEventListener("input", async () => {
    const turn = ++searches;
    if (!field.value.trim()) return void fill(results);
    try {
      const { items } = await api.search({ query: field.value, n: 6 }, signal);
      if (turn !== searches) return;
      fill(
        results,
        items.length
          ? items.map((item) =>
              el(
                "li",
                {},
                el("span"),
                el("span.name", {}, item.title || item.item_id),
                el(
                  "span.side",
                  {},
                  action(
                    "Try",
                    async () => {
                      await choose(item);
                      field.value = "";
                      fill(results);
                    },
                    { kind: "small", label: `What if the user clicked ${item.title || item.item_id} now?` },
                  ),
                ),
              ),
            )
          : el("li", {}, el("span"), "No items match."),
      );
    } catch (error) {
      if (error.name !== "AbortError") fill(results, failed(error));
    }
  });
  const form = el(
    "form.search",
    { role: "search" },
    el("div.grow", {}, el("label", { for: "what-if" }, "Search for an item, or use the list"), field),
  );
  form.addEventListener("submit", (event) => event.preventDefault());
  return el("div", {}, form, results);
}
