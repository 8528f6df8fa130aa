// Shared components: cards, figures, links by title, empty and failed states.
import { add, el, withCode } from "./dom.js";
import { ago, exact, percent } from "./format.js";
import { serverNow } from "./server_clock.js";

export const userHref = (user) => "#/users/" + encodeURIComponent(user);
export const itemHref = (item) => "#/items/" + encodeURIComponent(item);

// A link to an item by its title, or its id if it has none; the id is shown on hover.
export const itemLink = (item) =>
  el("a", { href: itemHref(item.item_id), title: item.item_id }, item.title || item.item_id);
export const userLink = (user) => el("a", { href: userHref(user) }, user);

export const badge = (text, kind = "", title = null) => el("span.badge", { class: kind, title }, text);

// A relative time, with the exact one on hover. `now`: as in `ago`.
export function when(ms, now = serverNow()) {
  if (ms === null || ms === undefined) return el("span", {}, "never");
  return el("time", { datetime: new Date(ms).toISOString(), title: exact(ms) }, ago(ms, now));
}

export function head(title, about, ...tools) {
  return el(
    "div.head",
    {},
    el("h1", { id: "title", title: title.length > 200 ? title : null }, title),
    about ? el("p", {}, about) : null,
    tools.length ? el("div.tools", {}, ...tools) : null,
  );
}

export function card(title, { about = null, tools = [], where = "" } = {}, ...children) {
  const header = el(
    "header",
    {},
    el("h2", {}, title),
    about ? el("span.soft", {}, about) : null,
    tools.length ? el("div.tools", {}, ...tools) : null,
  );
  return el("section.card", { class: where, "aria-label": title }, header, ...children);
}

// `value` is text, or [figure, unit].
export function stat(name, value, note, { words = false, kind = "" } = {}) {
  const [figure, unit] = Array.isArray(value) ? value : [value, ""];
  return el(
    "dl.stat",
    {},
    el("dt", {}, name),
    el("dd", { class: (words ? "words " : "") + kind }, figure, unit ? el("span.unit", {}, unit) : null),
    el("dd.hint", {}, note || "\u00a0"),
  );
}

export const empty = (text) => el("p.empty", {}, withCode(text));

export function failed(error, again) {
  return el(
    "div.failed",
    { role: "alert" },
    el("span", {}, error.message),
    again ? el("button.small", { type: "button", onclick: again }, "Try again") : null,
  );
}

export const facts = (pairs) =>
  el(
    "dl.facts",
    {},
    pairs.filter(Boolean).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
  );

// A table; `columns`: [heading, class], where a heading is text, an element, or one of a `TableOrder`; `rows`: lists of
// cells. On a phone each row becomes a block; roles keep the table semantics.
export function table(caption, columns, rows) {
  const headings = el(
    "tr",
    {},
    columns.map(([name, kind]) =>
      el("th", { class: kind || "", scope: "col", "aria-sort": name.sort }, name.button ?? name),
    ),
  );
  const label = ([name]) => (typeof name === "string" ? name : name.text || "");
  const cell = (content, index) =>
    el(
      "td",
      { class: columns[index][1] || "", role: "cell", "data-label": label(columns[index]) },
      el("div.wide", {}, content),
    );
  const body = rows.map((cells) => el("tr", { role: "row" }, cells.map(cell)));
  return el(
    "div.scroll",
    { tabindex: "0", role: "region", "aria-label": caption },
    el(
      "table.stacks",
      { role: "table" },
      el("caption.unseen", {}, caption),
      el("thead", {}, headings),
      el("tbody", { role: "rowgroup" }, body),
    ),
  );
}

// A ranked list of items. `under(item)` and `side(item)` return the content below and beside each.
export function itemList(items, { under = categoriesOf, side = () => null, label, kind = "" }) {
  return el(
    "ol.list",
    { "aria-label": label, class: kind },
    items.map((item, index) => {
      const below = under(item);
      return el(
        "li",
        {},
        el("span.place", {}, index + 1),
        el("span.name", {}, itemLink(item)),
        el("span.side", {}, side(item)),
        below ? el("div.under", {}, below) : null,
      );
    }),
  );
}

export const categoriesOf = (item) =>
  item.categories.slice(0, 4).join(" · ") + (item.categories.length > 4 ? " …" : "");

// Why an item is recommended: the part that speaks most for it, or the events that contribute most to the model's score.
export function contributions(item) {
  const share = item.reason?.shares?.[item.reason.kind];
  const text = item.reason && item.reason.text + (share === undefined ? "" : ` (${percent(share)} of the score)`);
  if (item.reason && item.reason.kind !== "history") return el("span", {}, text);
  if (!item.contributions || !item.contributions.length) return item.reason ? el("span", {}, text) : null;
  const byItem = new Map(); // several events with one item count together
  for (const event of item.contributions) {
    byItem.set(event.item_id, { ...event, share: event.share + (byItem.get(event.item_id)?.share ?? 0) });
  }
  const events = [...byItem.values()].map((event) => el("span", {}, itemLink(event), ` ${percent(event.share)}`));
  return add(
    el("span", {}, "based on "),
    events.flatMap((event, index) => (index ? [", ", event] : [event])),
  );
}

// A button that runs one action at a time and shows its error beside it.
export function action(text, work, { kind = "", title = null, label = null } = {}) {
  const button = el("button", { type: "button", class: kind, title, "aria-label": label }, text);
  button.addEventListener("click", async () => {
    button.disabled = true;
    button.parentElement?.querySelector(".failed")?.remove();
    try {
      await work();
    } catch (error) {
      if (error.name !== "AbortError") button.after(failed(error));
    } finally {
      button.disabled = false;
    }
  });
  return button;
}

export const labelled = (text, control) => el("div.field", {}, el("label", { for: control.id }, text), control);

// A definition as typed in JSON.
export function definitionOf(field) {
  try {
    return JSON.parse(field.value);
  } catch (error) {
    throw new Error(`The definition is not JSON: ${error.message}`);
  }
}

// Asks for confirmation of an irreversible action.
export function confirmed(question, yes) {
  return new Promise((resolve) => {
    const dialog = el(
      "dialog",
      { "aria-label": question },
      el(
        "form",
        { method: "dialog" },
        el("p", {}, question),
        el("div.row.end", {}, el("button", { value: "" }, "Cancel"), el("button.danger", { value: "yes" }, yes)),
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.returnValue = "";
    dialog.showModal();
  });
}
