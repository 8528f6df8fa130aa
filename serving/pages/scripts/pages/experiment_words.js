// Experiments in words, those of the API and of `tidewise experiments`: states, metrics, judgements.
import { moment, number, percent, UNITS } from "../format.js";

export const experimentHref = (name) => "#/experiments/" + encodeURIComponent(name);

const plain = (value) => (value === null || value === undefined ? "–" : number(Number(value.toPrecision(4))));

export const METRICS = {
  click_through_rate: { name: "click-through rate", value: (value) => percent(value, 2), unit: UNITS.difference },
  conversions_per_user: { name: "conversions per user", value: plain, unit: UNITS.plainDifference },
  revenue_per_user: { name: "revenue per user", value: plain, unit: UNITS.plainDifference },
};
export const DEFAULT_METRIC = "click_through_rate";

const STATES = { scheduled: "accent", running: "good", ended: "" };
const JUDGEMENTS = { better: "good", worse: "bad", undecided: "warn", "too few": "" };
export const stateKind = (state) => STATES[state] ?? "";
export const judgementKind = (judgement) => JUDGEMENTS[judgement] ?? "";

export function period({ state, definition: { start, end } }) {
  if (state === "scheduled") return `starts ${moment(start)}`;
  return state === "ended" ? `${moment(start)} to ${moment(end)}` : `since ${moment(start)}`;
}

export const requests = (scenario) => (scenario ? `those that name ${scenario}` : "those without a scenario");

// What an arm's comparison with the control says, as a sentence.
export function verdict(control, { difference, lift, judgement }, { name, unit }) {
  if (!difference)
    return `Too few users: an interval needs 100 users in each arm, 30 of them with a click, a conversion or revenue.`;
  const relative = lift === null ? "" : ` (${lift > 0 ? "+" : ""}${percent(lift, 1)})`;
  const interval = `between ${unit.text(difference.low)} and ${unit.text(difference.high)}`;
  const size = `${unit.text(difference.mean)}${relative} in ${name} against ${control}, ${interval}.`;
  return judgement === "undecided" ? `${size} No difference is shown yet.` : size;
}

export function sampleRatio(results) {
  const counts = results.arms.map((arm) => `${number(arm.users)} in ${arm.name} (${number(Math.round(arm.expected_users))} expected)`);
  const text = counts.join(", ");
  return results.sample_ratio === "mismatch"
    ? `The numbers of users do not fit the shares: ${text}. Some arm loses users, so do not compare the arms.`
    : `The numbers of users fit the shares: ${text}.`;
}
