// Versions: what serves, where each comes from, what the gate said, and changing it.
import { api } from "../api.js";
import { announce, el, fill } from "../dom.js";
import { exact, number, plural, span } from "../format.js";
import { action, badge, card, confirmed, empty, facts, head, stat, when } from "../parts.js";

const PERIOD_S = 10;
const KINDS = { champion: "good", challenger: "accent", refused: "bad", retired: "", superseded: "" };
const MEANINGS = {
  champion: "serves",
  challenger: "waits for its verdict",
  refused: "kept with the reason",
  retired: "served once",
  superseded: "undecided until a newer one came",
};

export async function showModels(visit) {
  const { signal, view } = visit;
  const stats = el("div.stats"),
    versions = el("div"),
    history = el("div"),
    tools = el("div.row"),
    problem = el("div");
  let drawn = "";

  async function load() {
    const [told, status] = await Promise.all([api.models(signal), api.status(signal)]);
    fill(
      problem,
      status.model.problem
        ? el("p.note.warn", { role: "alert" }, `The newest model does not serve: ${status.model.problem}`)
        : null,
    );
    fill(stats, ...figures(told));
    if (JSON.stringify(told) === drawn) return; // what somebody has opened stays open
    drawn = JSON.stringify(told);
    fill(tools, ...(told.promotions.length ? [action("Roll back", () => rollBack(told), { kind: "danger" })] : []));
    fill(
      versions,
      told.models.length
        ? el(
            "ol.versions",
            { "aria-label": "Versions, newest first" },
            told.models.map((one) => version(one, told)),
          )
        : empty(
            "No model yet. The first is trained by itself once there are enough events; until then popularity serves.",
          ),
    );
    fill(
      history,
      told.promotions.length ? changes(told) : empty("What serves has not been changed since the first model."),
    );
  }

  async function change(question, yes, work) {
    if (!(await confirmed(question, yes))) return;
    const done = await work();
    announce(`${done.version} serves.`);
    await load();
  }

  const rollBack = (told) =>
    change(`Let the version serve again that served before ${told.serving ?? "this one"}?`, "Roll back", () =>
      api.rollback({ reason: "from the dashboard" }, signal),
    );

  function version(one, told) {
    const { lineage } = one;
    const isRefused = one.status === "refused";
    const promote =
      one.status !== "champion" && one.available
        ? action(
            "Promote",
            () =>
              change(`Let ${one.version} serve${isRefused ? ", though the gate refused it" : ""}?`, "Promote", () =>
                api.promote(one.version, { reason: "from the dashboard", force: isRefused }, signal),
              ),
            { kind: "small", label: `Promote ${one.version}` },
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
          el("code", {}, one.version),
          " ",
          badge(one.status, KINDS[one.status], MEANINGS[one.status]),
          one.version === told.serving ? [" ", badge("answers here", "accent")] : null,
          one.available ? null : [" ", badge("files gone", "", "Its files were not kept; it cannot serve.")],
        ),
        promote,
      ),
      el("p.soft.small", {}, origin(one)),
      verdicts(lineage.trials ?? []),
      el(
        "details",
        {},
        el("summary", {}, "Lineage"),
        facts(
          Object.entries(lineage)
            .filter(([name]) => name !== "trials")
            .map(([name, value]) => [readable(name), shown(name, value)]),
        ),
      ),
    );
  }

  await load();
  fill(
    view,
    head("Models", "Which versions there are, what the gate said of each, and which serves.", tools),
    problem,
    stats,
    el(
      "div.grid",
      {},
      card("Versions", { where: "two-thirds", about: "newest first" }, versions),
      card("What served", { where: "third", about: "newest change first" }, history),
    ),
  );
  visit.every(PERIOD_S, load);
}

function figures(told) {
  const champion = told.models.find((one) => one.status === "champion");
  const waiting = told.models.filter((one) => one.status === "challenger").length;
  const refused = told.models.filter((one) => one.status === "refused").length;
  return [
    stat(
      "Champion",
      champion?.version ?? "none yet",
      champion ? ["trained ", when(champion.created)] : "popularity serves",
      { words: true },
    ),
    stat(
      "Learnt from",
      champion?.lineage.num_events ? [number(champion.lineage.num_events), "events"] : "–",
      champion?.lineage.kind ?? "",
    ),
    stat(
      "Versions",
      number(told.models.length),
      `${plural(waiting, "challenger")} waiting, ${number(refused)} refused`,
    ),
    stat("Changes", number(told.promotions.length), "promotions and rollbacks"),
  ];
}

function origin(one) {
  const { lineage } = one;
  return [
    "made ",
    when(one.created),
    lineage.kind ? ` (${lineage.kind})` : "",
    lineage.parent ? [", out of ", el("code", {}, lineage.parent)] : "",
    lineage.num_events ? `, from ${plural(lineage.num_events, "event")}` : "",
    lineage.seconds ? ` in ${span(lineage.seconds * 1000)}` : "",
    lineage.trigger ? `: ${lineage.trigger}` : "",
  ];
}

// What the gate said each time that it looked.
function verdicts(trials) {
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
      ),
    ),
  );
}

function changes(told) {
  return el(
    "ol.timeline.wide",
    { "aria-label": "Changes of what serves, newest first" },
    told.promotions.map((one) =>
      el(
        "li",
        {},
        el("div", {}, el("code", {}, one.version), " ", badge(one.kind, one.kind === "rollback" ? "warn" : "good")),
        el(
          "div.soft.small",
          {},
          when(one.time),
          ` by ${one.decided_by}`,
          one.previous ? [", instead of ", el("code", {}, one.previous)] : ", instead of popularity",
          one.reason ? `: ${one.reason}` : "",
        ),
      ),
    ),
  );
}

const readable = (name) => name.replace(/_ms$/, "").replaceAll("_", " ");

function shown(name, value) {
  if (value === null || value === "") return "–";
  if (name.endsWith("_ms") && value > 1e11) return exact(value);
  if (typeof value === "number") return Number.isInteger(value) ? number(value) : String(Number(value.toPrecision(5)));
  return typeof value === "object" ? el("code.small", {}, JSON.stringify(value)) : String(value);
}
