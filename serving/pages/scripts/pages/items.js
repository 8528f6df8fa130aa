// The catalogue: find by words and category, what is popular, what is hidden.
import { api } from "../api.js";
import { el, fill } from "../dom.js";
import { number, plural } from "../format.js";
import { badge, card, categoriesOf, empty, failed, head, itemLink, itemList, table, when } from "../parts.js";

const FOUND = 30;
const LISTED = 8;

export async function showItems(visit) {
  const { signal, view } = visit;
  const found = el("div", { "aria-live": "polite" }),
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
  let asked = 0;

  async function search() {
    const turn = ++asked;
    const hits = await api.search(
      { query: words.value, category: category.value, hidden: state.value, n: FOUND },
      signal,
    );
    if (turn !== asked) return;
    fill(
      found,
      hits.items.length
        ? listed(hits.items)
        : empty(
            words.value || category.value || state.value
              ? "No item matches."
              : "The catalogue is empty. Put items with POST /v1/items or `tidewise import`.",
          ),
      hits.matching > hits.items.length
        ? el(
            "p.soft.small",
            {},
            `The first ${number(hits.items.length)} of ${plural(hits.matching, "item")}, the popular ones first. More words find fewer.`,
          )
        : null,
    );
  }

  async function loadPopular() {
    const wish = { n: LISTED, category: category.value };
    const [answer, gaining] = await Promise.all([api.popular(wish, signal), api.trending(wish, signal)]);
    fill(popular, answer.items.length ? itemList(answer.items, { label: "Popular items" }) : empty("Nothing to show."));
    fill(since, gaining.items.length ? `${gaining.reason.charAt(0).toUpperCase()}${gaining.reason.slice(1)}.` : null);
    fill(
      trending,
      gaining.items.length
        ? itemList(gaining.items, { label: "Trending items" })
        : empty("Nothing stands out since this process began to watch."),
    );
  }

  const again = (work) => () =>
    work().catch((error) => {
      if (error.name !== "AbortError") fill(found, failed(error));
    });
  words.addEventListener("input", again(search));
  category.addEventListener(
    "change",
    again(() => Promise.all([search(), loadPopular()])),
  );
  state.addEventListener("change", again(search));
  const [known] = await Promise.all([api.categories(signal), search(), loadPopular()]);
  for (const one of known.categories)
    category.append(el("option", { value: one.category }, `${one.category} (${number(one.items)})`));
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
    head("Items", "What can be recommended, and what is kept back."),
    el(
      "div.grid",
      {},
      card("Find items", { where: "two-thirds" }, form, found),
      el(
        "div.third.stack",
        {},
        card("Trending", { about: "gaining against what went before" }, since, trending),
        card("Popular now", { about: "time-decayed" }, popular),
      ),
    ),
  );
  visit.every(15, loadPopular);
}

function listed(items) {
  return table(
    "Items",
    [["Item"], ["Categories"], ["State", "keep"], ["Changed", "keep"]],
    items.map((item) => [
      itemLink(item),
      el("span.soft", {}, categoriesOf(item)),
      item.hidden ? badge("hidden", "warn") : badge("shown", "good"),
      when(item.updated),
    ]),
  );
}
