// Model versions: status, lineage, verdicts of the gate, promotion and rollback.
import { api } from "../api.js";
import { announce, el, fill } from "../dom.js";
import { exact, number, plural, span } from "../format.js";
import { namesOf } from "./model_names.js";
import { learningCurve, verdicts } from "./verdicts.js";
import { action, badge, card, confirmed, empty, facts, head, stat, when } from "../parts.js";

const PERIOD_S = 10;
const PAGE = 8; // versions
const KINDS = { champion: "good", challenger: "accent", refused: "bad", retired: "", superseded: "" };
const MEANINGS = {
  champion: "serves",
  challenger: "waits for the gate",
  refused: "refused by the gate",
  retired: "served before",
  superseded: "replaced by a newer challenger while undecided",
};

export async function showModels(visit) {
  const { signal, view } = visit;
  const stats = el("div.stats"),
    versions = el("div"),
    promotions = el("div"),
    tools = el("div.row"),
    problem = el("div"),
    older = el("footer"),
    curve = learningCurve();
  let nameOf = (version) => version;
  let numShown = PAGE;
  let lastDrawn = "";

  async function load() {
    const [report, status] = await Promise.all([api.models(signal), api.status(signal)]);
    fill(
      problem,
      status.model.problem
        ? el("p.note.warn", { role: "alert" }, `The champion could not be loaded: ${status.model.problem}`)
        : null,
    );
    nameOf = namesOf(report.models);
    fill(stats, ...figures(report, nameOf));
    if (JSON.stringify(report) === lastDrawn) return; // opened details stay open
    lastDrawn = JSON.stringify(report);
    fill(tools, report.rollback_to && action("Roll back", () => rollBack(report), { kind: "danger" }));
    fill(
      versions,
      report.models.length
        ? el(
            "ol.versions",
            { "aria-label": "Versions, newest first" },
            report.models.slice(0, numShown).map((model) => version(model, report)),
          )
        : empty(
            "No model yet: popularity serves. `tidewise train` trains the first; `tidewise up` (without --no-train) and `tidewise learn` do so once there are enough events.",
          ),
    );
    fill(older, report.models.length > numShown && action("Older versions", showOlder));
    curve.show(report.models, changesOf(report, nameOf));
    fill(promotions, report.promotions.length ? promotionList(report, nameOf) : empty("No promotions yet."));
  }

  async function change(question, yes, work) {
    if (!(await confirmed(question, yes))) return;
    const promotion = await work();
    announce(`${nameOf(promotion.version)} is the champion.`);
    await load();
  }

  async function showOlder() {
    numShown += PAGE;
    lastDrawn = "";
    await load();
  }

  const rollBack = (report) =>
    change(rollbackQuestion(report, nameOf), "Roll back", () => api.rollback({ reason: "from the dashboard" }, signal));

  function version(model, report) {
    const { lineage } = model;
    const isRefused = model.status === "refused";
    const promote =
      model.status !== "champion" && model.available
        ? action(
            "Promote",
            () =>
              change(`Promote ${nameOf(model.version)} (${model.version})${isRefused ? ", although the gate refused it" : ""}?`, "Promote", () =>
                api.promote(model.version, { reason: "from the dashboard", force: isRefused }, signal),
              ),
            { kind: "small", label: `Promote ${model.version}` },
          )
        : null;
    return el(
      "li",
      {},
      el(
        "div.row.spread",
        {},
        el(
          "span",
          {},
          el("strong", {}, nameOf(model.version)),
          " ",
          el("code.soft", {}, model.version),
          " ",
          badge(model.status, KINDS[model.status], MEANINGS[model.status]),
          model.version === report.serving ? [" ", badge("serving", "accent")] : null,
          model.available ? null : [" ", badge("files deleted", "", "Its files were deleted; it cannot serve.")],
        ),
        promote,
      ),
      el("p.soft.small", {}, summary(model, nameOf)),
      verdicts(nameOf(model.version), lineage.trials ?? []),
      el(
        "details",
        {},
        el("summary", {}, "Lineage"),
        facts(
          Object.entries(lineage)
            .filter(([name]) => name !== "trials")
            .map(([name, value]) => [label(name), format(name, value)]),
        ),
      ),
    );
  }

  await load();
  fill(
    view,
    head("Models", "All versions, the gate's verdicts, and the champion.", tools),
    problem,
    stats,
    el(
      "div.grid",
      {},
      card("Versions", { where: "two-thirds", about: "newest first" }, versions, older),
      el(
        "div.third.stack",
        {},
        card("Learning curve", { about: "each version when it was judged" }, ...curve.nodes),
        card("Promotions", { about: "newest first" }, promotions),
      ),
    ),
  );
  curve.redraw();
  visit.every(PERIOD_S, load);
}

