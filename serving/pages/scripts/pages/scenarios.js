// Scenarios: definitions, a preview beside what serves now, and the history of revisions.
import { api } from "../api.js";
import { announce, el, fill, joined } from "../dom.js";
import { percent } from "../format.js";
import {
  action,
  badge,
  card,
  confirmed,
  contributions,
  definitionOf,
  empty,
  failed,
  head,
  itemList,
  labelled,
  table,
  when,
} from "../parts.js";

const AUTHOR = "dashboard";
const EXAMPLE = {
  where: { not: { categories: "clearance" } },
  boosts: [{ where: { brand: "acme" }, factor: 1.5 }],
  diversity: { at_most: { categories: 3 } },
};

export async function showScenarios(visit) {
  const { signal, view } = visit;
  const list = el("div"),
    history = el("div", {}, empty("Choose a scenario, or enter a name, to see its revisions.")),
    preview = el("div.grid"),
    problem = el("div");
  const name = field("name", { autocomplete: "off", spellcheck: "false", placeholder: "homepage", list: "scenario-names" });
  const names = el("datalist", { id: "scenario-names" });
  const user = field("user", { autocomplete: "off", spellcheck: "false" });
  const definition = el("textarea.code", { id: "scenario-definition", rows: "14", spellcheck: "false" });
  let scenarios = [];

  async function load() {
    ({ scenarios } = await api.scenarios(signal));
    fill(names, ...scenarios.map((scenario) => el("option", { value: scenario.name })));
    fill(list, scenarios.length ? scenarioTable() : empty("No scenario yet. Write a definition below, preview it and store it."));
  }

  const scenarioTable = () =>
    table(
      "Scenarios, by name",
      [["Name"], ["Description"], ["Origin"], ["Changed"]],
      scenarios.map((scenario) => [
        action(scenario.name, () => choose(scenario), { kind: "small", label: `Edit ${scenario.name}` }),
        scenario.definition.description ?? "",
        badge(scenario.origin, scenario.origin === "stored" ? "accent" : ""),
        scenario.time === null ? "in the settings" : [when(scenario.time, Date.now()), ` by ${scenario.author}`],
      ]),
    );

  async function choose(scenario) {
    name.value = scenario.name;
    definition.value = JSON.stringify(scenario.definition, null, 2);
    fill(preview);
    await loadHistory();
    definition.focus();
  }

  async function loadHistory() {
    const stored = scenarios.find((scenario) => scenario.name === name.value);
    if (stored?.origin === "settings") return fill(history, empty("It is in the settings; storing one of this name hides it."));
    try {
      const { revisions } = await api.scenarioRevisions(name.value, signal);
      fill(history, revisionList(revisions));
    } catch (error) {
      if (error.status !== 404) throw error;
      fill(history, empty("No revision is stored under this name."));
    }
  }

  const revisionList = (revisions) =>
    el(
      "ol.timeline.wide",
      { "aria-label": "Revisions, newest first" },
      revisions.map((change, index) =>
        el(
          "li",
          {},
          el(
            "div.row.spread",
            {},
            el("span", {}, `Revision ${change.revision} `, change.definition === null ? badge("deleted", "warn") : null),
            index ? action("Take back to it", () => revert(change), { kind: "small", label: `Take back to revision ${change.revision}` }) : null,
          ),
          el("div.soft.small", {}, when(change.time, Date.now()), ` by ${change.author}`),
          change.definition === null
            ? null
            : el("details", {}, el("summary", {}, "Definition"), el("pre.small", {}, JSON.stringify(change.definition, null, 2))),
        ),
      ),
    );

  // A mistake is shown above the buttons.
  async function attempt(work) {
    fill(problem);
    try {
      await work();
    } catch (error) {
      if (error.name !== "AbortError") fill(problem, failed(error));
    }
  }

  const compare = () =>
    attempt(async () => {
      const current = scenarios.some((scenario) => scenario.name === name.value) ? name.value : null;
      const body = { user_id: user.value, definition: definitionOf(definition), scenario: current };
      const lists = await api.previewScenario(body, signal);
      const places = new Map(lists.current.items.map((item, index) => [item.item_id, index]));
      fill(
        preview,
        answer("Now", current ? `under the stored ${current}` : "without a scenario", lists.current.items, () => null),
        answer("Proposed", "under the definition above", lists.proposed.items, (item, index) => moved(places.get(item.item_id), index)),
      );
      announce("The preview is below.");
    });

  const store = () =>
    attempt(async () => {
      const change = await api.putScenario(name.value, definitionOf(definition), { author: AUTHOR }, signal);
      announce(`${change.name} is stored as revision ${change.revision}.`);
      await load();
      await loadHistory();
    });

  async function revert(change) {
    if (!(await confirmed(`Take ${change.name} back to revision ${change.revision}?`, "Take back"))) return;
    await attempt(async () => {
      await api.revertScenario(change.name, { revision: change.revision }, { author: AUTHOR }, signal);
      await load();
      const again = scenarios.find((scenario) => scenario.name === change.name);
      if (again) await choose(again);
      else await loadHistory();
    });
  }

  async function remove() {
    if (!(await confirmed(`Delete ${name.value}? It can be taken back from its history.`, "Delete"))) return;
    await attempt(async () => {
      await api.deleteScenario(name.value, { author: AUTHOR }, signal);
      await load();
      await loadHistory();
    });
  }

  await load();
  const someone = (await api.users({ limit: 1 }, signal)).users[0];
  user.value = someone?.user_id ?? "";
  definition.value = JSON.stringify(EXAMPLE, null, 2);
  if (scenarios.length) await choose(scenarios[0]);
  fill(
    view,
    head("Scenarios", "Named configurations of answers: filters, boosts, pins, diversity, exploration."),
    el(
      "div.grid",
      {},
      card("Scenarios", {}, list),
      card(
        "Definition",
        { where: "two-thirds", about: "JSON, as in the documentation of scenarios" },
        labelled("Name", name),
        names,
        labelled("Definition", definition),
        labelled("Preview for the user", user),
        problem,
        el(
          "div.row",
          {},
          action("Preview", compare, { kind: "primary" }),
          action("Store", store),
          action("Delete", remove, { kind: "danger" }),
        ),
      ),
      card("History", { where: "third", about: "newest first" }, history),
      preview,
    ),
  );
  name.addEventListener("change", () => attempt(loadHistory));
}

const field = (name, attributes) => el("input", { id: `scenario-${name}`, type: "text", ...attributes });

function answer(title, about, items, change) {
  const place = new Map(items.map((item, index) => [item.item_id, index]));
  return card(
    title,
    { where: "half", about },
    items.length
      ? itemList(items, {
          label: `${title}: ${about}`,
          under: (item) => joined([contributions(item), chance(item)].filter(Boolean), " · "),
          side: (item) => change(item, place.get(item.item_id)),
        })
      : empty("No item may be shown."),
  );
}

const chance = (item) =>
  item.propensity === undefined || item.propensity === 1 ? null : el("span.soft", {}, `shown with probability ${percent(item.propensity)}`);

function moved(before, now) {
  if (before === undefined) return badge("new", "accent", "Not in the current answer");
  if (before === now) return null;
  const up = before > now;
  return badge(`${up ? "up" : "down"} ${Math.abs(before - now)}`, up ? "good" : "", `It is at position ${before + 1} now`);
}
