// What the overview says of drift, from GET /v1/drift.
import { ago } from "../format.js";

export function hitRate(drift) {
  return null;
}

export function driftState(drift) {
  return { text: "–", note: "", kind: "" };
}
