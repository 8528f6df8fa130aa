// Drift: a verdict for each signal, what changed since the period before, alarms, and the signals over time.
import { api } from "../api.js";
import { bandsOf, lineChart, streamChart } from "../charts.js";
import { el, fill } from "../dom.js";
import { ago, DAY_MS, moment, number, percent, plural, span, UNITS } from "../format.js";
import { badge, card, empty, head, stat, table, when } from "../parts.js";
import { LONGEST_MS } from "../range.js";
import { hitRate, openAlarms, retrainedAlarms, signalOf, SIGNALS } from "./drift_state.js";
import { changes, segmentTable } from "./interest_changes.js";

const PERIOD_S = 30;
const LEADING = 2; // signals that are shown whether they moved or not

export async function showDrift(visit) {
  const { range, signal, view } = visit;
  const stats = el("div.stats"),
    alarms = el("div"),
    earlier = el("p.soft.small"),
    mixNote = el("div"),
    changed = el("div"),
    segments = el("div"),
    verdicts = el("div"),
    signals = el("div.grid"),
    calm = el("div.grid"),
    calmCount = el("summary"),
    rest = el("details", {}, calmCount, calm),
    note = el("p.soft.small");
  const stream = streamChart({
    caption: "Share of each category in the events, over time",
    unit: UNITS.share,
    height: 240,
  });
  const charts = new Map();

  async function load() {
    const [since, until] = range.period();
    const [drift, report] = await Promise.all([
      api.drift({ days: range.days }, signal),
      api.interestReport({ since, until }, signal),
    ]);
    fill(stats, ...figures(drift));
    const shown = drift.alarms.filter((alarm) => alarm.status === "open" || alarm.detected >= since);
    fill(alarms, shown.length ? timeline({ ...drift, alarms: shown }) : empty(noAlarm(drift)));
    fill(earlier, earlierText(drift.alarms.filter((alarm) => !shown.includes(alarm)), until - LONGEST_MS));
    const marks = drift.alarms.map((alarm) => ({ time: alarm.onset, colour: "ink", label: alarm.text }));
    drawMix(report, marks);
    fill(changed, changes(report));
    fill(segments, segmentTable(report));
    fill(verdicts, verdictTable(drift));
    drawSignals(drift);
  }

  function drawMix({ categories, period }, marks) {
    const isEmpty = period.buckets.length < 2;
    fill(mixNote, isEmpty ? empty("The chart needs two time buckets with events.") : null);
    stream.node.hidden = note.hidden = isEmpty;
    if (isEmpty) return;
    const points = period.buckets.map(({ start, events }) => {
      const total = Object.values(events).reduce((sum, num) => sum + num, 0);
      return {
        time: start,
        shares: Object.fromEntries(Object.entries(events).map(([name, num]) => [name, num / total])),
      };
    });
    fill(note, `Time buckets of ${span(period.bucket_ms)}. A vertical line marks the probable onset of an alarm.`);
    const names = categories.map(({ name }) => name);
    stream.set({ ...bandsOf(names, points), marks, step: period.bucket_ms, range: [period.since, period.until] });
  }

  function drawSignals(drift) {
    const current = new Set();
    for (const series of ordered(drift.signals)) {
      const id = `${series.name}/${series.segment ?? ""}`;
      current.add(id);
      if (!charts.has(id)) charts.set(id, signalCard(series));
      const { node, chart } = charts.get(id);
      const marks = drift.alarms.filter((alarm) => alarm.signal === series.name && alarm.segment === series.segment);
      const place = marks.length || current.size <= LEADING ? signals : calm;
      if (node.parentElement !== place) place.append(node);
      chart.set({
        times: series.points.map((point) => point.end),
        // readings span an hour or more, so that the charts show a day at least
        range: [drift.now - range.days * DAY_MS, drift.now],
        series: [
          { name: "observed", colour: "c0", values: series.points.map((point) => point.value) },
          { name: "expected", colour: "other", values: series.points.map((point) => point.expected), dashed: true },
        ],
        marks: marks.flatMap((alarm) => [
          { time: alarm.onset, colour: "soft", label: "probable onset" },
          { time: alarm.detected, colour: "bad", label: "detected" },
        ]),
      });
    }
    for (const [id, { node }] of charts)
      if (!current.has(id)) {
        node.remove();
        charts.delete(id);
      }
    rest.hidden = !calm.childElementCount;
    fill(calmCount, `${plural(calm.childElementCount, "more signal")} without an alarm`);
  }

  await load();
  fill(
    view,
    head("Drift", "Changes of the event stream, and when they were detected."),
    stats,
    el(
      "div.grid",
      {},
      card("Verdicts", { about: "each signal's newest reading, against what was expected" }, verdicts),
      card("Categories", { where: "two-thirds", about: "shares of all events" }, mixNote, stream.node, note),
      el(
        "div.third.stack",
        {},
        card("What changed", { about: "beyond chance" }, changed),
        card("Segments", { about: "of all events, against the period before" }, segments),
      ),
      card("Alarms", { about: "newest first" }, alarms, earlier),
    ),
    el("div", { class: "spacer" }),
    signals,
    rest,
  );
  stream.redraw();
  charts.forEach(({ chart }) => chart.redraw());
  visit.every(PERIOD_S, load);
}

