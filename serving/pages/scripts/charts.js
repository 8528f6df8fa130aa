// Charts drawn by uPlot in the colours of the theme, each with a legend that follows the cursor and a table of its data.
import { saveButtons } from "./chart_files.js";
import { add, el, fill } from "./dom.js";
import { clock, day, DAY_MS, exact, month, seconds, year } from "./format.js";

const uPlot = window.uPlot;
export const MAX_BANDS = 9; // the number of distinguishable colours
const MAX_ROWS = 40;
const MINUTE_MS = 60000;
const GAP = 1.5; // steps without a point, from which on a line is interrupted
const NEAR_PX = 12; // how close the cursor must be to a mark to read it
const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const WHOLE_STEPS = [...Array(10).keys()].flatMap((power) => [1, 2, 5].map((step) => step * 10 ** power));
const DAY_STEPS = [1, 2, 3, 7, 14, 30, 60, 90, 180, 365].map((days) => days * DAY_MS); // between ticks of daily points
const live = new Set();

// A colour of the style sheet, resolved for the canvas.
function colour(name, alpha = 1) {
  const probe = el("span", { hidden: true });
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return alpha === 1 ? value : value.replace(/^rgb\((.*)\)$/, `rgba($1, ${alpha})`);
}

const bandColour = (index) => (index < MAX_BANDS ? `c${index}` : "other");

// Shares by topic over time as bands of a stream chart: the largest topics, and "other" for the rest.
// `points`: [{time, shares: {topic: share}}], oldest first; `topics`: largest first.
export function bandsOf(topics, points) {
  const named = topics.slice(0, MAX_BANDS);
  const bands = named.map((name) => ({ name, values: points.map((point) => point.shares[name] ?? 0) }));
  const rest = points.map((_, index) => Math.max(0, 1 - bands.reduce((sum, band) => sum + band.values[index], 0)));
  if (rest.some((share) => share > 0.005)) bands.push({ name: "other", values: rest, colour: "other" });
  return { bands, times: points.map((point) => point.time) };
}

document.addEventListener("themechange", () => live.forEach((chart) => chart.redraw()));
new MutationObserver(() => live.forEach((chart) => chart.isGone() && chart.drop())).observe(document, {
  childList: true,
  subtree: true,
});

class Chart {
  constructor(caption, height, build, table) {
    this.build = build;
    this.height = height;
    this.plot = el("div.plot", { role: "img", "aria-label": caption });
    this.legend = el("ul.legend", { "aria-hidden": "true" });
    this.rows = el("div");
    const details = el("details", {}, el("summary", {}, "As a table or file"), this.rows);
    details.addEventListener("toggle", () => {
      if (details.open) fill(this.rows, table(this.data));
    });
    this.details = details;
    this.table = table;
    this.node = el("figure.chart", {}, this.plot, this.legend, details);
    this.wasShown = false;
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.plot);
    live.add(this);
  }

  set(data) {
    this.data = data;
    if (this.details.open) fill(this.rows, this.table(data));
    this.redraw();
  }

  redraw() {
    if (!this.data || !this.plot.clientWidth) return;
    this.drawn?.destroy();
    this.width = this.plot.clientWidth;
    this.plot.style.minHeight = this.height + "px";
    const { options, columns } = this.build(this.data);
    this.drawn = new uPlot(
      { width: this.width, height: this.height, legend: { show: false }, ms: 1, ...options },
      columns,
      this.plot,
    );
  }

  get canvas() {
    return this.plot.querySelector("canvas");
  }

  resize() {
    this.wasShown = true;
    if (this.plot.clientWidth !== this.width) this.redraw();
  }

  isGone() {
    return this.wasShown && !this.node.isConnected;
  }

  drop() {
    this.observer.disconnect();
    this.drawn?.destroy();
    this.drawn = null;
    live.delete(this);
  }
}

function axes(unit, step) {
  const line = {
    stroke: colour("soft"),
    font: FONT,
    grid: { stroke: colour("line"), width: 1 },
    ticks: { show: false },
  };
  return [
    {
      ...line,
      grid: { show: false },
      space: 70,
      size: 38,
      ...(step >= DAY_MS && { incrs: DAY_STEPS }),
      values: timeLabels,
    },
    {
      ...line,
      size: (_, labels) => 18 + 6.5 * Math.max(3, ...(labels ?? []).map((label) => label.length)),
      space: 26,
      ...(unit.isWhole && { incrs: WHOLE_STEPS }),
      values: (_, splits, axis, space, step) => splits.map((value) => (value === null ? "" : unit.tick(value, step))),
    },
  ];
}

