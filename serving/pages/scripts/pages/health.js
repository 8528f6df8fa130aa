// Whether the system is healthy, in words: what needs attention, and the page to go to; what a new installation lacks.
import { el, withCode } from "../dom.js";
import { ago, number, plural } from "../format.js";
import { openAlarms } from "./drift_state.js";

const MAX_LAG = 10000; // messages
const MAX_WAITING = 10000; // changes

// The reasons for attention, [{text, href}]; none: healthy.
export function problemsOf({ status, drift, ingestion }) {
  const [alarm, ...others] = openAlarms(drift);
  return [
    status.model.problem && { text: `The champion could not be loaded: ${status.model.problem}`, href: "#/models" },
    ingestion.problem && { text: `The event log is unavailable: ${ingestion.problem}`, href: "#/ingestion" },
    ingestion.lag > MAX_LAG && { text: `${number(ingestion.lag)} messages wait to be applied`, href: "#/ingestion" },
    ingestion.waiting_events > MAX_WAITING && {
      text: `${number(ingestion.waiting_events)} changes wait for the database`,
      href: "#/ingestion",
    },
    alarm && {
      text: `${plural(others.length + 1, "open alarm")}: ${alarm.text}, ${ago(alarm.detected, drift.now)}`,
      href: "#/drift",
    },
    status.dead_letters > 0 && {
      text: `${plural(status.dead_letters, "dead letter")} ${status.dead_letters === 1 ? "was" : "were"} not applied`,
      href: "#/ingestion",
    },
  ].filter(Boolean);
}

export function stateBanner(problems) {
  const isHealthy = problems.length === 0;
  return el(
    "section.state",
    { class: isHealthy ? "good" : "warn", "aria-label": "State" },
    el("strong", {}, isHealthy ? "✓ Healthy" : "! Needs attention"),
    isHealthy
      ? el("span", {}, "Events are applied, no alarm is open.")
      : el(
          "ul",
          {},
          problems.map(({ text, href }) => el("li", {}, el("a", { href }, text))),
        ),
  );
}

// The first steps, with the command of each; null once all is there. A key is asked for where the API needs one.
export function checklist(status) {
  const steps = [
    ["Catalogue", status.listed_items > 0, "tidewise import --items items.csv", "titles and categories of your items"],
    ["Events", status.events > 0, "tidewise import --events events.csv", "or POST /v1/interactions, or Kafka"],
    ["Model", status.model.serving !== null, "tidewise train", "or wait: once there are enough events `tidewise up` trains it, unless it runs with --no-train"],
  ];
  if (steps.every(([, isDone]) => isDone)) return null;
  const hasKey = sessionStorage.getItem("key") !== null;
  const key = ["API key", hasKey, "tidewise keys create NAME", "before other machines connect; set server.api_key"];
  return el(
    "ol.steps",
    { "aria-label": "First steps" },
    [...steps, key].map(([name, isDone, command, about]) =>
      el(
        "li",
        {},
        el("span", { class: isDone ? "good" : "warn" }, isDone ? "✓ done" : "○ missing"),
        el("strong", {}, name),
        isDone ? null : el("code", {}, command),
        el("span.soft.small", {}, withCode(about)),
      ),
    ),
  );
}
