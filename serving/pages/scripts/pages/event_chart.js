// The numbers of events over the time range, by type, with promotions and alarms marked.
import { lineChart } from "../charts.js";
import { moment, span, UNITS } from "../format.js";

const TYPES = 5; // the most frequent ones have a line each
const MARKS = { promotion: "good", rollback: "warn", alarm: "bad" };

export const marksOf = (timeline) =>
  timeline.marks.map(({ time, kind, text }) => ({ time, label: text, colour: MARKS[kind] }));

export const sum = (values) => values.reduce((total, value) => total + value, 0);
export const numEvents = (timeline) => sum(Object.values(timeline.events).map(sum));

// A step that runs would look like a fall.
const isOver = (start, { now, step_ms: step }) => start + step <= now;

// {node, show(timeline), redraw()}.
export function eventChart() {
  const chart = lineChart({ caption: "Events over time, by type", unit: UNITS.count, atRest: sum });
  function show(timeline) {
    const times = timeline.time.filter((start) => isOver(start, timeline));
    const types = Object.entries(timeline.events).sort(([, nums], [, others]) => sum(others) - sum(nums));
    chart.set({
      times,
      range: [timeline.since, timeline.until],
      marks: marksOf(timeline),
      series: (types.length ? types : [["events", times.map(() => 0)]])
        .slice(0, TYPES)
        .map(([name, nums], index) => ({ name, colour: `c${index}`, values: nums.slice(0, times.length) })),
    });
  }
  return { node: chart.node, show, redraw: () => chart.redraw() };
}

// What the chart shows, and what of the timeline it leaves out.
export function stepText(timeline) {
  const num = timeline.time.filter((start) => isOver(start, timeline)).length;
  const drawn = num ? `, drawn to ${moment(timeline.time[num - 1] + timeline.step_ms)}, the end of the last full step` : "";
  const types = Object.keys(timeline.events).length > TYPES ? `, the ${TYPES} most frequent types` : "";
  return `events per ${span(timeline.step_ms).replace(/^1 /, "")}${types}${drawn}`;
}
