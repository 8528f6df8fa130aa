// A user's interests: whether they shifted, the categories over time, short-term against long-term.
import { api } from "../api.js";
import { bandsOf, streamChart } from "../charts.js";
import { el, fill } from "../dom.js";
import { percent, UNITS } from "../format.js";
import { empty, failed } from "../parts.js";

export async function loadInterest(element, user, signal) {
  try {
    fill(element, ...interestParts(await api.interests(user, signal)));
  } catch (error) {
    if (error.name === "AbortError") throw error;
    fill(element, error.status === 404 ? empty("The user has no events yet.") : failed(error));
  }
}

const charts = new WeakMap();
export const chartOf = (element) => charts.get(element.querySelector("figure"));

function interestParts(interest) {
  if (!interest.topics.length)
    return [empty("The items of this user's events have no categories, so there are no interests to show.")];
  const { bands, times } = bandsOf(
    interest.topics,
    interest.history.buckets.map((bucket) => ({ time: bucket.start, shares: bucket.shares })),
  );
  const { drift } = interest;
  const parts = [el("p", { class: drift.detected ? "note" : "soft" }, driftSentence(drift))];
  if (times.length > 1) {
    const chart = streamChart({
      caption: "Shares of each category over time",
      unit: UNITS.share,
      height: 180,
    });
    charts.set(chart.node, chart);
    chart.set({ times, bands, marks: drift.detected ? [{ time: drift.since, colour: "ink" }] : [] });
    parts.push(chart.node);
  }
  parts.push(el("h3", {}, "Short-term (colour) vs long-term (grey)"), compared(interest));
  return parts;
}

function driftSentence(drift) {
  if (drift.detected) return `Interest shifted ${drift.explanation}.`;
  return drift.score === null
    ? `Drift unknown: ${drift.explanation}.`
    : `No drift: ${drift.explanation || `score ${percent(drift.score)}, below ${percent(drift.threshold)}`}.`;
}

function compared(interest) {
  const topics = interest.topics.slice(0, 6);
  return el(
    "div.bars",
    {},
    topics.map((topic) => {
      const short = interest.short_term[topic] ?? 0,
        long = interest.long_term[topic] ?? 0;
      return [
        el("span.label", { title: topic }, topic),
        el(
          "span.pair",
          { title: `short-term ${percent(short)}, long-term ${percent(long)}` },
          el("meter", { min: 0, max: 1, value: short, "aria-label": `${topic} short-term` }, percent(short)),
          el("meter.long", { min: 0, max: 1, value: long, "aria-label": `${topic} long-term` }, percent(long)),
        ),
      ];
    }),
  );
}
