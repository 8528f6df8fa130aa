// One user: events with the gaps between them, interests, recommendations with their reasons, and "what if".
import { api, newId } from "../api.js";
import { announce, el, fill } from "../dom.js";
import { date, moment, number, plural, span, time } from "../format.js";
import { action, badge, contributions, card, categoriesOf, empty, head, itemLink, itemList, when } from "../parts.js";
import { picker } from "./item_picker.js";
import { chartOf, loadInterest } from "./interest.js";
import { namesOf } from "./model_names.js";

const SESSION_GAP_MS = 30 * 60000;
const PAGE = 25;
const LIST = 10;
const STILL = matchMedia("(prefers-reduced-motion: reduce)");
const UNKNOWN = "No events of this user yet. They get popular items until their first event.";

export async function showUser(visit) {
  const { id: user, signal, view } = visit;
  const shown = el("div"),
    why = el("p.soft.small"),
    whatIfBody = el("div"),
    history = el("div"),
    more = el("footer"),
    interest = el("div");
  const about = el("span"),
    hint = empty(
      "Search for an item, or press “What if?” in the list, to see how the recommendations would change. Nothing is stored.",
    );
  let answer = null;
  let events = [];

  async function loadAnswer() {
    let models;
    [answer, models] = await Promise.all([api.recommend(user, { n: LIST, explain: "full" }, signal), api.models(signal)]);
    fill(
      shown,
      answer.items.length
        ? list(answer, null)
        : empty("No items to recommend: the catalogue is empty, or the user has seen all of it."),
    );
    fill(why, ...reasons(answer, namesOf(models.models)));
  }

  async function loadEvents(before) {
    const page = await api.events(user, { before, limit: PAGE }, signal).catch((error) => {
      if (error.status === 404) return null;
      throw error;
    });
    events = before && page ? [...events, ...page.events] : page ? page.events : [];
    fill(history, events.length ? timeline(events) : empty("No events."));
    fill(more, page?.next_before ? action("Earlier events", () => loadEvents(page.next_before)) : null);
    fill(about, page ? summary(events, page.next_before !== null) : UNKNOWN);
    return page;
  }

  async function whatIf(item) {
    const predicted = await api.whatIf(
      { user_id: user, events: [{ item_id: item.item_id }], n: LIST, explain: "full" },
      signal,
    );
    const sendButton = action(
      "Send this click",
      async () => {
        await api.send({ event_id: newId(), user_id: user, item_id: item.item_id, type: "click" }, signal);
        fill(whatIfBody, el("p.note", {}, "Sent. Recommendations, events and interests are updated."));
        await Promise.all([loadAnswer(), loadEvents(), loadInterest(interest, user, signal)]);
      },
      { kind: "small" },
    );
    hint.hidden = true;
    fill(
      whatIfBody,
      el("p.note", {}, "If the user clicked ", itemLink(item), " now, the recommendations would be:"),
      list(predicted, answer),
      el(
        "div.row",
        {},
        sendButton,
        action(
          "Close",
          async () => {
            fill(whatIfBody);
            hint.hidden = false;
          },
          { kind: "small quiet" },
        ),
      ),
    );
    announce(`Recommendations after a click on ${item.title || item.item_id}`);
    whatIfBody.scrollIntoView({ block: "nearest", behavior: STILL.matches ? "instant" : "smooth" });
  }

  function list(answerShown, before) {
    const ranksBefore = before ? new Map(before.items.map((item, index) => [item.item_id, index])) : null;
    const ranksNow = new Map(answerShown.items.map((item, index) => [item.item_id, index]));
    const side = before
      ? (item) => rankChange(ranksBefore.get(item.item_id), ranksNow.get(item.item_id))
      : (item) =>
          action("What if?", () => whatIf(item), {
            kind: "small",
            label: `What if the user clicked ${item.title || item.item_id} now?`,
          });
    return itemList(answerShown.items, {
      label: before ? "What-if recommendations" : "Recommendations",
      side,
      under: (item) =>
        [categoriesOf(item), contributions(item)]
          .filter(Boolean)
          .flatMap((part, index) => (index ? [" · ", part] : [part])),
    });
  }

  await Promise.all([loadAnswer(), loadEvents(), loadInterest(interest, user, signal)]);
  fill(
    view,
    head(user, about),
    el(
      "div.grid",
      {},
      el("div.half.stack", {}, card("Recommendations", {}, why, shown), card("Interests", {}, interest)),
      el(
        "div.half.stack",
        {},
        card("What if the user clicked an item now?", {}, picker(whatIf, signal), whatIfBody, hint),
        card("Events", { about: "newest first" }, history, more),
      ),
    ),
  );
  chartOf(interest)?.redraw();
}

// The API does not count a user's events: `user_seq` rises with an undone event, too.
function summary(events, hasMore) {
  const [newest] = events;
  return [hasMore ? "more than " : "", plural(events.length, "event"), newest ? [", the newest ", when(newest.time)] : ""];
}

function reasons(answer, nameOf) {
  const parts = [`Source ${answer.source}: ${answer.reason}.`];
  const version = answer.model_version;
  if (version) {
    parts.push(" Model: ", el("a", { href: "#/models", title: version }, nameOf(version)));
    parts.push(`, with the events up to sequence number ${number(answer.user_seq)}.`);
  }
  if (answer.gap_ms !== null)
    parts.push(
      answer.gap_ms < 1000 ? " The last event was just now." : ` The last event was ${span(answer.gap_ms)} earlier.`,
    );
  return parts;
}

function rankChange(before, now) {
  if (before === undefined) return el("span.move-new", {}, "new");
  if (before === now) return el("span", {}, "unchanged");
  return before > now ? el("span.move-up", {}, `▲ ${before - now}`) : el("span.move-down", {}, `▼ ${now - before}`);
}

// Events as a list: above those of each day and visit the date, and how long before the next visit it ended.
function timeline(events) {
  const rows = [];
  events.forEach((event, index) => {
    const next = events[index - 1];
    const isOtherVisit = next && next.gap_ms >= SESSION_GAP_MS;
    if (!next || isOtherVisit || date(next.time) !== date(event.time))
      rows.push(el("li.gap", {}, date(event.time), isOtherVisit ? `, ${span(next.gap_ms)} earlier` : ""));
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
    if (event.gap_ms === null) rows.push(el("li.gap", {}, "first event"));
  });
  return el("ol.timeline", { "aria-label": "Events, newest first" }, rows);
}

const KINDS = { purchase: "good", cart: "accent", dislike: "bad", like: "good" };
