// One item: what became of it day by day, its content, similar items, and whether it is hidden.
import { api } from "../api.js";
import { lineChart } from "../charts.js";
import { announce, el, fill, joined } from "../dom.js";
import { DAY_MS, interval, money, number, percent, UNITS } from "../format.js";
import { action, badge, card, empty, facts, failed, head, itemList, stat, when } from "../parts.js";
import { sum } from "./event_chart.js";
import { trend } from "./item_numbers.js";
import { availability, reasonsNotShown, stockText } from "./item_state.js";
import { serverNow } from "../server_clock.js";

const SIMILAR = 12;
const TYPES = 5; // the most frequent ones have a line each
const MIN_DAYS = 7; // of the charts
const PERIOD_S = 30;

export async function showItem(visit) {
  const { id, range, signal, view } = visit;
  let stored = await api.item(id, signal).catch((error) => {
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
    state = el("span"),
    properties = el("div"),
    stats = el("div.stats");
  const charts = {
    events: lineChart({ caption: "Events by day, by type", unit: UNITS.count, atRest: sum, height: 170 }),
    impressions: lineChart({ caption: "Times shown by day", unit: UNITS.count, atRest: sum, height: 170 }),
    clicks: lineChart({ caption: "Clicked and bought by day", unit: UNITS.count, atRest: sum, height: 170 }),
  };
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

  async function loadNumbers() {
    const [since, until] = range.wholeDays();
    const [totals, days] = await Promise.all([
      api.itemStatistics(id, { since, until }, signal),
      api.itemStatistics(id, { since: Math.min(since, until - MIN_DAYS * DAY_MS), until }, signal),
    ]);
    fill(stats, ...figures(totals.total, range.wholeDaysName));
    const types = Object.entries(days.events).sort(([, nums], [, others]) => sum(others) - sum(nums));
    draw(charts.events, days, types.length ? types.slice(0, TYPES) : [["events", days.days.map(() => 0)]]);
    draw(charts.impressions, days, [["shown", days.impressions]]);
    draw(charts.clicks, days, [["clicked", days.clicks], ["bought", days.conversions]]);
  }

  function showState() {
    const toggle = action(
      stored.hidden ? "Unhide" : "Hide",
      async () => {
        await api.patchItems({ items: [{ item_id: id, hidden: !stored.hidden }] }, signal);
        stored = await api.item(id, signal);
        showState();
        announce(stored.hidden ? "The item is hidden from all recommendations." : "The item is no longer hidden.");
      },
      { kind: stored.hidden ? "" : "danger" },
    );
    const reasons = reasonsNotShown(stored);
    fill(state, reasons.length ? joined(reasons, " ") : badge("visible", "good"), " ", toggle);
    fill(properties, propertiesOf(stored));
  }

  showState();
  await Promise.all([loadSimilar(), loadNumbers()]);
  fill(
    view,
    head(
      stored.title || id,
      stored.categories.map((name) => [badge(name), " "]),
      state,
    ),
    stats,
    el(
      "div.grid",
      {},
      card("Events", { where: "third", about: "per day (UTC), to yesterday" }, charts.events.node),
      card("Shown", { where: "third", about: "times per day, to yesterday" }, charts.impressions.node),
      card("Clicked and bought", { where: "third", about: "of the lists of each day, to yesterday" }, charts.clicks.node),
      card(
        "Content",
        { where: "half" },
        stored.text ? el("p.long", { tabindex: "0" }, stored.text) : empty("No description; the model reads the title."),
        el("h3", {}, "Properties"),
        properties,
      ),
      card("Similar items", { where: "half" }, similar),
    ),
  );
  Object.values(charts).forEach((chart) => chart.redraw());
  visit.every(PERIOD_S, loadNumbers);
}

// The day that is not over would look like a fall.
function draw(chart, { days }, lines) {
  const times = days.map((day) => Date.parse(day)).filter((day) => day + DAY_MS <= serverNow());
  const series = lines.map(([name, values], index) => ({ name, colour: `c${index}`, values: values.slice(0, times.length) }));
  chart.set({ times, series, marks: [] });
}

const propertiesOf = (item) =>
  facts([
    ["Id", el("code", {}, item.item_id)],
    ["Stock", stockText(item)],
    ["Available", availability(item)],
    ...Object.entries(item.attributes).map(([name, value]) => [name, typeof value === "number" ? amount(name, value) : String(value)]),
    ["Updated", when(item.updated, Date.now())],
    ["Revision", number(item.revision)],
  ]);

const amount = (name, value) => (name === "price" ? money(value) : number(value));

function figures({ events, impressions, clicks, ctr, trend: change }, period) {
  return [
    stat("Events", number(events), period),
    stat("Shown", number(impressions), `times in lists, ${period}`),
    stat("Click rate", percent(ctr?.value, 1), ctr ? `${number(clicks)} clicked, ${interval(ctr, 1)}` : "not shown"),
    stat("Trend", trend(change), "events, against as many days before"),
  ];
}
