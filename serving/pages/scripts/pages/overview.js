// How it goes right now: rates, times, what serves, what is popular.
import { api } from "../api.js";
import { lineChart } from "../charts.js";
import { el, fill } from "../dom.js";
import { ago, duration, milliseconds, number, percent, plural, rate, short } from "../format.js";
import { card, empty, facts, head, itemList, stat, when } from "../parts.js";
import { driftState, hitRate } from "./drift_state.js";

const PERIOD_S = 5;
const POPULAR = 12;

export async function showOverview(visit) {
  const { signal, view } = visit;
  const flow = lineChart({ caption: "Events and answers per second in the last hour", format: rate, area: true });
  const times = lineChart({ caption: "Milliseconds for an answer in the last hour", format: (ms) => `${rate(ms)}` });
  const stats = el("div.stats");
  const holds = el("div"),
    popular = el("div"),
    problem = el("div");
  const flowState = el("div"),
    timesState = el("div");

  async function load() {
    const [status, activity, top, drift] = await Promise.all([
      api.status(signal),
      api.activity(signal),
      api.popular({ n: POPULAR }, signal),
      api.drift({ days: 7, limit: 20 }, signal),
    ]);
    fill(stats, ...figures(status, activity.samples, drift));
    fill(problem, trouble(status));
    fill(holds, contents(status));
    fill(
      popular,
      top.items.length
        ? itemList(top.items, { label: "Popular items", kind: "columns" })
        : empty("The catalogue is empty. Put items with POST /v1/items or `tidewise import`."),
    );
    draw(activity.samples);
  }

  function draw(samples) {
    const isYoung = samples.time.length < 2;
    fill(flowState, isYoung ? empty("The first samples come within ten seconds.") : null);
    fill(
      timesState,
      !isYoung && samples.recommendation_p50_ms.every((ms) => ms === null)
        ? empty("Nobody asked this process for recommendations in the last hour.")
        : null,
    );
    flow.node.hidden = isYoung;
    times.node.hidden = isYoung || samples.recommendation_p50_ms.every((ms) => ms === null);
    if (isYoung) return;
    flow.set({
      times: samples.time,
      series: [
        { name: "events/s", colour: "c0", values: samples.events_per_s },
        { name: "answers/s", colour: "c1", values: samples.recommendations_per_s, dashed: true },
      ],
    });
    if (times.node.hidden) return;
    times.set({
      times: samples.time,
      series: [
        { name: "half within (ms)", colour: "c2", values: samples.recommendation_p50_ms },
        { name: "99 of 100 within (ms)", colour: "c3", values: samples.recommendation_p99_ms, dashed: true },
      ],
    });
  }

  await load();
  fill(
    view,
    head("Overview", "The last hour, as of now."),
    problem,
    stats,
    el(
      "div.grid",
      {},
      card("Events", { where: "half", about: "applied and answered, per second" }, flowState, flow.node),
      card("Answer time", { where: "half", about: "milliseconds per recommendation" }, timesState, times.node),
      card("Popular now", { where: "two-thirds", about: "time-decayed" }, popular),
      card("What there is", { where: "third" }, holds),
    ),
  );
  flow.redraw();
  times.redraw();
  visit.every(PERIOD_S, load);
}

function last(values) {
  return values.findLast((value) => value !== null) ?? null;
}

// The mean of the last minute.
export function lately(values) {
  const minute = values.slice(-60 / PERIOD_S);
  return minute.length ? minute.reduce((sum, value) => sum + value, 0) / minute.length : 0;
}

function figures(status, samples, drift) {
  const { model } = status;
  const moved = driftState(drift);
  const hits = hitRate(drift);
  const p50 = last(samples.freshness_p50_ms),
    p99 = last(samples.freshness_p99_ms);
  return [
    stat("Events", [rate(lately(samples.events_per_s)), "per second"], `${number(status.events)} in all`),
    stat(
      "Freshness",
      duration(p50),
      p50 === null ? "from event to next answer; none yet" : `from event to next answer; p99 ${milliseconds(p99)}`,
    ),
    stat(
      "Answer time",
      duration(last(samples.recommendation_p50_ms)),
      `half within it; p99 ${milliseconds(last(samples.recommendation_p99_ms))}`,
    ),
    stat("Hit rate", hits ? [percent(hits.value, 1), ""] : "–", hits ? hits.note : "no events scored yet"),
    stat(
      "Champion",
      el("a", { href: "#/models" }, model.serving || "none yet"),
      model.serving ? `trained ${ago(model.created)}` : "popularity serves",
      { words: true },
    ),
    stat("Drift", el("a", { href: "#/drift" }, moved.text), moved.note, { words: true, kind: moved.kind }),
  ];
}

function trouble(status) {
  const { problem } = status.model;
  return problem ? el("p.note.warn", { role: "alert" }, `The newest model does not serve: ${problem}`) : null;
}

function contents(status) {
  return facts([
    ["Users", number(status.users)],
    ["Items", `${number(status.listed_items)} shown, ${number(status.items)} known`],
    ["Events", short(status.events)],
    ["Newest event", when(status.newest_event, status.now)],
    ["Set aside", el("a", { href: "#/ingestion" }, plural(status.dead_letters, "dead letter"))],
    ["Catalogue", `revision ${number(status.catalogue_revision)}`],
    ["Version", status.version],
  ]);
}
