// Ingestion: event rate, writers with their lag, dead letters.
import { api } from "../api.js";
import { lineChart, MAX_BANDS } from "../charts.js";
import { el, fill } from "../dom.js";
import { milliseconds, number, rate, UNITS } from "../format.js";
import { deadLetters } from "./dead_letters.js";
import { eventChart, marksOf, stepText } from "./event_chart.js";
import { lastMinuteMean } from "./overview.js";
import { card, empty, head, stat, table, when } from "../parts.js";
import { isStreamTime } from "../server_clock.js";

const PERIOD_S = 5;

export async function showIngestion(visit) {
  const { range, signal, view } = visit;
  const stats = el("div.stats"),
    writers = el("div"),
    problem = el("div");
  const events = eventChart(),
    lags = lineChart({ caption: "Lag over time, by partition", unit: UNITS.count }),
    lagCard = card("Lag", { where: "half", about: "highest in each step, in messages, by partition" }, lags.node),
    step = el("span");
  const letters = deadLetters({ signal, changed: () => load() });

  async function load() {
    const [state, activity, timeline] = await Promise.all([
      api.ingestion(signal),
      api.activity(signal),
      api.timeline(range.period(), signal),
    ]);
    fill(
      problem,
      state.problem ? el("p.note.warn", { role: "alert" }, `The event log is unavailable: ${state.problem}`) : null,
    );
    fill(stats, ...figures(state, activity.samples));
    fill(writers, state.writers.length ? writerTable(state) : empty("No events have been written yet."));
    events.show(timeline);
    showLags(state.topic !== null && isStreamTime() ? await api.timeline(range.period(state.now), signal) : timeline);
    fill(step, stepText(timeline));
  }

  // Lags have times of the wall clock, also where events are old.
  function showLags(timeline) {
    // The partitions that lagged most; gaps where nothing was read.
    const partitions = Object.entries(timeline.lag).sort(([, one], [, other]) => Math.max(...other) - Math.max(...one));
    lagCard.hidden = !partitions.length;
    if (lagCard.hidden) return;
    lags.set({
      times: timeline.time,
      range: [timeline.since, timeline.until],
      marks: marksOf(timeline),
      series: partitions
        .slice(0, MAX_BANDS)
        .map(([partition, values], index) => ({ name: `partition ${partition}`, colour: `c${index}`, values })),
    });
  }

  await Promise.all([load(), letters.load()]);
  fill(
    view,
    head("Ingestion", "Event rate, lag, and input that could not be applied."),
    problem,
    stats,
    el(
      "div.grid",
      {},
      card("Events", { where: "half", about: step }, events.node),
      card("Writers", { where: "half", about: "by partition or process" }, writers),
      lagCard,
      card("Dead letters", { about: "input that could not be applied, by reason" }, ...letters.nodes),
    ),
  );
  events.redraw();
  lags.redraw();
  visit.every(PERIOD_S, load);
}

function figures(state, samples) {
  const kind = state.lag > 10000 ? "warn" : "";
  const last = samples.freshness_p99_ms.findLast((ms) => ms !== null) ?? null;
  return [
    stat("Events", [rate(lastMinuteMean(samples.events_per_s)), "per second"], "applied, over the last minute"),
    stat(
      "Lag",
      state.topic === null ? "none" : state.lag === null ? "unknown" : [number(state.lag), "messages"],
      state.topic === null ? "no event log: events are applied at once" : `of topic ${state.topic}`,
      { kind, words: state.lag === null },
    ),
    stat("Write queue", [number(state.waiting_events), "changes"], `freshness p99: ${milliseconds(last)}`),
    stat("Dead letters", number(state.dead_letters), state.dead_letters ? "see below" : "all input was applied", {
      kind: state.dead_letters ? "warn" : "",
    }),
  ];
}

function writerTable(state) {
  const isOffsetless = state.topic === null && state.writers.every((writer) => writer.applied_offset === null);
  if (isOffsetless)
    return table(
      "Writers",
      [["Writer"], ["Newest event", "keep"]],
      state.writers.map((writer) => [writer.name, when(writer.newest_event)]),
    );
  return table(
    "Writers",
    [["Writer"], ["Partition", "number"], ["Applied offset", "number"], ["Lag", "number"], ["Newest event", "keep"]],
    state.writers.map((writer) => [
      writer.name,
      writer.log_end_offset === null && writer.applied_offset === null ? "–" : number(writer.partition),
      number(writer.applied_offset),
      number(writer.lag),
      when(writer.newest_event),
    ]),
  );
}
