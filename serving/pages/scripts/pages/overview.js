// The overview: the state in words, business figures, system health, events and hit rate over the time range.
import { api } from "../api.js";
import { lineChart } from "../charts.js";
import { el, fill } from "../dom.js";
import { ago, duration, interval, milliseconds, moment, money, number, percent, plural, rate, short, UNITS } from "../format.js";
import { card, empty, facts, head, itemList, stat, when } from "../parts.js";
import { driftState, hitRate, hitRatePoints } from "./drift_state.js";
import { eventChart, marksOf, numEvents, stepText } from "./event_chart.js";
import { namesOf } from "./model_names.js";
import { isStreamTime } from "../server_clock.js";
import { checklist, problemsOf, stateBanner } from "./health.js";

const PERIOD_S = 5;
const POPULAR = 12;

export async function showOverview(visit) {
  const { range, signal, view } = visit;
  const events = eventChart(),
    hits = lineChart({ caption: "Hit rate over time", unit: UNITS.share });
  const state = el("div"),
    firstSteps = el("div.first"),
    business = el("div.stats"),
    system = el("div.stats"),
    step = el("span"),
    hitsState = el("div"),
    inventoryBody = el("div"),
    popular = el("div"),
    about = el("span");

  async function load() {
    const [since, until] = range.wholeDays();
    const [status, activity, top, drift, ingestion, timeline, outcomes, models] = await Promise.all([
      api.status(signal),
      api.activity(signal),
      api.popular({ n: POPULAR }, signal),
      api.drift({ days: range.days, limit: 20 }, signal),
      api.ingestion(signal),
      api.timeline(range.period(), signal),
      api.outcomes({ since, until, by: "day" }, signal),
      api.models(signal),
    ]);
    const missing = checklist(status);
    fill(about, isStreamTime() ? `${range.name} to ${moment(status.now)}, the time of the newest event.` : `${range.name}.`);
    fill(state, missing ? null : stateBanner(problemsOf({ status, drift, ingestion })));
    fill(firstSteps, missing && card("First steps", { about: "until recommendations are personal" }, missing));
    fill(business, ...businessFigures({ status, drift, timeline, outcomes, range }));
    fill(system, ...systemFigures(status, activity.samples, drift, ingestion, namesOf(models.models)));
    fill(inventoryBody, inventory(status));
    fill(
      popular,
      top.items.length
        ? itemList(top.items, { label: "Popular items", kind: "columns" })
        : empty("The catalogue is empty. Put items with POST /v1/items or `tidewise import`."),
    );
    events.show(timeline);
    fill(step, stepText(timeline));
    drawHits(drift, timeline);
  }

  function drawHits(drift, timeline) {
    const points = hitRatePoints(drift).filter((point) => point.end >= timeline.since);
    fill(hitsState, points.length < 2 ? empty("No events were scored in this time.") : null);
    hits.node.hidden = points.length < 2;
    if (hits.node.hidden) return;
    hits.set({
      times: points.map((point) => point.end),
      range: [timeline.since, timeline.until],
      marks: marksOf(timeline),
      series: [
        { name: "observed", colour: "c0", values: points.map((point) => point.value) },
        { name: "expected", colour: "other", values: points.map((point) => point.expected), dashed: true },
      ],
    });
  }

  await load();
  fill(
    view,
    head("Overview", about),
    state,
    firstSteps,
    el("h2.section", {}, "Business"),
    business,
    el("h2.section", {}, "System"),
    system,
    el(
      "div.grid",
      {},
      card("Events", { where: "half", about: step }, events.node),
      card(
        "Hit rate",
        { where: "half", about: "share of events whose item was in the top 10" },
        hitsState,
        hits.node,
      ),
      card("Popular now", { where: "two-thirds", about: "time-decayed" }, popular),
      card("Inventory", { where: "third" }, inventoryBody),
    ),
  );
  events.redraw();
  hits.redraw();
  visit.every(PERIOD_S, load);
}

function last(values) {
  return values.findLast((value) => value !== null) ?? null;
}

// The mean of the last minute.
export function lastMinuteMean(values) {
  const minute = values.slice(-60 / PERIOD_S).filter((value) => value !== null);
  return minute.length ? minute.reduce((sum, value) => sum + value, 0) / minute.length : 0;
}

function businessFigures({ status, drift, timeline, outcomes, range }) {
  const hitRateNow = hitRate(drift);
  const counted = numEvents(timeline);
  const { answers, clicks, conversions, ctr, impressions, revenue } = outcomes.total;
  return [
    stat("Events", number(counted), `${range.name.toLowerCase()}; ${number(status.events)} in total`),
    stat("Answers", number(answers), `${number(impressions)} items shown, ${range.wholeDaysName}`),
    stat("Click rate", ctr ? percent(ctr.value, 1) : "–", ctr ? `${interval(ctr, 1)}; ${plural(clicks, "click")}, ${range.wholeDaysName}` : `no items shown, ${range.wholeDaysName}`),
    stat("Revenue", revenue ? money(revenue) : "–", `${plural(conversions, "conversion")} from answers, ${range.wholeDaysName}`),
    stat("Hit rate", hitRateNow ? percent(hitRateNow.value, 1) : "–", hitRateNow?.note ?? "no events scored yet"),
  ];
}

// Latency and freshness are those of the process that answers, and of the last hour.
function systemFigures(status, samples, drift, ingestion, nameOf) {
  const { model } = status;
  const state = driftState(drift);
  const p50 = last(samples.freshness_p50_ms);
  return [
    stat("Ingestion", [rate(lastMinuteMean(samples.events_per_s)), "events/s"], lagText(ingestion)),
    stat(
      "Freshness",
      duration(p50),
      p50 === null ? "event to answer; none yet" : `event to answer; p99 ${milliseconds(last(samples.freshness_p99_ms))}`,
    ),
    stat(
      "Latency",
      duration(last(samples.recommendation_p50_ms)),
      `p50 of answers; p99 ${milliseconds(last(samples.recommendation_p99_ms))}`,
    ),
    stat(
      "Champion",
      el("a", { href: "#/models", title: model.serving }, model.serving ? nameOf(model.serving) : "none"),
      model.serving ? `trained ${ago(model.created, Date.now())}` : "popularity serves",
      { words: true },
    ),
    stat("Drift", el("a", { href: "#/drift" }, state.text), state.note, { words: true, kind: state.kind }),
  ];
}

const lagText = ({ lag, topic }) =>
  topic === null ? "applied at once" : lag === null ? "lag unknown" : `${number(lag)} messages wait`;

function inventory(status) {
  return facts([
    ["Users", number(status.users)],
    ["Items", `${number(status.listed_items)} in stock and not hidden, of ${number(status.items)}`],
    ["Events", short(status.events)],
    ["Newest event", when(status.newest_event, status.now)],
    ["Dead letters", el("a", { href: "#/ingestion" }, number(status.dead_letters))],
    ["Catalogue", `revision ${number(status.catalogue_revision)}`],
    ["Item search", itemSearch(status.index)],
    ["Version", status.version],
  ]);
}

function itemSearch(index) {
  if (index === null) return "by popularity and counts";
  if (index.recall === null) return "exact";
  const recall = `recall@10 ${(100 * index.recall).toFixed(1)}%`;
  return index.approximate ? `approximate, ${recall}` : `exact: approximate search would have ${recall}`;
}
