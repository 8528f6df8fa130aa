// The catalogue: search in any order, with what became of each item; trending and popular items.
import { api } from "../api.js";
import { announce, el, fill } from "../dom.js";
import { money, number, plural } from "../format.js";
import { action, card, categoriesOf, empty, failed, head, itemLink, itemList, table } from "../parts.js";
import { TableOrder } from "../table_order.js";
import { clickRate, trend } from "./item_numbers.js";
import { reasonsNotShown } from "./item_state.js";

const PAGE = 10;
const TOP = 5;
const ORDERS = {
  popularity: { text: "popularity", direction: "descending", descending: "most popular first" },
  events: { text: "events", direction: "descending", descending: "most events first", ascending: "fewest events first" },
  impressions: { text: "times shown", direction: "descending", descending: "most shown first", ascending: "least shown first" },
  ctr: {
    text: "click rate",
    direction: "descending",
    descending: "highest lower bound of the click rate first",
    ascending: "lowest upper bound of the click rate first",
  },
  trend: { text: "trend", direction: "descending", descending: "fastest rising first", ascending: "fastest falling first" },
};

export async function showItems(visit) {
  const { range, signal, view } = visit;
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
    el("option", { value: "only" }, "hidden or sold out"),
  );
  const order = new TableOrder(ORDERS, () => guarded(() => search())());
  const earlier = []; // the offsets of the pages before this one
  let searches = 0;

  async function search(offset = 0) {
    const turn = ++searches;
    if (!offset) earlier.length = 0;
    const [since, until] = range.wholeDays();
    const hits = await api.search(
      {
        query: words.value,
        category: category.value,
        hidden: state.value,
        sort: order.value,
        direction: order.direction,
        since,
        until,
        n: PAGE,
        offset,
      },
      signal,
    );
    if (turn !== searches) return;
    fill(
      results,
      hits.items.length
        ? selection(hits.items, () => search(offset))
        : empty(
            words.value || category.value || state.value
              ? "No items match."
              : "The catalogue is empty. Put items with POST /v1/items or `tidewise import`.",
          ),
      hits.matching > PAGE ? pager(offset, hits) : null,
    );
  }

  function pager(offset, { items, matching, next_offset: next }) {
    return el(
      "div.row.spread",
      {},
      el("span.soft.small", {}, `${plural(items.length, "item")} of ${number(matching)}, ${ORDERS[order.value][order.direction]}`),
      el(
        "div.row",
        {},
        earlier.length ? action("Previous", () => search(earlier.pop())) : null,
        next === null
          ? null
          : action("Next", () => {
              earlier.push(offset);
              return search(next);
            }),
      ),
    );
  }

  // The items as a table, and buttons that hide or unhide those selected.
  function selection(items, again) {
    const selected = new Set();
    const set = (hidden) => async () => {
      await api.patchItems({ items: [...selected].map((item_id) => ({ item_id, hidden })) }, signal);
      announce(`${plural(selected.size, "item")} ${hidden ? "hidden" : "no longer hidden"}.`);
      await again();
    };
    const buttons = [action("Hide selected", set(true), { kind: "danger" }), action("Unhide selected", set(false))];
    const update = () => buttons.forEach((button) => (button.disabled = !selected.size));
    update();
    return [el("div.row.bar", {}, buttons), itemTable(items, order, selected, update)];
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
  words.addEventListener("input", guarded(() => search()));
  category.addEventListener(
    "change",
    guarded(() => Promise.all([search(), loadPopular()])),
  );
  state.addEventListener("change", guarded(() => search()));
  const [categories] = await Promise.all([api.categories(signal), search(), loadPopular()]);
  for (const entry of categories.categories)
    category.append(el("option", { value: entry.category }, `${entry.category} (${number(entry.items)})`));
  const form = el(
    "form.search",
    { role: "search" },
    el("div.grow", {}, el("label", { for: "words" }, "Words in title, text or id"), words),
    el("div", {}, el("label", { for: "category" }, "Category"), category),
    el("div", {}, el("label", { for: "state" }, "State"), state),
    el("div", {}, el("label", { for: "order" }, "Sort by"), order.list),
  );
  form.addEventListener("submit", (event) => event.preventDefault());
  fill(
    view,
    head("Items", `The catalogue, and what became of items: ${range.wholeDaysName}.`),
    el(
      "div.grid",
      {},
      card("Search", {}, form, results),
      card("Trending", { about: "gaining popularity", where: "half" }, since, trending),
      card("Popular now", { about: "time-decayed", where: "half" }, popular),
    ),
  );
  visit.every(15, loadPopular);
}

function itemTable(items, order, selected, update) {
  const box = (item) =>
    el("input", {
      type: "checkbox",
      "aria-label": `Select ${item.item_id}`,
      onchange: (event) => {
        selected[event.target.checked ? "add" : "delete"](item.item_id);
        update();
      },
    });
  return table(
    "Items",
    [
      [el("span.unseen", {}, "Select"), "keep box"],
      ["Item"],
      ["Price", "number"],
      [order.heading("Events", "events"), "number"],
      [order.heading("Shown", "impressions"), "number"],
      [order.heading("Click rate", "ctr"), "number"],
      [order.heading("Trend", "trend"), "number"],
    ],
    items.map((item) => [
      box(item),
      [
        el("span.clamp", {}, itemLink(item), reasonsNotShown(item).map((reason) => [" ", reason])),
        el("span.soft.small.clamp", {}, el("code", {}, item.item_id), item.categories.length ? ` · ${categoriesOf(item)}` : null),
      ],
      typeof item.attributes.price === "number" ? money(item.attributes.price) : "–",
      number(item.statistics.events),
      number(item.statistics.impressions),
      clickRate(item.statistics.ctr),
      trend(item.statistics.trend),
    ]),
  );
}
