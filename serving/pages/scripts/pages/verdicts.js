// The gate's verdicts: each with what was compared, as intervals on one scale and as a table.
import { lineChart } from "../charts.js";
import { el } from "../dom.js";
import { plural, UNITS } from "../format.js";
import { intervals } from "../intervals.js";
import { badge, empty, table, when } from "../parts.js";

const KINDS = { promote: "good", refuse: "bad", undecided: "warn" };

export function verdicts(name, trials) {
  if (!trials.length) return null;
  return el(
    "ul.verdicts",
    { "aria-label": "Verdicts of the gate" },
    trials.map((trial) =>
      el(
        "li",
        {},
        badge(trial.verdict, KINDS[trial.verdict] ?? ""),
        " ",
        el("span", {}, trial.reason),
        el(
          "span.soft.small",
          {},
          ` · ${plural(trial.events ?? 0, "event")}${trial.users ? ` of ${plural(trial.users, "user")}` : ""}, `,
          when(trial.time, Date.now()),
        ),
        comparisons(name, trial.compared ?? []),
      ),
    ),
  );
}

// NDCG@10 of the challenger and of each model or baseline that it was compared with; none in trials of earlier versions.
function comparisons(name, compared) {
  if (!compared.length) return null;
  return [
    intervals(
      "NDCG@10 with 95% intervals",
      compared.map((line) => ({ name: line.name, ...line.ndcg_10 })),
      (value) => value.toFixed(3),
    ),
    el(
      "details",
      {},
      el("summary", {}, "Comparison"),
      table(
        `NDCG@10 of ${name} and of others, with 95% intervals`,
        [["Compared"], ["NDCG@10"], ["Difference"]],
        compared.map((line) => [line.name, text(line.ndcg_10), line.difference ? text(line.difference) : "–"]),
      ),
    ),
  ];
}

const text = ({ mean, low, high }) => `${mean.toFixed(4)} [${low.toFixed(4)}, ${high.toFixed(4)}]`;

// NDCG@10 of each challenger and of the champion that it was compared with, in the order of the trials.
export function learningCurve() {
  const chart = lineChart({ caption: "NDCG@10 of challengers and champions on held-out events", unit: UNITS.plain });
  const none = empty("The curve begins with the second verdict of the gate.");
  const value = (trial, name) => trial.compared.find((line) => line.name === name)?.ndcg_10.mean ?? null;
  function show(models, marks) {
    const trials = models
      .flatMap((model) => model.lineage.trials ?? [])
      .filter((trial) => trial.compared?.length)
      .sort((one, other) => one.time - other.time);
    chart.node.hidden = trials.length < 2;
    none.hidden = !chart.node.hidden;
    if (chart.node.hidden) return;
    chart.set({
      times: trials.map((trial) => trial.time),
      marks,
      series: [
        { name: "challenger", colour: "c0", values: trials.map((trial) => value(trial, "challenger")) },
        { name: "champion", colour: "other", values: trials.map((trial) => value(trial, "champion")), dashed: true },
      ].filter((line) => line.values.some((number) => number !== null)),
    });
  }
  return { nodes: [none, chart.node], show, redraw: () => chart.redraw() };
}