// Two lines: what changes from tick to tick, and below it the day or the year where that changes.
function timeLabels(_, splits, axis, space, step) {
  const [fine, coarse] =
    step < MINUTE_MS ? [seconds, day] : step < DAY_MS ? [clock, day] : step < 28 * DAY_MS ? [day, year] : [month, year];
  let shown = coarse === year ? year.format(Date.now()) : null; // this year goes without saying
  return splits.map((ms) => {
    const period = coarse.format(ms);
    const label = period === shown ? fine.format(ms) : `${fine.format(ms)}\n${period}`;
    shown = period;
    return label;
  });
}

// The points with nulls where some are missing, so that lines and bands are interrupted there. `step`: ms between points.
function interrupted(times, lines, step) {
  const after = new Set(times.map((_, index) => index).filter((index) => step && times[index + 1] - times[index] > GAP * step));
  if (!after.size) return { times, lines };
  const insert = (values, missing) =>
    values.flatMap((value, index) => (after.has(index) ? [value, missing(index)] : [value]));
  return {
    times: insert(times, (index) => times[index] + step),
    lines: lines.map((line) => ({ ...line, values: insert(line.values, () => null) })),
  };
}

// A chart over time. Its data: `marks`, [{time, label, colour}], are drawn as vertical lines; `range`, [from, to] in ms,
// else from the first to the last point; `step`, ms between points, where missing points are to be seen.
// `linesOf(data)`: the lines of legend and table, [{name, colour, values}]; `drawn(lines)`: the uPlot options;
// `atRest(values)`: what the legend shows while the cursor is elsewhere, if anything. `unit`: see format.js.
function timeChart({ caption, unit, height, atRest }, linesOf, drawn) {
  const build = (data) => {
    const { marks = [], range: timeRange } = data;
    const { times, lines } = interrupted(data.times, linesOf(data), data.step);
    const valueAt = ({ values }, index) => {
      if (index !== null) return text(values[index], unit);
      return atRest ? text(atRest(values), unit) : null;
    };
    const show = (index, near = []) =>
      fill(
        chart.legend,
        lines.map((line) => entry(line.colour, line.name, valueAt(line, index))),
        index === null ? null : el("li", {}, exact(times[index])),
        near.map((mark) => el("li.mark", {}, mark.label)),
      );
    show(null);
    const follow = (plot) => show(plot.cursor.idx ?? null, marksNear(plot, marks));
    const { columns, range, series, points, bands } = drawn(lines);
    return {
      columns: [times, ...columns],
      options: {
        cursor: { y: false, points, drag: { x: false, y: false } },
        scales: { x: { time: true, ...(timeRange && { range: () => timeRange }) }, y: { range } },
        axes: axes(unit, data.step),
        series: [{}, ...series],
        bands,
        hooks: { setCursor: [follow], draw: [(plot) => drawMarks(plot, marks)] },
      },
    };
  };
  const chart = new Chart(caption, height, build, (data) => [
    numbers(caption, data.times, linesOf(data), unit),
    markList(caption, data.marks ?? []),
  ]);
  const shown = () => ({ times: chart.data.times, lines: linesOf(chart.data), canvas: chart.canvas, colour });
  chart.details.append(saveButtons(caption, shown));
  return chart;
}

const newest = (values) => values.findLast((value) => value !== null);

// Lines over time. `series`: [{name, colour, values, dashed}].
export function lineChart({ caption, unit, height = 170, area = false, atRest = newest }) {
  return timeChart(
    { caption, unit, height, atRest },
    ({ series }) => series,
    (lines) => ({
      columns: lines.map((line) => line.values),
      range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.15 : 1],
      points: { size: 6 },
      series: lines.map((line) => ({
        stroke: colour(line.colour),
        width: 1.5,
        dash: line.dashed ? [5, 4] : undefined,
        points: { size: 5, space: 12 },
        fill: area ? colour(line.colour, 0.12) : undefined,
        spanGaps: false,
      })),
    }),
  );
}

