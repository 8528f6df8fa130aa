import { fill } from "../dom.js";
import { empty, head } from "../parts.js";

export async function showDrift(visit) {
  fill(visit.view, head("Drift"), empty("Nothing is watched yet."));
}
