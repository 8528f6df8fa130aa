// One item: its content, similar items, and whether it is hidden.
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
      empty("This item is not in the catalogue. Events with it are trained on; add it with PUT /v1/items."),
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
          answer.source === "similarity" ? "Cosine similarity of item vectors." : `By popularity: ${answer.reason}.`,
        ),
        answer.items.length
          ? itemList(answer.items, { label: "Similar items", side })
          : empty("No other visible items."),
      );
    } catch (error) {
      if (error.name === "AbortError") throw error;
      fill(similar, failed(error, loadSimilar));
    }
  }

  function showState() {
    const toggle = action(
      stored.hidden ? "Unhide" : "Hide",
      async () => {
        await api.putItem(id, contentOf({ ...stored, hidden: !stored.hidden }), signal);
        stored.hidden = !stored.hidden;
        showState();
        announce(stored.hidden ? "The item is hidden from all recommendations." : "The item may be recommended again.");
      },
      { kind: stored.hidden ? "" : "danger" },
    );
    fill(state, stored.hidden ? badge("hidden", "warn") : badge("visible", "good"), " ", toggle);
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
        "Content",
        { where: "half" },
        stored.text ? el("p.long", { tabindex: "0" }, stored.text) : empty("No description; the model reads the title."),
        el("h3", {}, "Properties"),
        facts([
          ["Id", el("code", {}, stored.item_id)],
          ...attributes.map(([name, value]) => [name, typeof value === "number" ? number(value) : String(value)]),
          ["Updated", when(stored.updated)],
          ["Revision", number(stored.revision)],
        ]),
      ),
      card("Similar items", { where: "half" }, similar),
    ),
  );
}

// The body of a PUT: the content, without the fields that the server adds.
const contentOf = ({ title, text, categories, attributes, hidden }) => ({
  title,
  text,
  categories,
  attributes,
  hidden,
});