// Estimates with intervals over time, as lines within bands. `estimates`: [{name, colour, points: [{mean, low, high} or null]}].
export function intervalChart({ caption, unit, height = 200 }) {
  const BOUNDS = [
    ["", "mean"],
    [": lower bound", "low"],
    [": upper bound", "high"],
  ];
  return timeChart(
    { caption, unit, height, showsNewest: true },
    ({ estimates }) =>
      estimates.flatMap(({ name, colour, points }) =>
        BOUNDS.map(([bound, key]) => ({
          name: name + bound,
          colour,
          isBound: bound !== "",
          values: points.map((point) => point?.[key] ?? null),
        })),
      ),
    (lines) => ({
      columns: lines.map((line) => line.values),
      range: (_, low, high) => [Math.min(0, low ?? 0) * 1.1, Math.max(0, high ?? 0) * 1.1 || 1],
      points: { size: 6 },
      series: lines.map((line) => ({
        stroke: colour(line.colour, line.isBound ? 0.5 : 1),
        width: line.isBound ? 1 : 1.5,
        points: { size: 5, space: 12, show: !line.isBound },
        spanGaps: false,
      })),
      bands: lines.flatMap((line, index) =>
        line.isBound ? [] : [{ series: [index + 3, index + 2], fill: colour(line.colour, 0.12) }],
      ),
    }),
  );
}

// A stacked area chart of shares. `bands`: [{name, values}], largest first.
export function streamChart({ caption, unit, height = 200 }) {
  return timeChart(
    { caption, unit, height },
    ({ bands }) => bands.map((line, index) => ({ ...line, colour: line.colour ?? bandColour(index) })),
    (lines) => {
      const tops = [];
      lines.forEach((line, index) =>
        tops.push(line.values.map((value, at) => (value === null ? null : value + (index ? tops[index - 1][at] : 0)))),
      );
      const top = Math.max(...tops.at(-1)) || 1;
      const order = lines.map((_, index) => index).reverse(); // top band first: each is painted over by the bands below
      return {
        columns: order.map((index) => tops[index]),
        range: () => [0, top],
        points: { show: false },
        series: order.map((index) => ({
          stroke: colour("surface"),
          width: 1,
          fill: colour(lines[index].colour),
          points: { show: false },
        })),
      };
    },
  );
}

const marksNear = (plot, marks) =>
  marks.filter((mark) => Math.abs(plot.valToPos(mark.time, "x") - (plot.cursor.left ?? -1e9)) < NEAR_PX);

const markList = (caption, marks) =>
  marks.length
    ? el(
        "ul.small.soft",
        { "aria-label": `${caption}: marks` },
        marks.map((mark) => el("li", {}, `${exact(mark.time)}: ${mark.label}`)),
      )
    : null;

function drawMarks(plot, marks) {
  const { ctx, bbox } = plot;
  ctx.save();
  for (const mark of marks) {
    const x = plot.valToPos(mark.time, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.strokeStyle = colour(mark.colour || "bad");
    ctx.lineWidth = 2;
    ctx.setLineDash([4, 3]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

const text = (value, unit) => (value === null || value === undefined ? "–" : unit.text(value));

function entry(swatch, name, value) {
  return el(
    "li",
    {},
    el("span.swatch", { class: swatch }),
    el("span.label", { title: name }, name),
    value === null ? null : el("b", {}, value),
  );
}

// The data as a table for screen readers, thinned out if long.
function numbers(caption, times, lines, unit) {
  const step = Math.max(1, Math.ceil(times.length / MAX_ROWS));
  const indices = times
    .map((_, index) => index)
    .filter((index) => (times.length - 1 - index) % step === 0)
    .reverse();
  const body = indices.map((index) =>
    el(
      "tr",
      {},
      el("td.keep", {}, exact(times[index])),
      lines.map(({ values }) => el("td.number", {}, text(values[index], unit))),
    ),
  );
  const header = el(
    "tr",
    {},
    el("th", { scope: "col" }, "Time"),
    lines.map(({ name }) => el("th.number", { scope: "col" }, name)),
  );
  return add(
    el("div.scroll", { tabindex: "0", role: "region", "aria-label": caption + ", as a table" }),
    el("table", {}, el("caption.unseen", {}, caption), el("thead", {}, header), el("tbody", {}, body)),
  );
}
