// Experiments: what is tested, in which state, and storing another one.
import { api } from "../api.js";
import { announce, el, fill, joined } from "../dom.js";
import { percent } from "../format.js";
import { action, badge, card, definitionOf, empty, failed, head, labelled, table, when } from "../parts.js";
import { DEFAULT_METRIC, experimentHref, METRICS, period, requests, stateKind } from "./experiment_words.js";

const PERIOD_S = 30;
const COLUMNS = [["Name"], ["State"], ["Requests"], ["Arms"], ["Metric"], ["Changed"]];

export async function showExperiments(visit) {
  const { signal, view } = visit;
  const list = el("div"),
    problem = el("div");
  const name = el("input", { id: "experiment-name", type: "text", autocomplete: "off", spellcheck: "false", placeholder: "fewer-of-a-kind" });
  const definition = el("textarea.code", { id: "experiment-definition", rows: "10", spellcheck: "false" });

  async function load() {
    const { experiments } = await api.experiments(signal);
    fill(list, experiments.length ? table("Experiments, by name", COLUMNS, experiments.map(cells)) : nothing());
  }

  async function store() {
    fill(problem);
    try {
      const change = await api.putExperiment(name.value, definitionOf(definition), { author: "dashboard" }, signal);
      announce(`${change.name} is stored as revision ${change.revision}.`);
      await load();
    } catch (error) {
      if (error.name !== "AbortError") fill(problem, failed(error));
    }
  }

  const [{ scenarios }] = await Promise.all([api.scenarios(signal), load()]);
  definition.value = JSON.stringify(example(scenarios[0]?.name ?? "homepage"), null, 2);
  fill(
    view,
    head("Experiments", "Users are split into arms; one metric says which arm is best, at any time."),
    el(
      "div.grid",
      {},
      card("Experiments", {}, list),
      card(
        "New experiment",
        { where: "two-thirds", about: "starts now, unless the definition has a start" },
        labelled("Name", name),
        labelled("Definition", definition),
        problem,
        el("div.row", {}, action("Store", store, { kind: "primary" })),
      ),
      card("How to begin", { where: "third" }, steps()),
    ),
  );
  visit.every(PERIOD_S, load);
}

const example = (scenario) => ({
  arms: [
    { name: "control", share: 0.5 },
    { name: "other", share: 0.5, scenario },
  ],
  metric: DEFAULT_METRIC,
});

const nothing = () =>
  empty("No experiment yet. Store another way of answering as a scenario, then store an experiment below that splits users between the two.");

const steps = () =>
  el(
    "ol.steps",
    {},
    [
      ["1. ", el("a", { href: "#/scenarios" }, "Store a scenario")],
      ["2. Store an experiment; the first arm is the control"],
      ["3. Read its results, as often as you like"],
      ["4. See all rates in ", el("a", { href: "#/outcomes" }, "Outcomes by arm")],
    ].map((step) => el("li", {}, el("p", {}, step))),
  );

function cells(experiment) {
  const { name, state, definition, time, author } = experiment;
  return [
    el("a", { href: experimentHref(name) }, name),
    [badge(state, stateKind(state)), " ", el("span.soft.small", {}, period(experiment))],
    requests(definition.scenario),
    joined(definition.arms.map(armText), ", "),
    METRICS[definition.metric ?? DEFAULT_METRIC].name,
    [when(time), ` by ${author}`],
  ];
}

const armText = ({ name, share }) => `${name} ${percent(share)}`;
