// What comes in: who writes and how far behind, and what was set aside.
import { api } from "../api.js";
import { lineChart } from "../charts.js";
import { announce, el, fill } from "../dom.js";
import { exact, milliseconds, number, plural, rate } from "../format.js";
import { lately } from "./overview.js";
import { action, badge, card, confirmed, empty, failed, head, stat, table, when } from "../parts.js";

const PERIOD_S = 5;
const LETTERS = 100;

export async function showIngestion(visit) {
  const { signal, view } = visit;
  const stats = el("div.stats"),
    writers = el("div"),
    letters = el("div"),
    problem = el("div"),
    flowState = el("div"),
    outcome = el("div", { role: "status" });
  const flow = lineChart({ caption: "Events applied per second in the last hour", format: rate, area: true });
  const chosen = new Set();

  async function load() {
    const [state, activity] = await Promise.all([api.ingestion(signal), api.activity(signal)]);
    fill(
      problem,
      state.problem ? el("p.note.warn", { role: "alert" }, `The event log is away: ${state.problem}`) : null,
    );
    fill(stats, ...figures(state, activity.samples));
    fill(writers, state.writers.length ? writerTable(state) : empty("Nothing has been written yet."));
    draw(activity.samples);
  }

  function draw(samples) {
    const isYoung = samples.time.length < 2;
    fill(flowState, isYoung ? empty("The first samples come within ten seconds.") : null);
    flow.node.hidden = isYoung;
    if (!isYoung)
      flow.set({ times: samples.time, series: [{ name: "events/s", colour: "c0", values: samples.events_per_s }] });
  }

  async function loadLetters() {
    const told = await api.letters({ limit: LETTERS }, signal);
    chosen.clear();
    fill(letters, told.total ? letterTable(told) : empty("Nothing was set aside: all input could be applied."));
  }

  async function settle(work, all) {
    const body = all ? { all: true } : { keys: [...chosen] };
    fill(outcome, el("p.note", {}, await work(body)));
    await Promise.all([loadLetters(), load()]);
  }

  const retry = (all) =>
    settle(async (body) => {
      const done = await api.retry(body, signal);
      const text = `${plural(done.retried, "letter")} retried: ${number(done.succeeded)} settled, ${plural(done.accepted, "new event")}, ${number(done.failed)} failed again.`;
      announce(text);
      return text;
    }, all);

  async function discard(all, count) {
    if (!(await confirmed(`Delete ${all ? "all " : ""}${plural(count, "dead letter")} for good?`, "Delete"))) return;
    await settle(async (body) => `${plural((await api.discard(body, signal)).discarded, "letter")} deleted.`, all);
  }

  function letterTable(told) {
    const shown = told.dead_letters;
    const boxes = shown.map((letter) =>
      el("input", {
        type: "checkbox",
        "aria-label": `Choose letter ${letter.key}`,
        onchange: (event) => {
          if (event.target.checked) chosen.add(letter.key);
          else chosen.delete(letter.key);
          update();
        },
      }),
    );
    const every = el("input", {
      type: "checkbox",
      "aria-label": "Choose all letters shown",
      onchange: () => {
        boxes.forEach((box, place) => {
          box.checked = every.checked;
          if (every.checked) chosen.add(shown[place].key);
          else chosen.delete(shown[place].key);
        });
        update();
      },
    });
    const retryChosen = action("Retry chosen", () => retry(false)),
      discardChosen = action("Delete chosen", () => discard(false, chosen.size), { kind: "danger" });
    function update() {
      retryChosen.disabled = discardChosen.disabled = chosen.size === 0;
      every.checked = chosen.size === shown.length;
      every.indeterminate = chosen.size > 0 && chosen.size < shown.length;
    }
    update();
    const bar = el(
      "div.row.spread.bar",
      {},
      el("div.row", {}, retryChosen, discardChosen),
      el(
        "div.row",
        {},
        action("Retry all", () => retry(true)),
        action("Delete all", () => discard(true, told.total), { kind: "danger" }),
      ),
    );
    const rows = shown.map((letter, place) => [boxes[place], when(letter.time), origin(letter), content(letter)]);
    return [
      bar,
      table("Dead letters", [[every, "keep box"], ["Set aside", "keep"], ["From"], ["Why, and what it says"]], rows),
      told.total > shown.length
        ? el("p.soft.small", {}, `The newest ${number(shown.length)} of ${number(told.total)}.`)
        : null,
    ];
  }

  await Promise.all([load(), loadLetters()]);
  fill(
    view,
    head("Ingestion", "What comes in, how far behind it is, and what could not be applied."),
    problem,
    stats,
    el(
      "div.grid",
      {},
      card("Events", { where: "half", about: "applied, per second" }, flowState, flow.node),
      card("Writers", { where: "half", about: "who writes into the database" }, writers),
      card("Dead letters", { about: "input that could not be applied, kept whole" }, outcome, letters),
    ),
  );
  flow.redraw();
  visit.every(PERIOD_S, load);
}

function figures(state, samples) {
  const kind = state.lag > 10000 ? "warn" : "";
  const last = samples.freshness_p99_ms.findLast((ms) => ms !== null) ?? null;
  return [
    stat("Events", [rate(lately(samples.events_per_s)), "per second"], "applied, over the last minute"),
    stat(
      "Lag",
      state.topic === null ? "none" : state.lag === null ? "unknown" : [number(state.lag), "messages"],
      state.topic === null ? "no event log: applied at once" : `of topic ${state.topic}`,
      { kind, words: state.lag === null },
    ),
    stat("Waiting", [number(state.waiting_events), "changes"], `p99 until applied: ${milliseconds(last)}`),
    stat("Dead letters", number(state.dead_letters), state.dead_letters ? "see below" : "all input could be applied", {
      kind: state.dead_letters ? "warn" : "",
    }),
  ];
}

function writerTable(state) {
  const isOffsetless = state.topic === null && state.writers.every((one) => one.applied_offset === null);
  if (isOffsetless)
    return table(
      "Writers",
      [["Writer"], ["Newest event", "keep"]],
      state.writers.map((one) => [one.name, when(one.newest_event, state.now)]),
    );
  return table(
    "Writers",
    [["Writer"], ["Partition", "number"], ["Applied", "number"], ["Lag", "number"], ["Newest event", "keep"]],
    state.writers.map((one) => [
      one.name,
      one.log_end_offset === null && one.applied_offset === null ? "–" : number(one.partition),
      number(one.applied_offset),
      number(one.lag),
      when(one.newest_event, state.now),
    ]),
  );
}

function origin(letter) {
  return [
    el("div", {}, letter.source),
    el(
      "div.soft.small",
      {},
      letter.retryable
        ? `partition ${letter.partition}, offset ${number(letter.offset)}`
        : `line ${number(letter.offset)}; import the file again`,
    ),
    letter.retries ? badge(`retried ${letter.retries}×`, "warn") : null,
  ];
}

function content(letter) {
  const text = letter.payload ?? letter.payload_base64;
  return [
    el("div", {}, letter.reason),
    el(
      "details",
      {},
      el("summary", {}, letter.payload === undefined ? "payload (base64)" : "payload"),
      el("pre", { title: exact(letter.time) }, text),
    ),
  ];
}
