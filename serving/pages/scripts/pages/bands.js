// Shares by topic over time as bands of a stream chart: the largest topics, and "other" for the rest.
import { MAX_BANDS } from "../charts.js";

// `points`: [{time, shares: {topic: share}}], oldest first; `topics`: largest first.
export function bandsOf(topics, points) {
  const named = topics.slice(0, MAX_BANDS);
  const bands = named.map((name) => ({ name, values: points.map((point) => point.shares[name] ?? 0) }));
  const rest = points.map((_, index) => Math.max(0, 1 - bands.reduce((sum, band) => sum + band.values[index], 0)));
  if (rest.some((share) => share > 0.005)) bands.push({ name: "other", values: rest, colour: "other" });
  return { bands, times: points.map((point) => point.time) };
}
