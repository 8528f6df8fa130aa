// Formats numbers, times and durations.
import { serverNow } from "./server_clock.js";

const whole = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
export const seconds = new Intl.DateTimeFormat("en", { timeStyle: "medium", hourCycle: "h23" });
export const clock = new Intl.DateTimeFormat("en", { timeStyle: "short", hourCycle: "h23" });
export const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
export const month = new Intl.DateTimeFormat("en", { month: "short" });
export const year = new Intl.DateTimeFormat("en", { year: "numeric" });
const dayAndYear = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", year: "numeric" });
const full = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium", hour12: false });

export const DAY_MS = 86400000;
const SPANS = [
  ["year", 31557600000],
  ["month", 2629800000],
  ["day", DAY_MS],
  ["hour", 3600000],
  ["minute", 60000],
  ["second", 1000],
];

export const number = (value) => (value === null || value === undefined ? "–" : whole.format(value));
// An amount: whole, or with two decimals.
const cents = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
export const money = (value) =>
  value === null || value === undefined ? "–" : Number.isInteger(value) ? whole.format(value) : cents.format(value);
export const short = (value) => (Math.abs(value) < 10000 ? whole.format(value) : compact.format(value));
export const percent = (share, digits = 0) =>
  share === null || share === undefined ? "–" : (share * 100).toFixed(digits) + "%";
// The bounds of a share, without its value.
export const interval = ({ low, high }, digits) => `${(low * 100).toFixed(digits)} to ${percent(high, digits)}`;

// A rate, with two significant digits.
export function rate(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 100) return short(Math.round(value));
  return value >= 10
    ? value.toFixed(0)
    : value >= 1 || value === 0
      ? value.toFixed(1).replace(/\.0$/, "")
      : value.toFixed(2);
}

// [figure, unit] of a duration in milliseconds.
export function duration(ms) {
  if (ms === null || ms === undefined) return ["–", ""];
  if (ms < 1) return [ms.toFixed(2), "ms"];
  if (ms < 10) return [ms.toFixed(1), "ms"];
  if (ms < 1000) return [ms.toFixed(0), "ms"];
  return [(ms / 1000).toFixed(ms < 10000 ? 1 : 0), "s"];
}

export const milliseconds = (ms) => (ms === null || ms === undefined ? "–" : duration(ms).join(" "));

const signed = (value, text) => (value > 0 ? "+" : "") + text;

// The unit of a chart's values: `text(value)` for legends and tables; `tick(value, step)` for an axis, with as many digits
// as ticks that lie `step` apart need; `isWhole`: whether all values are whole numbers.
const unit = (text, suffix, { factor = 1, isWhole = false } = {}) => ({
  text,
  isWhole,
  tick: (value, step) => {
    if (value === 0) return `0${suffix}`;
    const size = step * factor;
    const digits = [0, 1, 2, 3, 4, 5].find((count) => Math.abs(size * 10 ** count - Math.round(size * 10 ** count)) < 1e-6);
    return (size >= 1000 ? short(value * factor) : (value * factor).toFixed(digits ?? 6)) + suffix;
  },
});
export const UNITS = {
  share: unit((share) => percent(share, 1), "%", { factor: 100 }),
  perSecond: unit((value) => `${rate(value)}/s`, "/s"),
  milliseconds: unit((ms) => milliseconds(ms), " ms"),
  bits: unit((value) => `${value.toFixed(1)} bits`, " bits"),
  count: unit((value) => number(Math.round(value)), "", { isWhole: true }),
  difference: unit((share) => signed(share, `${(100 * share).toFixed(2)} points`), "%", { factor: 100 }),
  plainDifference: unit((value) => signed(value, String(Number(value.toPrecision(3)))), ""),
  plain: unit((value) => String(Number(value.toPrecision(3))), ""),
};

// "3 hours", from its largest unit.
export function span(ms) {
  const [name, size] = SPANS.find(([, size]) => Math.abs(ms) >= size) || SPANS.at(-1);
  const count = Math.round(ms / size);
  return `${whole.format(count)} ${name}${Math.abs(count) === 1 ? "" : "s"}`;
}

// "3 hours ago", "just now", "in 2 minutes". A time of the wall clock, such as that of a training, needs Date.now() as `now`.
export function ago(ms, now = serverNow()) {
  if (ms === null || ms === undefined) return "never";
  const passed = now - ms;
  if (Math.abs(passed) < 2000) return "just now";
  return passed > 0 ? `${span(passed)} ago` : `in ${span(-passed)}`;
}

export const exact = (ms) => full.format(ms);
export const time = (ms) => clock.format(ms);

// A date, with the year only if it is not the current one.
export function date(ms) {
  return new Date(ms).getFullYear() === new Date().getFullYear() ? day.format(ms) : dayAndYear.format(ms);
}
export const moment = (ms) => `${date(ms)}, ${time(ms)}`;

export const plural = (count, singular, pluralForm = singular + "s") =>
  `${number(count)} ${count === 1 ? singular : pluralForm}`;
