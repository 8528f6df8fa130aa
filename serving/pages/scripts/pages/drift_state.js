// Texts and figures from GET /v1/drift, shared by the overview and the drift page.
import { ago, percent, plural, UNITS } from "../format.js";

export const SIGNALS = {
  hit_rate: {
    name: "Hit rate",
    about: "hit rate at 10 of the scored events",
    unit: UNITS.share,
  },
  loss: {
    name: "Loss",
    about: "cross-entropy of the scored events; lower is better",
    unit: UNITS.plain,
  },
  confidence: {
    name: "Confidence",
    about: "probability that the model gives to the ten items that it ranks first",
    unit: UNITS.share,
  },
  categories: {
    name: "Category mix",
    about: "share of events in other categories than expected",
    unit: UNITS.share,
  },
  gaps: {
    name: "Gaps between events",
    about: "share of gaps of another length than expected",
    unit: UNITS.share,
  },
  new_users: {
    name: "New users",
    about: "share of events that are a user's first",
    unit: UNITS.share,
  },
  new_items: {
    name: "New items",
    about: "share of events with items younger than a week",
    unit: UNITS.share,
  },
  fallback: {
    name: "Fallback",
    about: "share of answers by popularity where a model was meant to rank",
    unit: UNITS.share,
  },
  popularity_bias: {
    name: "Popularity bias",
    about: "share of the catalogue less popular than a shown item, on average",
    unit: UNITS.share,
  },
  novelty: {
    name: "Novelty",
    about: "self-information of a shown item, on average: a popular item says little",
    unit: UNITS.bits,
  },
  diversity: {
    name: "Diversity",
    about: "share of pairs of a list's items that are of different categories",
    unit: UNITS.share,
  },
  coverage: {
    name: "Coverage",
    about: "share of different items among those of 20 consecutive lists",
    unit: UNITS.share,
  },
};

export const signalOf = (name) => SIGNALS[name] || { name, about: "", unit: UNITS.plain };

export const hitRatePoints = (drift) =>
  drift.signals.find((series) => series.name === "hit_rate" && series.segment === null)?.points ?? [];

// The newest overall hit rate, or null before the first scored event.
export function hitRate(drift) {
  const last = hitRatePoints(drift).at(-1);
  if (!last) return null;
  const expected = last.expected === null ? "" : `, ${percent(last.expected, 1)} expected`;
  return { value: last.value, note: `in the top 10${expected}` };
}

// Alarms that nothing was done about yet, and those that last although a model was trained and promoted since.
export const openAlarms = (drift) => drift.alarms.filter((alarm) => alarm.status === "open");
export const retrainedAlarms = (drift) => drift.alarms.filter((alarm) => alarm.status === "retrained");

export function driftState(drift) {
  const open = openAlarms(drift);
  const retrained = retrainedAlarms(drift).length;
  if (open.length)
    return {
      text: plural(open.length, "open alarm"),
      note: `${signalOf(open[0].signal).name}, detected ${ago(open[0].detected, drift.now)}`,
      kind: "bad",
    };
  if (drift.monitored_through === null) return { text: "not monitored yet", note: "no events read so far", kind: "" };
  const note = retrained
    ? `a model was promoted since ${plural(retrained, "alarm")}`
    : `monitored through ${ago(drift.monitored_through, drift.now)}`;
  return { text: "no open alarms", note, kind: "" };
}
