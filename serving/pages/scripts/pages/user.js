// One user: what they did with the gaps between, where their interest goes, what they are shown and why, and "what if".
import { api, newId } from "../api.js";
import { streamChart } from "../charts.js";
import { announce, el, fill } from "../dom.js";
import { moment, number, percent, plural, span, time } from "../format.js";
import { action, badge, because, card, categoriesOf, empty, facts, failed, head, itemLink, itemList, when } from "../parts.js";
import { bandsOf } from "./bands.js";

const SESSION_GAP_MS = 30 * 60000;
const PAGE = 60;
const LIST = 10;

export async function showUser(visit) {
  const { id: user, signal, view } = visit;
  const shown = el("div"), why = el("p.soft.small"), supposed = el("div"), history = el("div"), more = el("footer"), interest = el("div");
  const about = el("p"), hint = empty("Choose an item here, or press “What if?” beside one below. The list they would see then appears, with every move marked. Nothing is remembered.");
  let answer = null;
  let events = [];

  async function loadAnswer() {
    answer = await api.recommend(user, { n: LIST, explain: "full" }, signal);
    fill(shown, answer.items.length ? list(answer, null) : empty("Nothing is left to show: the catalogue is empty, or all of it was seen."));
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
    if (!before) fill(about, page ? summary(page) : empty("Nobody has seen this user yet. They get what is popular; their first event makes the list their own."));
    return page;
  }

  async function suppose(item) {
    const foreseen = await api.whatIf({ user_id: user, events: [{ item_id: item.item_id }], n: LIST, explain: "full" }, signal);
    const really = action("Send this click for real", async () => {
      await api.send({ event_id: newId(), user_id: user, item_id: item.item_id, type: "click" }, signal);
      fill(supposed, el("p.note", {}, "Sent. The list, the events and the interest on this page know it now."));
      await Promise.all([loadAnswer(), loadEvents(), loadInterest(interest, user, signal)]);
    }, { kind: "small" });
    hint.hidden = true;
    fill(supposed, el("p.note", {}, "If they clicked ", itemLink(item), " now, they would be shown:"),
      list(foreseen, answer), el("div.row", {}, really, action("Forget it", async () => { fill(supposed); hint.hidden = false; }, { kind: "small quiet" })));
    announce(`The list after a click on ${item.title || item.item_id}`);
    supposed.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }

  function list(of, before) {
    const places = before ? new Map(before.items.map((item, place) => [item.item_id, place])) : null;
    const now = new Map(of.items.map((item, place) => [item.item_id, place]));
    const side = before
      ? (item) => moved(places.get(item.item_id), now.get(item.item_id))
      : (item) => action("What if?", () => suppose(item), { kind: "small", label: `What if they clicked ${item.title || item.item_id} now?` });
    return itemList(of.items, { label: before ? "Foreseen recommendations" : "Recommendations", side,
      under: (item) => [categoriesOf(item), because(item)].filter(Boolean).flatMap((part, place) => (place ? [" · ", part] : [part])) });
  }

  await Promise.all([loadAnswer(), loadEvents(), loadInterest(interest, user, signal)]);
  fill(view, head(user, about),
    el("div.grid", {},
      el("div.half.stack", {}, card("Shown now", {}, why, shown), card("Interest over time", {}, interest)),
      el("div.half.stack", {}, card("What if this click came now?", {}, picker(suppose, signal), supposed, hint),
        card("Events", { about: "newest first" }, history, more))));
  chartOf(interest)?.redraw();
}

function summary(page) {
  const newest = page.events[0];
  return [plural(page.user_seq, "event"), newest ? ", the newest " : "", newest ? when(newest.time) : ""];
}

