// A field that finds items by words; choosing one hands it on.
import { api } from "../api.js";
import { el, fill } from "../dom.js";
import { action, failed } from "../parts.js";

export function picker(choose, signal) {
  const field = el("input", { type: "search", id: "what-if", autocomplete: "off" });
  const found = el("ul.list", { "aria-label": "Items found" });
  let asked = 0;
  field.addEventListener("input", async () => {
    const turn = ++asked;
    if (!field.value.trim()) return void fill(found);
    try {
      const { items } = await api.search({ query: field.value, n: 6 }, signal);
      if (turn !== asked) return;
      fill(
        found,
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
                      fill(found);
                    },
                    { kind: "small", label: `What if they clicked ${item.title || item.item_id} now?` },
                  ),
                ),
              ),
            )
          : el("li", {}, el("span"), "No such item."),
      );
    } catch (error) {
      if (error.name !== "AbortError") fill(found, failed(error));
    }
  });
  const form = el(
    "form.search",
    { role: "search" },
    el("div.grow", {}, el("label", { for: "what-if" }, "Find an item, or take one from the list"), field),
  );
  form.addEventListener("submit", (event) => event.preventDefault());
  return el("div", {}, form, found);
}
