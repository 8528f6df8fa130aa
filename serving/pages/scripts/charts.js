// Charts by uPlot, in the colours of the theme, each with a legend that follows the cursor and a table of its numbers.
import { add, el, fill } from "./dom.js";
import { exact } from "./format.js";

const uPlot = window.uPlot;
export const MAX_BANDS = 9; // as many as there are colours that can be told apart
const MAX_ROWS = 40;
const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const live = new Set();

// A colour of the style sheet as the canvas needs it.
function colour(name, alpha = 1) {
  const probe = el("span", { hidden: true });
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return alpha === 1 ? value : value.replace(/^rgb\((.*)\)$/, `rgba($1, ${alpha})`);
}

const bandColour = (place) => (place < MAX_BANDS ? `c${place}` : "other");

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

// A chart over time. `linesOf(data)`: what the legend and the table tell, [{name, colour, values}]; `drawn(data)`: how
// uPlot draws it; `tellsNewest`: the legend has the newest values while nothing is pointed at.
function timeChart({ caption, format, height, tellsNewest }, linesOf, drawn) {
  const build = (data) => {
    const { times, marks = [] } = data;
    const lines = linesOf(data);
    const valueAt = ({ values }, place) => {
      if (place !== null) return text(values[place], format);
      return tellsNewest ? text(values.findLast((value) => value !== null), format) : null;
    };
    const show = (place) =>
      fill(
        chart.legend,
        lines.map((line) => entry(line.colour, line.name, valueAt(line, place))),
        place === null ? null : el("li", {}, exact(times[place])),
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

// Lines over time. `series`: [{name, colour, values, dashed}]; `marks`: [{time, colour}] are drawn as upright lines.
export function lineChart({ caption, format, height = 170, area = false }) {
  return timeChart(
    { caption, format, height, tellsNewest: true },
    ({ series }) => series,
    ({ series }) => ({
      columns: series.map((one) => one.values),
      range: (_, low, high) => [0, Math.max(high * 1.15, 1e-9) || 1],
      points: { size: 6 },
      series: series.map((one) => ({
        stroke: colour(one.colour),
        width: 1.5,
        dash: one.dashed ? [5, 4] : undefined,
        points: { size: 5, space: 12 },
        fill: area ? colour(one.colour, 0.12) : undefined,
        spanGaps: false,
      })),
    }),
  );
}

// Shares of the whole over time, one band above the other. `bands`: [{name, values}], the strongest first.
export function streamChart({ caption, format, height = 200 }) {
  return timeChart(
    { caption, format, height, tellsNewest: false },
    ({ bands }) => bands.map((one, place) => ({ ...one, colour: one.colour ?? bandColour(place) })),
    ({ bands }) => {
      const tops = [];
      bands.forEach((band, place) =>
        tops.push(band.values.map((value, at) => (value ?? 0) + (place ? tops[place - 1][at] : 0))),
      );
      const top = Math.max(...tops.at(-1)) || 1;
      const order = bands.map((_, place) => place).reverse(); // the highest first: each covers what lies below its top
      return {
        columns: order.map((place) => tops[place]),
        range: () => [0, top],
        points: { show: false },
        series: order.map((place) => {
          const name = bands[place].colour ?? bandColour(place);
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

// The same numbers for those who cannot see the lines, thinned out where there are many.
function numbers(caption, times, lines, format) {
  const step = Math.max(1, Math.ceil(times.length / MAX_ROWS));
  const places = times
    .map((_, place) => place)
    .filter((place) => (times.length - 1 - place) % step === 0)
    .reverse();
  const body = places.map((place) =>
    el(
      "tr",
      {},
      el("td.keep", {}, exact(times[place])),
      lines.map(({ values }) => el("td.number", {}, text(values[place], format))),
    ),
  );
  const heading = el(
    "tr",
    {},
    el("th", { scope: "col" }, "Time"),
    lines.map(({ name }) => el("th.number", { scope: "col" }, name)),
  );
  return add(
    el("div.scroll", { tabindex: "0", role: "region", "aria-label": caption + ", as a table" }),
    el("table", {}, el("caption.unseen", {}, caption), el("thead", {}, heading), el("tbody", {}, body)),
  );
}
