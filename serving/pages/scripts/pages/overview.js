// The overview: rates, latencies, the serving model, popular items.
import { api } from "../api.js";
import { lineChart } from "../charts.js";
import { el, fill } from "../dom.js";
import { ago, duration, milliseconds, number, percent, rate, short, UNITS } from "../format.js";
import { card, empty, facts, head, itemList, stat, when } from "../parts.js";
import { driftState, hitRate } from "./drift_state.js";

const PERIOD_S = 5;
const POPULAR = 12;

export async function showOverview(visit) {
  const { signal, view } = visit;
  const rates = lineChart({
    caption: "Events and recommendations per second in the last hour",
    unit: UNITS.perSecond,
    area: true,
  });
  const latency = lineChart({
    caption: "Recommendation latency in milliseconds in the last hour",
    unit: UNITS.milliseconds,
  });
  const stats = el("div.stats");
  const inventoryBody = el("div"),
    popular = el("div"),
    problem = el("div");
  const ratesState = el("div"),
    latencyState = el("div");

  async function load() {
    const [status, activity, top, drift] = await Promise.all([
      api.status(signal),
      api.activity(signal),
      api.popular({ n: POPULAR }, signal),
      api.drift({ days: 7, limit: 20 }, signal),
    ]);
    fill(stats, ...figures(status, activity.samples, drift));
    fill(problem, problemNote(status));
    fill(inventoryBody, inventory(status));
    fill(
      popular,
      top.items.length
        ? itemList(top.items, { label: "Popular items", kind: "columns" })
        : empty("The catalogue is empty. Put items with POST /v1/items or `tidewise import`."),
    );
    draw(activity);
  }

  function draw(activity) {
    const { samples } = activity;
    const tooFewSamples = samples.time.length < 2;
    fill(ratesState, tooFewSamples ? empty("The first samples arrive within ten seconds.") : null);
    fill(
      latencyState,
      !tooFewSamples && samples.recommendation_p50_ms.every((ms) => ms === null)
        ? empty("This process served no recommendations in the last hour.")
        : null,
    );
    rates.node.hidden = tooFewSamples;
    latency.node.hidden = tooFewSamples || samples.recommendation_p50_ms.every((ms) => ms === null);
    if (tooFewSamples) return;
    rates.set({
      times: samples.time,
      step: activity.period_ms,
      series: [
        { name: "events/s", colour: "c0", values: samples.events_per_s },
        { name: "recommendations/s", colour: "c1", values: samples.recommendations_per_s, dashed: true },
      ],
    });
    if (latency.node.hidden) return;
    latency.set({
      times: samples.time,
      step: activity.period_ms,
      series: [
        { name: "p50", colour: "c2", values: samples.recommendation_p50_ms },
        { name: "p99", colour: "c3", values: samples.recommendation_p99_ms, dashed: true },
      ],
    });
  }

  await load();
  fill(
    view,
    head("Overview", "The last hour."),
    problem,
    stats,
    el(
      "div.grid",
      {},
      card(
        "Events",
        { where: "half", about: "events applied and recommendations served, per second" },
        ratesState,
        rates.node,
      ),
      card("Latency", { where: "half", about: "milliseconds per recommendation" }, latencyState, latency.node),
      card("Popular now", { where: "two-thirds", about: "time-decayed" }, popular),
      card("Inventory", { where: "third" }, inventoryBody),
    ),
  );
  rates.redraw();
  latency.redraw();
  visit.every(PERIOD_S, load);
}

function last(values) {
  return values.findLast((value) => value !== null) ?? null;
}

// The mean of the last minute.
export function lastMinuteMean(values) {
  const minute = values.slice(-60 / PERIOD_S);
  return minute.length ? minute.reduce((sum, value) => sum + value, 0) / minute.length : 0;
}

function figures(status, samples, drift) {
  const { model } = status;
  const state = driftState(drift);
  const hitRateNow = hitRate(drift);
  const p50 = last(samples.freshness_p50_ms),
    p99 = last(samples.freshness_p99_ms);
  return [
    stat("Events", [rate(lastMinuteMean(samples.events_per_s)), "per second"], `${number(status.events)} in total`),
    stat(
      "Freshness",
      duration(p50),
      p50 === null
        ? "event to recommendation; none yet"
        : `event to recommendation; p99 ${milliseconds(p99)}`,
    ),
    stat(
      "Latency",
      duration(last(samples.recommendation_p50_ms)),
      `p50; p99 ${milliseconds(last(samples.recommendation_p99_ms))}`,
    ),
    stat(
      "Hit rate",
      hitRateNow ? [percent(hitRateNow.value, 1), ""] : "–",
      hitRateNow ? hitRateNow.note : "no events scored yet",
    ),
    stat(
      "Champion",
      el("a", { href: "#/models" }, model.serving || "none"),
      model.serving ? `trained ${ago(model.created)}` : "popularity serves",
      { words: true },
    ),
    stat("Drift", el("a", { href: "#/drift" }, state.text), state.note, { words: true, kind: state.kind }),
  ];
}

function problemNote(status) {
  const { problem } = status.model;
  return problem ? el("p.note.warn", { role: "alert" }, `The champion could not be loaded: ${problem}`) : null;
}

function inventory(status) {
  return facts([
    ["Users", number(status.users)],
    ["Items", `${number(status.listed_items)} visible of ${number(status.items)}`],
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
