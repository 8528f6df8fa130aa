// Where a user's interest goes: a sentence, the stream of categories, lately against on the whole.
import { api } from "../api.js";
import { streamChart } from "../charts.js";
import { el, fill } from "../dom.js";
import { percent } from "../format.js";
import { empty, failed } from "../parts.js";
import { bandsOf } from "./bands.js";

export async function loadInterest(place, user, signal) {
  try {
    fill(place, ...interestParts(await api.interests(user, signal)));
  } catch (error) {
    if (error.name === "AbortError") throw error;
    fill(place, error.status === 404 ? empty("An interest shows once there are events.") : failed(error));
  }
}

const charts = new WeakMap();
export const chartOf = (place) => charts.get(place.querySelector("figure"));

function interestParts(told) {
  if (!told.topics.length)
    return [empty("The items of this user's events have no categories, so there is nothing to follow.")];
  const { bands, times } = bandsOf(
    told.topics,
    told.history.buckets.map((bucket) => ({ time: bucket.start, shares: bucket.shares })),
  );
  const { drift } = told;
  const parts = [el("p", { class: drift.detected ? "note" : "soft" }, driftSentence(drift))];
  if (times.length > 1) {
    const chart = streamChart({
      caption: "Shares of each category over time",
      format: (share) => percent(share),
      height: 180,
    });
    charts.set(chart.node, chart);
    chart.set({ times, bands, marks: drift.detected ? [{ time: drift.since, colour: "ink" }] : [] });
    parts.push(chart.node);
  }
  parts.push(el("h3", {}, "Lately (colour) against on the whole (grey)"), compared(told));
  return parts;
}

function driftSentence(drift) {
  if (drift.detected) return `Their interest moved: ${drift.explanation}.`;
  return drift.score === null
    ? `No drift told: ${drift.explanation}.`
    : `No drift: ${drift.explanation || `score ${percent(drift.score)}, below ${percent(drift.threshold)}`}.`;
}

function compared(told) {
  const topics = told.topics.slice(0, 6);
  return el(
    "div.bars",
    {},
    topics.map((topic) => {
      const short = told.short_term[topic] ?? 0,
        long = told.long_term[topic] ?? 0;
      return [
        el("span.label", { title: topic }, topic),
        el(
          "span.pair",
          { title: `lately ${percent(short)}, on the whole ${percent(long)}` },
          el("meter", { min: 0, max: 1, value: short, "aria-label": `${topic} lately` }, percent(short)),
          el("meter.long", { min: 0, max: 1, value: long, "aria-label": `${topic} on the whole` }, percent(long)),
        ),
      ];
    }),
  );
}
