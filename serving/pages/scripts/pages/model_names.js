// Names of model versions that a person can say: "fine-tune 14, Tue 09:12".
import { day, clock } from "../format.js";

const WEEK_MS = 7 * 86400000;
const weekday = new Intl.DateTimeFormat("en", { weekday: "short" });
const WORDS = { first: "first training", full: "full training", "fine-tune": "fine-tune", "by hand": "training by hand" };

const moment = (ms) => `${(Date.now() - ms < WEEK_MS ? weekday : day).format(ms)} ${clock.format(ms)}`;

// A function from a version to its name. Each kind of training is counted from the oldest on.
export function namesOf(models) {
  const counts = {};
  const names = new Map();
  for (const { version, created, lineage } of [...models].sort((one, other) => one.created - other.created)) {
    const kind = WORDS[lineage.kind] ?? lineage.kind ?? "training";
    counts[kind] = (counts[kind] ?? 0) + 1;
    names.set(version, `${kind} ${counts[kind]}, ${moment(created)}`);
  }
  return (version) => names.get(version) ?? version;
}
