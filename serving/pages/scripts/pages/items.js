// The catalogue: search, trending and popular items.
import { api } from "../api.js";
import { el, fill } from "../dom.js";
import { number, plural } from "../format.js";
import { badge, card, categoriesOf, empty, failed, head, itemLink, itemList, table, when } from "../parts.js";

const MAX_RESULTS = 15;
const TOP = 8;

export async function showItems(visit) {
  const { signal, view } = visit;
  const results = el("div", { "aria-live": "polite" }),
    popular = el("div"),
    trending = el("div"),
    since = el("p.soft.small");
  const words = el("input", { type: "search", id: "words", autocomplete: "off" });
  const category = el("select", { id: "category" }, el("option", { value: "" }, "all categories"));
  const state = el(
    "select",
    { id: "state" },
    el("option", { value: "" }, "all"),
    el("option", { value: "only" }, "hidden only"),
  );
  let searches = 0;

  async function search() {
    const turn = ++searches;
    const hits = await api.search(
      { query: words.value, category: category.value, hidden: state.value, n: MAX_RESULTS },
      signal,
    );
    if (turn !== searches) return;
    fill(
      results,
      hits.items.length
        ? itemTable(hits.items)
        : empty(
            words.value || category.value || state.value
              ? "No items match."
              : "The catalogue is empty. Put items with POST /v1/items or `tidewise import`.",
          ),
      hits.matching > hits.items.length
        ? el(
            "p.soft.small",
            {},
            `The first ${number(hits.items.length)} of ${plural(hits.matching, "item")}, most popular first. Add words to narrow the search.`,
          )
        : null,
    );
  }

  async function loadPopular() {
    const options = { n: TOP, category: category.value };
    const [popularItems, trends] = await Promise.all([api.popular(options, signal), api.trending(options, signal)]);
    fill(
      popular,
      popularItems.items.length ? itemList(popularItems.items, { label: "Popular items" }) : empty("No items."),
    );
    fill(since, trends.items.length ? `${trends.reason.charAt(0).toUpperCase()}${trends.reason.slice(1)}.` : null);
    fill(
      trending,
      trends.items.length
        ? itemList(trends.items, { label: "Trending items" })
        : empty("No item has gained since this process started."),
    );
  }

  const guarded = (work) => () =>
    work().catch((error) => {
      if (error.name !== "AbortError") fill(results, failed(error));
    });
  words.addEventListener("input", guarded(search));
  category.addEventListener(
    "change",
    guarded(() => Promise.all([search(), loadPopular()])),
  );
  state.addEventListener("change", guarded(search));
  const [categories] = await Promise.all([api.categories(signal), search(), loadPopular()]);
  for (const entry of categories.categories)
    category.append(el("option", { value: entry.category }, `${entry.category} (${number(entry.items)})`));
  const form = el(
    "form.search",
    { role: "search" },
    el("div.grow", {}, el("label", { for: "words" }, "Words in title, text or id"), words),
    el("div", {}, el("label", { for: "category" }, "Category"), category),
    el("div", {}, el("label", { for: "state" }, "State"), state),
  );
  form.addEventListener("submit", (event) => event.preventDefault());
  fill(
    view,
    head("Items", "The catalogue: visible and hidden items."),
    el(
      "div.grid",
      {},
      card("Search", { where: "two-thirds" }, form, results),
      el(
        "div.third.stack",
        {},
        card("Trending", { about: "gaining popularity" }, since, trending),
        card("Popular now", { about: "time-decayed" }, popular),
      ),
    ),
  );
  visit.every(15, loadPopular);
}

function itemTable(items) {
  return table(
    "Items",
    [["Item"], ["Categories"], ["State", "keep"], ["Updated", "keep"]],
    items.map((item) => [
      el("span.clamp", {}, itemLink(item)),
      el("span.soft.clamp", {}, categoriesOf(item)),
      item.hidden ? badge("hidden", "warn") : badge("visible", "good"),
      when(item.updated),
    ]),
  );
}
