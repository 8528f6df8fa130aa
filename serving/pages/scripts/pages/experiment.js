// One experiment: its state, its arms compared with the control, and how the difference developed.
import { api } from "../api.js";
import { intervalChart } from "../charts.js";
import { announce, el, fill, joined } from "../dom.js";
import { DAY_MS, number, percent } from "../format.js";
import { intervals } from "../intervals.js";
import { action, badge, card, confirmed, empty, facts, head, stat, table } from "../parts.js";
import { DEFAULT_METRIC, judgementKind, METRICS, period, requests, sampleRatio, stateKind, verdict } from "./experiment_words.js";

const PERIOD_S = 30;
const AUTHOR = { author: "dashboard" };
const COLUMNS = [["Arm", "keep"], ["Answers with"], ["Share", "number"], ["Users", "number"], ["Answers", "number"]];

export async function showExperiment(visit) {
  const { id: name, signal, view } = visit;
  const top = el("div"),
    result = el("div"),
    arms = el("div"),
    note = el("div"),
    definition = el("div");
  const metric = METRICS[(await api.experiment(name, signal)).definition.metric ?? DEFAULT_METRIC];
  const chart = intervalChart({ caption: `Difference in ${metric.name} to the control, by day`, unit: metric.unit, height: 220 });

  async function load() {
    const [experiment, results] = await Promise.all([api.experiment(name, signal), api.experimentResults(name, signal)]);
    fill(top, heading(experiment), figures(experiment, results));
    fill(result, ...comparison(results, metric));
    fill(arms, armTable(results));
    fill(definition, terms(experiment));
    drawDays(results);
  }

  function drawDays({ days, arms: [, ...others] }) {
    const shown = days.filter((each) => Object.values(each.differences).some(Boolean));
    chart.node.hidden = shown.length < 2;
    fill(note, shown.length < 2 ? empty("The chart needs two days with an interval.") : null);
    if (chart.node.hidden) return;
    chart.set({
      times: shown.map((each) => Date.parse(each.day)),
      step: DAY_MS,
      estimates: others.map((arm, index) => ({
        name: arm.name,
        colour: `c${index}`,
        points: shown.map((each) => each.differences[arm.name]),
      })),
    });
  }

  const heading = ({ state, definition: { description } }) =>
    head(
      name,
      description,
      state === "ended"
        ? action("Start again", restart, { title: "Its results go on from where they ended" })
        : action("Stop", stop, { kind: "danger" }),
    );

  async function stop() {
    if (!(await confirmed(`Stop ${name}? Its users are answered as without it; its results stay.`, "Stop"))) return;
    await api.stopExperiment(name, AUTHOR, signal);
    announce(`${name} has ended.`);
    await load();
  }

  async function restart() {
    const { end, ...rest } = (await api.experiment(name, signal)).definition;
    await api.putExperiment(name, rest, AUTHOR, signal);
    announce(`${name} is running.`);
    await load();
  }

  await load();
  fill(
    view,
    top,
    el(
      "div.grid",
      {},
      card("Result", { where: "two-thirds", about: "95% intervals that hold at every look together" }, result),
      card("Experiment", { where: "third" }, definition),
      card("Arms", {}, arms),
      card("By day", { about: `difference in ${metric.name} to the control, as it stood at the end of each day, UTC` }, note, chart.node),
    ),
  );
  chart.redraw();
  visit.every(PERIOD_S, load);
}

function figures(experiment, results) {
  const users = results.arms.reduce((sum, arm) => sum + arm.users, 0);
  const answers = results.arms.reduce((sum, arm) => sum + arm.answers, 0);
  const [best] = results.arms.slice(1).filter((arm) => judgementOf(arm, results) === "better");
  return el(
    "div.stats",
    {},
    stat("State", experiment.state, period(experiment), { words: true, kind: stateKind(experiment.state) }),
    stat("Users", number(users), `${number(answers)} answers`),
    stat("Users by arm", results.sample_ratio, results.sample_ratio === "mismatch" ? "do not compare the arms" : "shares are kept", {
      words: true,
      kind: results.sample_ratio === "mismatch" ? "bad" : "",
    }),
    stat("Decides", METRICS[results.metric].name, best ? `${best.name} is better than the control` : "no arm is better yet", { words: true }),
  );
}

const judgementOf = (arm, results) => arm.metrics[results.metric].judgement;

function comparison(results, metric) {
  const [control, ...others] = results.arms;
  const compared = others.map((arm) => ({ name: arm.name, ...arm.metrics[results.metric] }));
  const lines = compared.filter((arm) => arm.difference).map((arm) => ({ name: arm.name, ...arm.difference }));
  return [
    results.sample_ratio === "mismatch" ? el("p.note.warn", { role: "status" }, sampleRatio(results)) : null,
    lines.length ? intervals(`Difference in ${metric.name} to ${control.name}, with intervals`, lines, metric.unit.text, 0) : null,
    el(
      "ul.verdicts",
      { "aria-label": "Arms compared with the control" },
      compared.map((arm) =>
        el("li", {}, badge(arm.judgement, judgementKind(arm.judgement)), " ", el("b", {}, arm.name), " ", verdict(control.name, arm, metric)),
      ),
    ),
    results.sample_ratio === "mismatch" ? null : el("p.soft.small", {}, sampleRatio(results)),
  ];
}

function answersWith({ scenario, model }) {
  const named = [
    scenario && el("a", { href: "#/scenarios" }, `scenario ${scenario}`),
    model && el("a", { href: "#/models" }, `model ${model}`),
  ].filter(Boolean);
  return named.length ? joined(named, ", ") : "as without the experiment";
}

function armTable(results) {
  const metrics = Object.entries(METRICS);
  return table(
    "Arms",
    [...COLUMNS, ...metrics.map(([, { name }]) => [name[0].toUpperCase() + name.slice(1), "number"])],
    results.arms.map((arm, index) => [
      [arm.name, index ? null : [" ", badge("control")]],
      answersWith(arm),
      percent(arm.share),
      number(arm.users),
      number(arm.answers),
      ...metrics.map(([key, { value }]) => value(arm.metrics[key].value)),
    ]),
  );
}

function terms({ definition, author, revision }) {
  return [
    facts([
      ["Requests", requests(definition.scenario)],
      ["Metric", METRICS[definition.metric ?? DEFAULT_METRIC].name],
      ["Revision", `${revision}, by ${author}`],
    ]),
    el("details", {}, el("summary", {}, "Definition"), el("pre.small", { tabindex: "0" }, JSON.stringify(definition, null, 2))),
    el("p.small", {}, el("a", { href: "#/outcomes" }, "Outcomes by arm"), " · ", el("a", { href: "#/scenarios" }, "Scenarios")),
  ];
}
