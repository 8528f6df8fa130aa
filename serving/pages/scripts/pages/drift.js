// What moves: alarms on a timeline, the mix of categories, and the signals behind the alarms.
import { api } from "../api.js";
import { lineChart, streamChart } from "../charts.js";
import { el, fill } from "../dom.js";
import { ago, moment, number, percent, span } from "../format.js";
import { badge, card, empty, head, stat, when } from "../parts.js";
import { bandsOf } from "./bands.js";
import { alarmTitle, hitRate, signalOf, SIGNALS } from "./drift_state.js";

const PERIOD_S = 30;
const SPANS = [
  [1, "a day"],
  [7, "a week"],
  [30, "30 days"],
  [90, "90 days"],
  [365, "a year"],
];

export async function showDrift(visit) {
  const { signal, view } = visit;
  const stats = el("div.stats"),
    alarms = el("div"),
    mixState = el("div"),
    signals = el("div.grid"),
    about = el("p.soft.small");
  const stream = streamChart({
    caption: "Share of each category in the events, over time",
    format: (share) => percent(share),
    height: 240,
  });
  const choice = el(
    "select",
    { id: "days", onchange: () => load() },
    SPANS.map(([days, text]) => el("option", { value: days }, text)),
  );
  choice.value = "30";
  const charts = new Map();

  async function load() {
    const days = Number(choice.value);
    const [drift, mix] = await Promise.all([api.drift({ days }, signal), api.categoryMix({ days }, signal)]);
    fill(stats, ...figures(drift));
    fill(
      alarms,
      drift.alarms.length
        ? timeline(drift)
        : empty(
            drift.monitored_through === null
              ? "Nothing has been read yet. Once events come in, the monitor reads them in stretches of five minutes."
              : "No alarm. Daily and weekly rhythm is expected, and raises none.",
          ),
    );
    const marks = drift.alarms.map((alarm) => ({ time: alarm.onset, colour: "ink" }));
    drawMix(mix, marks);
    drawSignals(drift);
  }

  function drawMix(mix, marks) {
    const isEmpty = mix.buckets.length < 2;
    fill(mixState, isEmpty ? empty("Two stretches with events are needed to draw a stream.") : null);
    stream.node.hidden = about.hidden = isEmpty;
    if (isEmpty) return;
    const points = mix.buckets.map(({ start, events }) => {
      const total = Object.values(events).reduce((sum, num) => sum + num, 0);
      return {
        time: start,
        shares: Object.fromEntries(Object.entries(events).map(([name, num]) => [name, num / total])),
      };
    });
    fill(about, `Stretches of ${span(mix.bucket_ms)}. An upright line marks the probable onset of an alarm.`);
    stream.set({ ...bandsOf(mix.categories, points), marks });
  }

  function drawSignals(drift) {
    const known = new Set();
    for (const one of ordered(drift.signals)) {
      const id = `${one.name}/${one.segment ?? ""}`;
      known.add(id);
      if (!charts.has(id)) charts.set(id, signalCard(one));
      const { node, chart } = charts.get(id);
      if (!node.isConnected) signals.append(node);
      const marks = drift.alarms.filter((alarm) => alarm.signal === one.name && alarm.segment === one.segment);
      chart.set({
        times: one.points.map((point) => point.end),
        series: [
          { name: "was", colour: "c0", values: one.points.map((point) => point.value) },
          { name: "expected", colour: "other", values: one.points.map((point) => point.expected), dashed: true },
        ],
        marks: marks.flatMap((alarm) => [
          { time: alarm.onset, colour: "soft" },
          { time: alarm.detected, colour: "bad" },
        ]),
      });
    }
    for (const [id, { node }] of charts)
      if (!known.has(id)) {
        node.remove();
        charts.delete(id);
      }
  }

  await load();
  fill(
    view,
    head(
      "Drift",
      "Where everybody's interest moves, and when that was noticed.",
      el("label", { for: "days" }, "The last"),
      choice,
    ),
    stats,
    el(
      "div.grid",
      {},
      card("Categories", { where: "two-thirds", about: "shares of all events" }, mixState, stream.node, about),
      card("Alarms", { where: "third", about: "newest first" }, alarms),
    ),
    el("div", { class: "spacer" }),
    signals,
  );
  stream.redraw();
  charts.forEach(({ chart }) => chart.redraw());
  visit.every(PERIOD_S, load);
}

function figures(drift) {
  const open = drift.alarms.filter((alarm) => alarm.status === "open").length;
  const hits = hitRate(drift);
  return [
    stat(
      "Open alarms",
      number(open),
      open ? `of ${number(drift.alarms.length)} in all` : `${number(drift.alarms.length)} in all`,
      { kind: open ? "bad" : "" },
    ),
    stat("Hit rate", hits ? percent(hits.value, 1) : "–", hits ? hits.note : "no events scored yet"),
    stat(
      "Read to",
      drift.monitored_through === null ? "nothing yet" : ago(drift.monitored_through, drift.now),
      drift.monitored_through === null ? "" : moment(drift.monitored_through),
      { words: true },
    ),
    stat(
      "Monitor",
      drift.monitor ?? "nobody",
      drift.monitor ? "holds the lease" : "no process monitors at the moment",
      { words: true, kind: drift.monitor ? "" : "warn" },
    ),
  ];
}

function timeline(drift) {
  return el(
    "ol.alarms",
    { "aria-label": "Alarms, newest first" },
    drift.alarms.map((alarm) =>
      el(
        "li",
        {},
        el(
          "div.row.spread",
          {},
          el("strong", {}, alarmTitle(alarm)),
          alarm.status === "open" ? badge("open", "bad") : badge("retrained", "good", "A model trained after the alarm serves."),
        ),
        alarm.cause ? el("p", {}, sentence(alarm.cause)) : null,
        el(
          "p.soft.small",
          {},
          "Probably since ",
          el("span.keep", {}, moment(alarm.onset)),
          "; noticed ",
          when(alarm.detected, drift.now),
          alarm.detected > alarm.onset ? `, ${span(alarm.detected - alarm.onset)} later` : "",
          alarm.sent === null ? "" : "; told to the webhook",
        ),
      ),
    ),
  );
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

// Those for everybody first, in the order in which they are described; segments after them.
function ordered(signals) {
  const names = Object.keys(SIGNALS);
  const place = (one) =>
    (one.segment === null ? 0 : 1000) + ((names.indexOf(one.name) + names.length + 1) % (names.length + 1));
  return signals
    .filter((one) => one.points.length > 1)
    .sort((one, other) => place(one) - place(other) || (one.segment ?? "").localeCompare(other.segment ?? ""));
}

function signalCard(one) {
  const { name, about, format } = signalOf(one.name);
  const title = one.segment === null ? name : `${name}, ${one.segment.replace("=", " ")}`;
  const chart = lineChart({ caption: `${title} over time`, format, height: 140 });
  return { chart, node: card(title, { where: "half", about }, chart.node) };
}
