// One item: what it says, what is like it, and whether it may be shown.
import { api } from "../api.js";
import { announce, el, fill } from "../dom.js";
import { number } from "../format.js";
import { action, badge, card, empty, facts, failed, head, itemList, when } from "../parts.js";

const SIMILAR = 12;

export async function showItem(visit) {
  const { id, signal, view } = visit;
  const stored = await api.item(id, signal).catch((error) => {
    if (error.status === 404) return null;
    throw error;
  });
  if (!stored) {
    fill(
      view,
      head(id),
      empty("This item is not in the catalogue. If events have named it, it is learnt from and waits to be put."),
    );
    return;
  }
  const similar = el("div"),
    state = el("span");
  visit.title(stored.title || id);

  async function loadSimilar() {
    try {
      const answer = await api.similar(id, { n: SIMILAR }, signal);
      const side = (item) => (answer.source === "similarity" && item.score !== null ? item.score.toFixed(2) : null);
      fill(
        similar,
        el(
          "p.soft.small",
          {},
          answer.source === "similarity"
            ? "Nearest item vectors; 1.00 would be the same."
            : `By popularity: ${answer.reason}.`,
        ),
        answer.items.length
          ? itemList(answer.items, { label: "Similar items", side })
          : empty("Nothing else may be shown."),
      );
    } catch (error) {
      if (error.name === "AbortError") throw error;
      fill(similar, failed(error, loadSimilar));
    }
  }

  function showState() {
    const toggle = action(
      stored.hidden ? "Show it again" : "Hide it",
      async () => {
        await api.putItem(id, contentOf({ ...stored, hidden: !stored.hidden }), signal);
        stored.hidden = !stored.hidden;
        showState();
        announce(stored.hidden ? "The item is hidden from every answer." : "The item may be recommended again.");
      },
      { kind: stored.hidden ? "" : "danger" },
    );
    fill(state, stored.hidden ? badge("hidden from every answer", "warn") : badge("shown", "good"), " ", toggle);
  }

  showState();
  await loadSimilar();
  const attributes = Object.entries(stored.attributes);
  fill(
    view,
    head(
      stored.title || id,
      stored.categories.map((name) => [badge(name), " "]),
      state,
    ),
    el(
      "div.grid",
      {},
      card(
        "What it says",
        { where: "half" },
        stored.text ? el("p", {}, stored.text) : empty("It has no text of its own; the model reads its title."),
        el("h3", {}, "Stored"),
        facts([
          ["Id", el("code", {}, stored.item_id)],
          ...attributes.map(([name, value]) => [name, typeof value === "number" ? number(value) : String(value)]),
          ["Changed", when(stored.updated)],
          ["Revision", number(stored.revision)],
        ]),
      ),
      card("Similar items", { where: "half" }, similar),
    ),
  );
}

// What PUT takes: the content, without what the server adds.
const contentOf = ({ title, text, categories, attributes, hidden }) => ({
  title,
  text,
  categories,
  attributes,
  hidden,
});
