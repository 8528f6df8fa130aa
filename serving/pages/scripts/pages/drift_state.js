// What drift says in words and figures, from GET /v1/drift; the overview and the drift page share it.
import { ago, percent, plural } from "../format.js";

export const SIGNALS = {
  hit_rate: {
    name: "Hit rate",
    about: "scored events whose item the model had among its first ten",
    format: (value) => percent(value, 1),
  },
  loss: {
    name: "Loss",
    about: "cross-entropy of the scored events; lower is better",
    format: (value) => value.toFixed(2),
  },
  categories: {
    name: "Category mix",
    subject: "Events in other categories than expected",
    about: "share of the events that are in other categories than expected",
    format: (value) => percent(value, 1),
  },
  gaps: {
    name: "Gaps between events",
    subject: "Gaps of other lengths than expected",
    about: "share of the gaps that are of other lengths than expected",
    format: (value) => percent(value, 1),
  },
  new_users: { name: "New users", about: "first events of users, of all events", format: (value) => percent(value, 1) },
  new_items: {
    name: "New items",
    about: "events of items younger than a week, of all events",
    format: (value) => percent(value, 1),
  },
};

export const signalOf = (name) => SIGNALS[name] || { name, about: "", format: (value) => value.toFixed(3) };

export function alarmTitle(alarm) {
  const { name, subject = name, format } = signalOf(alarm.signal);
  const where = alarm.segment ? ` in ${alarm.segment.replace("=", " ")}` : "";
  return `${subject}${where} ${alarm.after < alarm.before ? "fell" : "rose"} from ${format(alarm.before)} to ${format(alarm.after)}`;
}

// The newest hit rate for everybody, or null where nothing was scored yet.
export function hitRate(drift) {
  const points = drift.signals.find((one) => one.name === "hit_rate" && one.segment === null)?.points ?? [];
  const last = points.at(-1);
  if (!last) return null;
  const expected = last.expected === null ? "" : `, ${percent(last.expected, 1)} expected`;
  return { value: last.value, note: `among the first ten${expected}` };
}

export function driftState(drift) {
  const open = drift.alarms.filter((alarm) => alarm.status === "open");
  if (open.length)
    return {
      text: plural(open.length, "open alarm"),
      note: `${signalOf(open[0].signal).name}, ${ago(open[0].detected, drift.now)}`,
      kind: "bad",
    };
  if (drift.monitored_through === null) return { text: "not watched yet", note: "no events were read so far", kind: "" };
  return { text: "calm", note: `read to ${ago(drift.monitored_through, drift.now)}`, kind: "" };
}
