// The time range that all pages share: part of the address, as "#/drift?range=7d", and chosen in the header.
import { announce } from "./dom.js";
import { DAY_MS } from "./format.js";
import { serverNow } from "./server_clock.js";

const HOUR_MS = 3600000;
const RANGES = {
  "1h": { name: "Last hour", ms: HOUR_MS },
  "6h": { name: "Last 6 hours", ms: 6 * HOUR_MS },
  "24h": { name: "Last 24 hours", ms: DAY_MS },
  "7d": { name: "Last 7 days", ms: 7 * DAY_MS },
  "30d": { name: "Last 30 days", ms: 30 * DAY_MS },
  "90d": { name: "Last 90 days", ms: 90 * DAY_MS },
  "1y": { name: "Last year", ms: 365 * DAY_MS },
};
const NAMES = Object.keys(RANGES);
const DEFAULT = "24h";
const field = document.getElementById("range");
let current = DEFAULT;

const withRange = (hash) => `${hash.split("?")[0] || "#/"}?range=${current}`;

export const LONGEST_MS = Math.max(...Object.values(RANGES).map(({ ms }) => ms));

// What is counted by UTC day is shown for whole days, the same on all pages: at least yesterday, so that it is not empty
// after midnight.
function wholeDays(ms, now) {
  const today = Math.floor(now / DAY_MS) * DAY_MS;
  return [today - (numWholeDays(ms) - 1) * DAY_MS, now];
}
const numWholeDays = (ms) => Math.max(2, ms / DAY_MS);
const wholeDaysName = (ms) => (ms > DAY_MS ? `last ${numWholeDays(ms)} days with today (UTC)` : "today and yesterday (UTC)");

// {name, days, period(now), wholeDays(now), wholeDaysName} of the address; one without a range gets the current one.
export function rangeOf(hash) {
  const named = new URLSearchParams(hash.split("?")[1] ?? "").get("range");
  if (Object.hasOwn(RANGES, named ?? "")) current = named;
  if (named !== current) history.replaceState(null, "", withRange(hash));
  field.value = current;
  const { name, ms } = RANGES[current];
  return {
    name,
    days: Math.max(1, ms / DAY_MS),
    period: (now = serverNow()) => [now - ms, now],
    wholeDays: (now = serverNow()) => wholeDays(ms, now),
    wholeDaysName: wholeDaysName(ms),
  };
}

function select(name) {
  current = name;
  location.hash = withRange(location.hash);
  announce(RANGES[name].name);
}

field.append(...NAMES.map((name) => new Option(RANGES[name].name, name)));
field.addEventListener("change", () => select(field.value));

// "[" and "]" choose the next shorter and the next longer range.
document.addEventListener("keydown", (event) => {
  const step = { "[": -1, "]": 1 }[event.key];
  if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, select, textarea") || document.querySelector("dialog[open]")) return;
  const name = NAMES[NAMES.indexOf(current) + step];
  if (name) select(name);
});
