// Charts drawn by uPlot in the colours of the theme, each with a legend that follows the cursor and a table of its data.
import { add, el, fill } from "./dom.js";
import { exact } from "./format.js";

const uPlot = window.uPlot;
export const MAX_BANDS = 9; // the number of distinguishable colours
const MAX_ROWS = 40;
const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
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
    const details = el("details", {}, el("summary", {}, "As a table"), this.rows);
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

function axes(format, timeSpan) {
  const line = {
    stroke: colour("soft"),
    font: FONT,
    grid: { stroke: colour("line"), width: 1 },
    ticks: { show: false },
  };
  return [
    { ...line, grid: { show: false }, space: 70, size: 26, values: timeLabels(timeSpan) },
    {
      ...line,
      size: 46,
      space: 32,
      values: (_, splits) => splits.map((value) => (value === null ? "" : format(value))),
    },
  ];
}

function timeLabels(span) {
  const style =
    span > 300 * 86400000
      ? { month: "short", year: "numeric" }
      : span > 2 * 86400000
        ? { day: "numeric", month: "short" }
        : { hour: "2-digit", minute: "2-digit", second: span < 10 * 60000 ? "2-digit" : undefined, hour12: false };
  const shown = new Intl.DateTimeFormat("en", style);
  return (_, splits) => splits.map((ms) => shown.format(ms));
}

// A chart over time. `linesOf(data)`: the lines of legend and table, [{name, colour, values}]; `drawn(data)`: the uPlot
// options; `showsNewest`: the legend shows the newest values while the cursor is elsewhere.
function timeChart({ caption, format, height, showsNewest }, linesOf, drawn) {
  const build = (data) => {
    const { times, marks = [] } = data;
    const lines = linesOf(data);
    const valueAt = ({ values }, index) => {
      if (index !== null) return text(values[index], format);
      return showsNewest
        ? text(
            values.findLast((value) => value !== null),
            format,
          )
        : null;
    };
    const show = (index) =>
      fill(
        chart.legend,
        lines.map((line) => entry(line.colour, line.name, valueAt(line, index))),
        index === null ? null : el("li", {}, exact(times[index])),
      );
    show(null);
    const { columns, range, series, points } = drawn(data);
    return {
      columns: [times, ...columns],
      options: {
        cursor: { y: false, points, drag: { x: false, y: false } },
        scales: { x: { time: true }, y: { range } },
        axes: axes(format, times.at(-1) - times[0]),
        series: [{}, ...series],
        hooks: { setCursor: [(plot) => show(plot.cursor.idx ?? null)], draw: [(plot) => drawMarks(plot, marks)] },
      },
    };
  };
  const chart = new Chart(caption, height, build, (data) => numbers(caption, data.times, linesOf(data), format));
  return chart;
}

// Lines over time. `series`: [{name, colour, values, dashed}]; `marks`: [{time, colour}] are drawn as vertical lines.
export function lineChart({ caption, format, height = 170, area = false }) {
  return timeChart(
    { caption, format, height, showsNewest: true },
    ({ series }) => series,
    ({ series }) => ({
      columns: series.map((line) => line.values),
      range: (_, low, high) => [0, Math.max(high * 1.15, 1e-9) || 1],
      points: { size: 6 },
      series: series.map((line) => ({
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

// A stacked area chart of shares. `bands`: [{name, values}], largest first.
export function streamChart({ caption, format, height = 200 }) {
  return timeChart(
    { caption, format, height, showsNewest: false },
    ({ bands }) => bands.map((line, index) => ({ ...line, colour: line.colour ?? bandColour(index) })),
    ({ bands }) => {
      const tops = [];
      bands.forEach((band, index) =>
        tops.push(band.values.map((value, at) => (value ?? 0) + (index ? tops[index - 1][at] : 0))),
      );
      const top = Math.max(...tops.at(-1)) || 1;
      const order = bands.map((_, index) => index).reverse(); // top band first: each is painted over by the bands below
      return {
        columns: order.map((index) => tops[index]),
        range: () => [0, top],
        points: { show: false },
        series: order.map((index) => {
          const name = bands[index].colour ?? bandColour(index);
          return { stroke: colour("surface"), width: 1, fill: colour(name), points: { show: false } };
        }),
      };
    },
  );
}

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

const text = (value, format) => (value === null || value === undefined ? "–" : format(value));

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
function numbers(caption, times, lines, format) {
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
      lines.map(({ values }) => el("td.number", {}, text(values[index], format))),
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
