// Intervals on one scale, each as a range with its point, beside its name and its figure; 0 is marked if the scale has it.
import { el } from "./dom.js";

// `lines`: [{name, mean, low, high}]; `text(value)`: of a figure; `origin`: a value that the scale includes.
export function intervals(caption, lines, text, origin = lines[0].low) {
  const low = Math.min(origin, ...lines.map((line) => line.low));
  const high = Math.max(origin, ...lines.map((line) => line.high));
  const at = (value) => `${(100 * (value - low)) / (high - low || 1)}%`;
  const label = `${caption}, from ${text(low)} to ${text(high)}`;
  return el(
    "div.intervals",
    { role: "img", "aria-label": label },
    lines.map((line) => {
      const range = el("span.range"),
        point = el("span.point"),
        zero = low <= 0 && high >= 0 ? el("span.zero") : null;
      range.style.left = at(line.low);
      range.style.right = `calc(100% - ${at(line.high)})`;
      point.style.left = at(line.mean);
      if (zero) zero.style.left = at(0);
      return [
        el("span.label", { title: line.name }, line.name),
        el("span.track", {}, zero, range, point),
        el("b", {}, text(line.mean)),
      ];
    }),
  );
}