function figures(drift) {
  const open = openAlarms(drift).length;
  const retrained = retrainedAlarms(drift).length;
  const hits = hitRate(drift);
  return [
    stat(
      "Open alarms",
      number(open),
      retrained ? `${number(retrained)} more, a model was promoted since` : `${number(drift.alarms.length)} in total`,
      { kind: open ? "bad" : "" },
    ),
    stat("Hit rate", hits ? percent(hits.value, 1) : "–", hits ? hits.note : "no events scored yet"),
    stat(
      "Monitored through",
      drift.monitored_through === null ? "no events yet" : ago(drift.monitored_through, drift.now),
      drift.monitored_through === null ? "" : moment(drift.monitored_through),
      { words: true },
    ),
    stat("Monitor", drift.monitor ?? "none", drift.monitor ? "holds the lease" : "no process holds the lease", {
      words: true,
      kind: drift.monitor ? "" : "warn",
    }),
  ];
}

// One line for each signal of all events: whether it moved, and its newest reading.
function verdictTable(drift) {
  const overall = ordered(drift.signals).filter((series) => series.segment === null);
  if (!overall.length) return empty("No signal has a reading in this time.");
  const lasting = [...openAlarms(drift), ...retrainedAlarms(drift)];
  const rows = overall.map(({ name, points }) => {
    const { unit, name: title, about } = signalOf(name);
    const { value, expected } = points.at(-1);
    const alarms = lasting.filter((alarm) => alarm.signal === name);
    const own = alarms.find((alarm) => alarm.segment === null);
    const moved = alarms.map((alarm) => alarm.segment).filter((segment) => segment !== null);
    return [
      [el("strong", {}, title), el("div.soft.small", {}, about)],
      own ? movedBadge(own, drift.now) : badge("no alarm", "good"),
      unit.text(value),
      expected === null ? "–" : unit.text(expected),
      moved.length ? moved.map((segment) => segment.replace("=", " ")).join(", ") : el("span.soft", {}, "none"),
    ];
  });
  const columns = [["Signal"], ["Verdict", "keep"], ["Now", "number"], ["Expected", "number"], ["Segments that moved"]];
  const shown = lasting.some((alarm) => alarm.segment !== null) ? columns.length : columns.length - 1;
  return table(
    "Verdicts, by signal",
    columns.slice(0, shown),
    rows.map((row) => row.slice(0, shown)),
  );
}

function movedBadge(alarm, now) {
  const moved = `moved ${ago(alarm.onset, now)}`;
  return alarm.status === "open" ? badge(moved, "bad", alarm.text) : badge(`${moved}, retrained`, "warn", alarm.text);
}

// Where the alarms that the time range leaves out can be read.
function earlierText(alarms, longest) {
  const near = alarms.filter((alarm) => alarm.detected >= longest).length;
  const far = alarms.length - near;
  return [
    near ? `${plural(near, "earlier alarm")}: choose a longer time range to see ${near === 1 ? "it" : "them"}. ` : "",
    far ? `${plural(far, "alarm")} of more than a year ago: GET /v1/drift lists ${far === 1 ? "it" : "them"}.` : "",
  ];
}

function noAlarm(drift) {
  if (drift.monitored_through === null)
    return "No events have been read yet. The monitor reads them in time buckets of five minutes.";
  return "No alarms. Daily and weekly cycles are part of the baseline and raise none.";
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
          el("strong", {}, alarm.text),
          stateBadge(alarm),
        ),
        alarm.cause ? el("p", {}, sentence(alarm.cause)) : null,
        el(
          "p.soft.small",
          {},
          "Probably since ",
          el("span.keep", {}, moment(alarm.onset)),
          "; detected ",
          when(alarm.detected, drift.now),
          alarm.detected > alarm.onset ? `, ${span(alarm.detected - alarm.onset)} later` : "",
          alarm.sent === null ? "" : "; sent to the webhook",
          ".",
        ),
        el("p.soft.small", {}, response(alarm), ending(alarm)),
      ),
    ),
  );
}

function stateBadge(alarm) {
  if (alarm.status === "over") return badge("over", "", ENDINGS[alarm.ending]);
  if (alarm.status === "retrained") return badge("retrained", "good", "A model trained after the alarm was promoted.");
  return badge("open", "bad");
}

const ENDINGS = {
  recovered: "The signal is back at what was expected before.",
  "new normal": "The change lasted; it is what is expected now.",
  "new model": "Another model serves, whose loss is not comparable.",
  "events resumed": "Events arrive again.",
};

function response(alarm) {
  if (alarm.signal === "silence") return "";
  if (alarm.response === null) return "No training since. ";
  const { model_version: version, verdict, promoted } = alarm.response;
  const outcome = promoted !== null ? `promoted ${moment(promoted)}` : verdict ? `verdict: ${verdict}` : "not judged yet";
  return `Trained since: ${version}, ${outcome}. `;
}

const ending = (alarm) => (alarm.over === null ? "" : `Over since ${moment(alarm.over)}. ${ENDINGS[alarm.ending]}`);

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

// Overall signals first, in the order of SIGNALS; segments after them.
function ordered(signals) {
  const names = Object.keys(SIGNALS);
  const rank = (series) =>
    (series.segment === null ? 0 : 1000) + ((names.indexOf(series.name) + names.length + 1) % (names.length + 1));
  return signals
    .filter((series) => series.points.length > 1)
    .sort((series, other) => rank(series) - rank(other) || (series.segment ?? "").localeCompare(other.segment ?? ""));
}

function signalCard(series) {
  const { name, about, unit } = signalOf(series.name);
  const title = series.segment === null ? name : `${name}, ${series.segment.replace("=", " ")}`;
  const chart = lineChart({ caption: `${title} over time`, unit, height: 140 });
  return { chart, node: card(title, { where: "half", about }, chart.node) };
}
