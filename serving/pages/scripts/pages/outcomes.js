// Outcomes: what became of recommendations, over time and by scenario, arm, model version or position.
import { api } from "../api.js";
import { lineChart } from "../charts.js";
import { el, fill } from "../dom.js";
import { DAY_MS, interval, money, number, percent, plural, UNITS } from "../format.js";
import { card, empty, head, stat, table } from "../parts.js";
import { experimentHref } from "./experiment_words.js";

const PERIOD_S = 30;
const GROUPS = [
  ["scenario", "scenario"],
  ["arm", "arm of an experiment"],
  ["model", "model version"],
  ["position", "position"],
];
const COLUMNS = [
  ["Group", "keep"],
  ["Shown", "number"],
  ["Clicks", "number"],
  ["Click-through rate", "number"],
  ["Bought", "number"],
  ["Conversion rate", "number"],
  ["Revenue", "number"],
  ["Per answer", "number"],
];
const COLUMNS_OF_USERS = [
  ["Users", "number"],
  ["Per user", "number"],
];

export async function showOutcomes(visit) {
  const { range, signal, view } = visit;
  const stats = el("div.stats"),
    note = el("div"),
    groups = el("div");
  const chart = lineChart({
    caption: "Click-through and conversion rate by day",
    unit: UNITS.share,
    height: 220,
  });
  const grouping = choice("by", GROUPS, "scenario");
  const perUser = el("input", { id: "per-user", type: "checkbox", onchange: () => load() });

  function choice(id, options, value) {
    const select = el(
      "select",
      { id, onchange: () => load() },
      options.map(([name, text]) => el("option", { value: name }, text)),
    );
    select.value = value;
    return select;
  }

  async function load() {
    const [since, until] = range.wholeDays();
    const period = { since, until };
    const [byDay, byGroup] = await Promise.all([
      api.outcomes({ by: "day", ...period }, signal),
      api.outcomes({ by: grouping.value, ...period, per: perUser.checked ? "user" : "answer" }, signal),
    ]);
    fill(stats, ...figures(byDay.total, byDay.impressions));
    drawDays(byDay.rows);
    fill(
      groups,
      byGroup.rows.length
        ? groupTable(byGroup, perUser.checked && grouping.value !== "position")
        : empty("No recommendations in these days."),
    );
  }

  function drawDays(rows) {
    const isEmpty = rows.length < 2;
    fill(note, isEmpty ? empty("The chart needs two days with recommendations.") : null);
    chart.node.hidden = isEmpty;
    if (isEmpty) return;
    const values = (name) => rows.map((row) => row[name]?.value ?? null);
    chart.set({
      times: rows.map((row) => Date.parse(row.group)),
      step: DAY_MS,
      series: [
        { name: "click-through rate", colour: "c0", values: values("ctr") },
        { name: "conversion rate", colour: "c1", values: values("conversion_rate") },
      ],
      marks: [],
    });
  }

  await load();
  fill(
    view,
    head(
      "Outcomes",
      `What was shown, clicked and bought: ${range.wholeDaysName}.`,
      el("label", { for: "by" }, "by"),
      grouping,
      el("label", { for: "per-user", title: "Reads all answers of these days" }, perUser, " revenue per user"),
    ),
    stats,
    card("By day", { about: "days of the recommendations, UTC" }, note, chart.node),
    el("div", { class: "spacer" }),
    card("Groups", { about: "rates and mean revenue with their 95% intervals" }, groups),
  );
  chart.redraw();
  visit.every(PERIOD_S, load);
}

function figures(total, impressions) {
  const source = impressions === "client" ? "items with an event that proves it" : "all items of all lists";
  return [
    stat("Items shown", number(total.impressions), source),
    stat("Click-through rate", percent(total.ctr?.value, 2), clicks(total)),
    stat("Conversion rate", percent(total.conversion_rate?.value, 2), plural(total.conversions, "item") + " bought"),
    stat("Revenue", money(total.revenue), revenueNote(total)),
    stat("Coverage", percent(total.coverage), `${plural(total.items, "item")} shown`),
    stat(
      "New items",
      percent(total.new_share),
      total.novelty === null ? "" : `novelty ${total.novelty.toFixed(1)} bits per item`,
    ),
  ];
}

const clicks = (total) => (total.ctr ? `${number(total.clicks)} clicked, ${interval(total.ctr, 2)}` : "nothing shown");

function groupName(group, by) {
  if (group === "") return "default";
  return by === "arm" ? el("a", { href: experimentHref(group.split("/")[0]) }, group) : String(group);
}

function groupTable({ by, rows }, hasUsers) {
  const columns = hasUsers ? [...COLUMNS, ...COLUMNS_OF_USERS] : COLUMNS;
  return table(
    `Outcomes by ${by}`,
    columns,
    rows.map((row) => (hasUsers ? [...cells(row, by), ...userCells(row)] : cells(row, by))),
  );
}

const userCells = (row) => [number(row.users), meanRevenue(row.revenue_per_user)];

function cells(row, by) {
  return [
    groupName(row.group, by),
    number(row.impressions),
    number(row.clicks),
    withInterval(row.ctr),
    number(row.conversions),
    withInterval(row.conversion_rate),
    money(row.revenue),
    meanRevenue(row.revenue_per_answer),
  ];
}

function revenueNote({ revenue_interval: bounds, revenue_per_answer: mean }) {
  if (!bounds) return "value of attributed purchases";
  return `${money(bounds.low)} to ${money(bounds.high)}, ${mean.value.toFixed(3)} per answer`;
}

function meanRevenue(mean) {
  if (!mean) return "–";
  const bounds = `(${mean.low.toFixed(3)} to ${mean.high.toFixed(3)})`;
  return el("span", {}, mean.value.toFixed(3), " ", el("span.soft.small", {}, bounds));
}

function withInterval(rate) {
  if (!rate) return "–";
  return el("span", {}, percent(rate.value, 2), " ", el("span.soft.small", {}, `(${interval(rate, 2)})`));
}
