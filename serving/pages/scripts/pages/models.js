// Model versions: status, lineage, verdicts of the gate, promotion and rollback.
import { api } from "../api.js";
import { announce, el, fill } from "../dom.js";
import { exact, number, plural, span } from "../format.js";
import { action, badge, card, confirmed, empty, facts, head, stat, table, when } from "../parts.js";

const PERIOD_S = 10;
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
    problem = el("div");
  let lastDrawn = "";

  async function load() {
    const [report, status] = await Promise.all([api.models(signal), api.status(signal)]);
    fill(
      problem,
      status.model.problem
        ? el("p.note.warn", { role: "alert" }, `The champion could not be loaded: ${status.model.problem}`)
        : null,
    );
    fill(stats, ...figures(report));
    if (JSON.stringify(report) === lastDrawn) return; // opened details stay open
    lastDrawn = JSON.stringify(report);
    fill(tools, ...(report.promotions.length ? [action("Roll back", () => rollBack(report), { kind: "danger" })] : []));
    fill(
      versions,
      report.models.length
        ? el(
            "ol.versions",
            { "aria-label": "Versions, newest first" },
            report.models.map((model) => version(model, report)),
          )
        : empty(
            "No model yet. The first is trained automatically once there are enough events; until then popularity serves.",
          ),
    );
    fill(promotions, report.promotions.length ? promotionList(report) : empty("No promotions yet."));
  }

  async function change(question, yes, work) {
    if (!(await confirmed(question, yes))) return;
    const promotion = await work();
    announce(`${promotion.version} is the champion.`);
    await load();
  }

  const rollBack = (report) =>
    change(`Roll back to the version that served before ${report.serving ?? "this model"}?`, "Roll back", () =>
      api.rollback({ reason: "from the dashboard" }, signal),
    );

  function version(model, report) {
    const { lineage } = model;
    const isRefused = model.status === "refused";
    const promote =
      model.status !== "champion" && model.available
        ? action(
            "Promote",
            () =>
              change(`Promote ${model.version}${isRefused ? ", although the gate refused it" : ""}?`, "Promote", () =>
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
          el("code", {}, model.version),
          " ",
          badge(model.status, KINDS[model.status], MEANINGS[model.status]),
          model.version === report.serving ? [" ", badge("serving", "accent")] : null,
          model.available ? null : [" ", badge("files deleted", "", "Its files were deleted; it cannot serve.")],
        ),
        promote,
      ),
      el("p.soft.small", {}, summary(model)),
      verdicts(model.version, lineage.trials ?? []),
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
      card("Versions", { where: "two-thirds", about: "newest first" }, versions),
      card("Promotions", { where: "third", about: "newest first" }, promotions),
    ),
  );
  visit.every(PERIOD_S, load);
}

function figures(report) {
  const champion = report.models.find((model) => model.status === "champion");
  const challengers = report.models.filter((model) => model.status === "challenger").length;
  const refused = report.models.filter((model) => model.status === "refused").length;
  return [
    stat(
      "Champion",
      champion?.version ?? "none",
      champion ? ["trained ", when(champion.created)] : "popularity serves",
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

function summary(model) {
  const { lineage } = model;
  return [
    "trained ",
    when(model.created),
    lineage.kind ? ` (${lineage.kind})` : "",
    lineage.parent ? [", from ", el("code", {}, lineage.parent)] : "",
    lineage.num_events ? `, on ${plural(lineage.num_events, "event")}` : "",
    lineage.seconds ? ` in ${span(lineage.seconds * 1000)}` : "",
    lineage.trigger ? `: ${lineage.trigger}` : "",
  ];
}

// The verdicts of the gate.
function verdicts(version, trials) {
  if (!trials.length) return null;
  return el(
    "ul.verdicts",
    { "aria-label": "Verdicts of the gate" },
    trials.map((trial) =>
      el(
        "li",
        {},
        badge(trial.verdict, { promote: "good", refuse: "bad", undecided: "warn" }[trial.verdict] ?? ""),
        " ",
        el("span", {}, trial.reason),
        el(
          "span.soft.small",
          {},
          ` · ${plural(trial.events ?? 0, "event")}${trial.users ? ` of ${plural(trial.users, "user")}` : ""}, `,
          when(trial.time),
        ),
        comparisons(version, trial.compared ?? []),
      ),
    ),
  );
}

// NDCG@10 of the challenger and of each model or baseline that it was compared with; none in trials of earlier versions.
function comparisons(version, compared) {
  if (!compared.length) return null;
  return el(
    "details",
    {},
    el("summary", {}, "Comparison"),
    table(
      `NDCG@10 of ${version} and of others, with 95% intervals`,
      [["Compared"], ["NDCG@10"], ["Difference"]],
      compared.map((line) => [line.name, interval(line.ndcg_10), line.difference ? interval(line.difference) : "–"]),
    ),
  );
}

const interval = ({ mean, low, high }) => `${mean.toFixed(4)} [${low.toFixed(4)}, ${high.toFixed(4)}]`;

function promotionList(report) {
  return el(
    "ol.timeline.wide",
    { "aria-label": "Promotions, newest first" },
    report.promotions.map((promotion) =>
      el(
        "li",
        {},
        el(
          "div",
          {},
          el("code", {}, promotion.version),
          " ",
          badge(promotion.kind, promotion.kind === "rollback" ? "warn" : "good"),
        ),
        el(
          "div.soft.small",
          {},
          when(promotion.time),
          ` by ${promotion.decided_by}`,
          promotion.previous ? [", replacing ", el("code", {}, promotion.previous)] : ", replacing popularity",
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
