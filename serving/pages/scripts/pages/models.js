import { fill } from "../dom.js";
import { empty, head } from "../parts.js";

export async function showModels(visit) {
  fill(visit.view, head("Models"), empty("No models yet."));
}
