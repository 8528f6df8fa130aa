// What changed between a period and the one before it, from GET /v1/interests: sentences, and the segments of all events.
import { el } from "../dom.js";
import { moment, number, percent } from "../format.js";
import { empty, table } from "../parts.js";

const MAX_SEGMENTS = 8;

const period = ({ since, until }) => `${moment(since)} to ${moment(until)}`;

export function changes(report) {
  const { reference, sentences } = report;
  if (!report.period.events) return empty("No events in this time.");
  const compared = el("p.soft.small", {}, `Compared with ${period(reference)}: ${number(reference.events)} events.`);
  if (!reference.events) return [empty("There are no events before this time to compare with."), compared];
  if (!sentences.length) return [empty(unchanged(report)), compared];
  return [el("ul.verdicts", { "aria-label": "What changed" }, sentences.map((sentence) => el("li", {}, sentence))), compared];
}

// An interval needs events in seven parts of both periods.
const unchanged = ({ categories }) =>
  categories.some(({ low }) => low !== null)
    ? "Nothing has changed by more than chance explains."
    : "Too little to compare: with events in fewer than seven parts of a period, chance cannot be told apart.";

// New and returning users, and the values of event fields, by their share of all events.
export function segmentTable({ segments }) {
  if (!segments.length) return empty("No events in this time.");
  return table(
    "Segments of all events",
    [["Segment"], ["Share", "number"], ["Before", "number"], ["Change", "number"]],
    segments.slice(0, MAX_SEGMENTS).map(({ title, share }) => [
      title,
      percent(share.share, 1),
      percent(share.reference, 1),
      share.significant ? el("strong", {}, points(share.difference)) : el("span.soft", {}, points(share.difference)),
    ]),
  );
}

const points = (difference) => `${difference > 0 ? "+" : ""}${(100 * difference).toFixed(1)} points`;