const changesOf = (report, nameOf) =>
  report.promotions.map(({ version, kind, time }) => ({ time, label: `${kind} of ${nameOf(version)}`, colour: "good" }));

function rollbackQuestion(report, nameOf) {
  const [target, champion] = [report.rollback_to, report.models.find((model) => model.status === "champion")?.version];
  const record = (version) => report.models.find((model) => model.version === version);
  const [before, after] = [record(champion)?.lineage.num_events, record(target)?.lineage.num_events];
  const events = before && after ? ` It was trained on ${number(after)} events, the champion on ${number(before)}.` : "";
  return `Roll back from ${nameOf(champion)} to ${nameOf(target)} (${target})?${events} All answers come from it at once; the champion stays and can be promoted again.`;
}

function figures(report, nameOf) {
  const champion = report.models.find((model) => model.status === "champion");
  const challengers = report.models.filter((model) => model.status === "challenger").length;
  const refused = report.models.filter((model) => model.status === "refused").length;
  return [
    stat(
      "Champion",
      champion ? nameOf(champion.version) : "none",
      champion ? ["trained ", when(champion.created, Date.now())] : "popularity serves",
      { words: true },
    ),
    stat(
      "Trained on",
      champion?.lineage.num_events ? [number(champion.lineage.num_events), "events"] : "–",
      champion?.lineage.kind ?? "",
    ),
    stat("Versions", number(report.models.length), `${plural(challengers, "challenger")}, ${number(refused)} refused`),
    stat("Promotions", number(report.promotions.length), "including rollbacks"),
  ];
}

function summary(model, nameOf) {
  const { lineage } = model;
  return [
    "trained ",
    when(model.created, Date.now()),
    lineage.kind ? ` (${lineage.kind})` : "",
    lineage.parent ? [", from ", nameOf(lineage.parent)] : "",
    lineage.num_events ? `, on ${plural(lineage.num_events, "event")}` : "",
    lineage.seconds ? ` in ${span(lineage.seconds * 1000)}` : "",
    lineage.trigger ? `: ${lineage.trigger}` : "",
  ];
}

const PROMOTIONS = 10; // shown

function promotionList(report, nameOf) {
  return el(
    "ol.timeline.wide",
    { "aria-label": "Promotions, newest first" },
    report.promotions.slice(0, PROMOTIONS).map((promotion) =>
      el(
        "li",
        {},
        el(
          "div",
          {},
          el("span", { title: promotion.version }, nameOf(promotion.version)),
          " ",
          badge(promotion.kind, promotion.kind === "rollback" ? "warn" : "good"),
        ),
        el(
          "div.soft.small",
          {},
          when(promotion.time, Date.now()),
          ` by ${promotion.decided_by}`,
          promotion.previous ? `, replacing ${nameOf(promotion.previous)}` : ", replacing popularity",
          promotion.reason ? `: ${promotion.reason}` : "",
        ),
      ),
    ),
  );
}

const label = (name) => name.replace(/_ms$/, "").replaceAll("_", " ");

function format(name, value) {
  if (value === null || value === "") return "–";
  if (name.endsWith("_ms") && value > 1e11) return exact(value);
  if (typeof value === "number") return Number.isInteger(value) ? number(value) : String(Number(value.toPrecision(5)));
  return typeof value === "object" ? el("code.small", {}, JSON.stringify(value)) : String(value);
}