function reasons(answer) {
  const parts = [`From ${answer.source}: ${answer.reason}.`];
  if (answer.model_version) parts.push(` Model ${answer.model_version}, after event ${number(answer.user_seq)}.`);
  if (answer.gap_ms !== null) parts.push(answer.gap_ms < 1000 ? " The last event is just now." : ` The last event was ${span(answer.gap_ms)} before.`);
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
    rows.push(el("li", {},
      el("time", { datetime: new Date(event.time).toISOString(), title: moment(event.time) }, time(event.time)),
      badge(event.type, KINDS[event.type] || ""),
      el("span.what", {}, itemLink(event), event.value === null ? null : el("span.soft", {}, ` ${event.value}`),
        event.gap_ms !== null && event.gap_ms < SESSION_GAP_MS && event.gap_ms >= 1000 ? el("span.soft.small", {}, ` after ${span(event.gap_ms)}`) : null)));
    if (event.gap_ms === null) rows.push(el("li.gap", {}, `first event, ${moment(event.time)}`));
    else if (event.gap_ms >= SESSION_GAP_MS) rows.push(el("li.gap", {}, `${moment(event.time)}, after ${span(event.gap_ms)} away`));
  });
  return el("ol.timeline", { "aria-label": "Events, newest first" }, rows);
}

const KINDS = { purchase: "good", cart: "accent", dislike: "bad", like: "good" };

async function loadInterest(place, user, signal) {
  try {
    fill(place, ...interestParts(await api.interests(user, signal)));
  } catch (error) {
    if (error.name === "AbortError") throw error;
    fill(place, error.status === 404 ? empty("An interest shows once there are events.") : failed(error));
  }
}

const charts = new WeakMap();
const chartOf = (place) => charts.get(place.querySelector("figure"));

function interestParts(told) {
  if (!told.topics.length) return [empty("The items of this user's events have no categories, so there is nothing to follow.")];
  const { bands, times } = bandsOf(told.topics, told.history.buckets.map((bucket) => ({ time: bucket.start, shares: bucket.shares })));
  const { drift } = told;
  const parts = [el("p", { class: drift.found ? "note" : "soft" }, driftSentence(drift))];
  if (times.length > 1) {
    const chart = streamChart({ caption: "Shares of each category over time", format: (share) => percent(share), height: 180 });
    charts.set(chart.node, chart);
    chart.set({ times, bands, marks: drift.found ? [{ time: drift.since, colour: "ink" }] : [] });
    parts.push(chart.node);
  }
  parts.push(el("h3", {}, "Lately (colour) against on the whole (grey)"), compared(told));
  return parts;
}

function driftSentence(drift) {
  if (drift.found) return `Their interest moved: ${drift.explanation}.`;
  return drift.score === null ? `No drift told: ${drift.explanation}.` : `No drift: ${drift.explanation || `score ${percent(drift.score)}, below ${percent(drift.threshold)}`}.`;
}

function compared(told) {
  const topics = told.topics.slice(0, 6);
  return el("div.bars", {}, topics.map((topic) => {
    const short = told.short_term[topic] ?? 0, long = told.long_term[topic] ?? 0;
    return [el("span.label", { title: topic }, topic),
      el("span.pair", { title: `lately ${percent(short)}, on the whole ${percent(long)}` },
        el("meter", { min: 0, max: 1, value: short, "aria-label": `${topic} lately` }, percent(short)),
        el("meter.long", { min: 0, max: 1, value: long, "aria-label": `${topic} on the whole` }, percent(long)))];
  }));
}

// A field that finds items by words; choosing one asks "what if".
function picker(choose, signal) {
  const field = el("input", { type: "search", id: "what-if", autocomplete: "off" });
  const found = el("ul.list", { "aria-label": "Items found" });
  let asked = 0;
  field.addEventListener("input", async () => {
    const turn = ++asked;
    if (!field.value.trim()) return void fill(found);
    try {
      const { items } = await api.search({ query: field.value, n: 6 }, signal);
      if (turn !== asked) return;
      fill(found, items.length ? items.map((item) => el("li", {}, el("span"), el("span.name", {}, item.title || item.item_id),
        el("span.side", {}, action("Try", async () => { await choose(item); field.value = ""; fill(found); }, { kind: "small", label: `What if they clicked ${item.title || item.item_id} now?` })))) : el("li", {}, el("span"), "No such item."));
    } catch (error) {
      if (error.name !== "AbortError") fill(found, failed(error));
    }
  });
  const form = el("form.search", { role: "search" }, el("div.grow", {}, el("label", { for: "what-if" }, "Find an item, or take one from the list"), field));
  form.addEventListener("submit", (event) => event.preventDefault());
  return el("div", {}, form, found);
}
