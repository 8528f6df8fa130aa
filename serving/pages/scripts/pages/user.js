// One user: what they did with the gaps between, where their interest goes, what they are shown and why, and "what if".
import { api, newId } from "../api.js";
import { announce, el, fill } from "../dom.js";
import { moment, number, plural, span, time } from "../format.js";
import { action, badge, because, card, categoriesOf, empty, head, itemLink, itemList, when } from "../parts.js";
import { picker } from "./item_picker.js";
import { chartOf, loadInterest } from "./interest.js";

const SESSION_GAP_MS = 30 * 60000;
const PAGE = 60;
const LIST = 10;
const STILL = matchMedia("(prefers-reduced-motion: reduce)");
const UNKNOWN = "Nobody has seen this user yet. They get what is popular; their first event makes the list their own.";

export async function showUser(visit) {
  const { id: user, signal, view } = visit;
  const shown = el("div"),
    why = el("p.soft.small"),
    supposed = el("div"),
    history = el("div"),
    more = el("footer"),
    interest = el("div");
  const about = el("span"),
    hint = empty(
      "Choose an item here, or press “What if?” in the list. The list they would see then appears, with every move marked. Nothing is remembered.",
    );
  let answer = null;
  let events = [];

  async function loadAnswer() {
    answer = await api.recommend(user, { n: LIST, explain: "full" }, signal);
    fill(
      shown,
      answer.items.length
        ? list(answer, null)
        : empty("Nothing is left to show: the catalogue is empty, or all of it was seen."),
    );
    fill(why, ...reasons(answer));
  }

  async function loadEvents(before) {
    const page = await api.events(user, { before, limit: PAGE }, signal).catch((error) => {
      if (error.status === 404) return null;
      throw error;
    });
    events = before && page ? [...events, ...page.events] : page ? page.events : [];
    fill(history, events.length ? timeline(events) : empty("No events of this user are stored."));
    fill(more, page?.next_before ? action("Earlier events", () => loadEvents(page.next_before)) : null);
    if (!before) fill(about, page ? summary(page) : UNKNOWN);
    return page;
  }

  async function suppose(item) {
    const foreseen = await api.whatIf(
      { user_id: user, events: [{ item_id: item.item_id }], n: LIST, explain: "full" },
      signal,
    );
    const really = action(
      "Send this click for real",
      async () => {
        await api.send({ event_id: newId(), user_id: user, item_id: item.item_id, type: "click" }, signal);
        fill(supposed, el("p.note", {}, "Sent. The list, the events and the interest on this page know it now."));
        await Promise.all([loadAnswer(), loadEvents(), loadInterest(interest, user, signal)]);
      },
      { kind: "small" },
    );
    hint.hidden = true;
    fill(
      supposed,
      el("p.note", {}, "If they clicked ", itemLink(item), " now, they would be shown:"),
      list(foreseen, answer),
      el(
        "div.row",
        {},
        really,
        action(
          "Forget it",
          async () => {
            fill(supposed);
            hint.hidden = false;
          },
          { kind: "small quiet" },
        ),
      ),
    );
    announce(`The list after a click on ${item.title || item.item_id}`);
    supposed.scrollIntoView({ block: "nearest", behavior: STILL.matches ? "instant" : "smooth" });
  }

  function list(of, before) {
    const places = before ? new Map(before.items.map((item, place) => [item.item_id, place])) : null;
    const now = new Map(of.items.map((item, place) => [item.item_id, place]));
    const side = before
      ? (item) => moved(places.get(item.item_id), now.get(item.item_id))
      : (item) =>
          action("What if?", () => suppose(item), {
            kind: "small",
            label: `What if they clicked ${item.title || item.item_id} now?`,
          });
    return itemList(of.items, {
      label: before ? "Foreseen recommendations" : "Recommendations",
      side,
      under: (item) =>
        [categoriesOf(item), because(item)].filter(Boolean).flatMap((part, place) => (place ? [" · ", part] : [part])),
    });
  }

  await Promise.all([loadAnswer(), loadEvents(), loadInterest(interest, user, signal)]);
  fill(
    view,
    head(user, about),
    el(
      "div.grid",
      {},
      el("div.half.stack", {}, card("Shown now", {}, why, shown), card("Interest over time", {}, interest)),
      el(
        "div.half.stack",
        {},
        card("What if this click came now?", {}, picker(suppose, signal), supposed, hint),
        card("Events", { about: "newest first" }, history, more),
      ),
    ),
  );
  chartOf(interest)?.redraw();
}

function summary(page) {
  const newest = page.events[0];
  return [plural(page.user_seq, "event"), newest ? ", the newest " : "", newest ? when(newest.time) : ""];
}

function reasons(answer) {
  const parts = [`From ${answer.source}: ${answer.reason}.`];
  if (answer.model_version) parts.push(` Model ${answer.model_version}, after event ${number(answer.user_seq)}.`);
  if (answer.gap_ms !== null)
    parts.push(
      answer.gap_ms < 1000 ? " The last event is just now." : ` The last event was ${span(answer.gap_ms)} before.`,
    );
  return parts;
}

function moved(before, now) {
  if (before === undefined) return el("span.move-new", {}, "new");
  if (before === now) return el("span", {}, "same");
  return before > now ? el("span.move-up", {}, `▲ ${before - now}`) : el("span.move-down", {}, `▼ ${now - before}`);
}

// Events under each other, with what lies between visits spelled out.
function timeline(events) {
  const rows = [];
  events.forEach((event) => {
    rows.push(
      el(
        "li",
        {},
        el("time", { datetime: new Date(event.time).toISOString(), title: moment(event.time) }, time(event.time)),
        badge(event.type, KINDS[event.type] || ""),
        el(
          "span.what",
          {},
          itemLink(event),
          event.value === null ? null : el("span.soft", {}, ` ${event.value}`),
          event.gap_ms !== null && event.gap_ms < SESSION_GAP_MS && event.gap_ms >= 1000
            ? el("span.soft.small", {}, ` after ${span(event.gap_ms)}`)
            : null,
        ),
      ),
    );
    if (event.gap_ms === null) rows.push(el("li.gap", {}, `first event, ${moment(event.time)}`));
    else if (event.gap_ms >= SESSION_GAP_MS)
      rows.push(el("li.gap", {}, `${moment(event.time)}, after ${span(event.gap_ms)} away`));
  });
  return el("ol.timeline", { "aria-label": "Events, newest first" }, rows);
}

const KINDS = { purchase: "good", cart: "accent", dislike: "bad", like: "good" };
