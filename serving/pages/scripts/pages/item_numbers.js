// What became of items: click-through rates and trends as text.
import { el } from "../dom.js";
import { interval, percent } from "../format.js";

export const clickRate = (rate) => (rate ? el("span", { title: `95% interval: ${interval(rate, 1)}` }, percent(rate.value, 1)) : "–");

// The change of an item's events against as many whole days before.
export function trend(change) {
  if (change === null) return el("span.soft", { title: "fewer than ten events in the days before" }, "–");
  const rounded = Math.round(change * 100);
  if (!rounded) return el("span.soft", {}, "0%");
  return rounded > 0 ? el("span.move-up", {}, `▲ ${rounded}%`) : el("span.soft", {}, `▼ ${-rounded}%`);
}
