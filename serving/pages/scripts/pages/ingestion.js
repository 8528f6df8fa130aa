// Ingestion: event rate, writers with their lag, dead letters.
import { api } from "../api.js";
import { announce, el, fill } from "../dom.js";
import { exact, milliseconds, number, plural, rate } from "../format.js";
import { eventChart, stepText } from "./event_chart.js";
import { lastMinuteMean } from "./overview.js";
import { action, badge, card, confirmed, empty, head, stat, table, when } from "../parts.js";

const PERIOD_S = 5;
const PAGE = 100;

export async function showIngestion(visit) {
  const { range, signal, view } = visit;
  const stats = el("div.stats"),
    writers = el("div"),
    deadLettersBody = el("div"),
    problem = el("div"),
    outcome = el("div", { role: "status" });
  const events = eventChart(),
    step = el("span");
  const selected = new Set();

  async function load() {
    const [state, activity, timeline] = await Promise.all([
      api.ingestion(signal),
      api.activity(signal),
      api.timeline(range.period(), signal),
    ]);
    fill(
      problem,
      state.problem ? el("p.note.warn", { role: "alert" }, `The event log is unavailable: ${state.problem}`) : null,
    );
    fill(stats, ...figures(state, activity.samples));
    fill(writers, state.writers.length ? writerTable(state) : empty("No events have been written yet."));
    events.show(timeline);
    fill(step, stepText(timeline));
  }

  async function loadDeadLetters() {
    const page = await api.deadLetters({ limit: PAGE }, signal);
    selected.clear();
    fill(deadLettersBody, page.total ? deadLetterTable(page) : empty("No dead letters: all input was applied."));
  }

  async function apply(work, all) {
    const body = all ? { all: true } : { keys: [...selected] };
    fill(outcome, el("p.note", {}, await work(body)));
    await Promise.all([loadDeadLetters(), load()]);
  }

  const retry = (all) =>
    apply(async (body) => {
      const result = await api.retry(body, signal);
      const text = `${plural(result.retried, "dead letter")} retried: ${number(result.succeeded)} succeeded, ${plural(result.accepted, "new event")}, ${number(result.failed)} failed again.`;
      announce(text);
      return text;
    }, all);

  async function discard(all, count) {
    if (!(await confirmed(`Delete ${all ? "all " : ""}${plural(count, "dead letter")} permanently?`, "Delete"))) return;
    await apply(async (body) => `${plural((await api.discard(body, signal)).discarded, "dead letter")} deleted.`, all);
  }

  function deadLetterTable(page) {
    const shown = page.dead_letters;
    const boxes = shown.map((deadLetter) =>
      el("input", {
        type: "checkbox",
        "aria-label": `Select dead letter ${deadLetter.key}`,
        onchange: (event) => {
          if (event.target.checked) selected.add(deadLetter.key);
          else selected.delete(deadLetter.key);
          update();
        },
      }),
    );
    const selectAll = el("input", {
      type: "checkbox",
      "aria-label": "Select all dead letters shown",
      onchange: () => {
        boxes.forEach((box, index) => {
          box.checked = selectAll.checked;
          if (selectAll.checked) selected.add(shown[index].key);
          else selected.delete(shown[index].key);
        });
        update();
      },
    });
    const retrySelected = action("Retry selected", () => retry(false)),
      discardSelected = action("Delete selected", () => discard(false, selected.size), { kind: "danger" });
    function update() {
      retrySelected.disabled = discardSelected.disabled = selected.size === 0;
      selectAll.checked = selected.size === shown.length;
      selectAll.indeterminate = selected.size > 0 && selected.size < shown.length;
    }
    update();
    const bar = el(
      "div.row.spread.bar",
      {},
      el("div.row", {}, retrySelected, discardSelected),
      el(
        "div.row",
        {},
        action("Retry all", () => retry(true)),
        action("Delete all", () => discard(true, page.total), { kind: "danger" }),
      ),
    );
    const rows = shown.map((deadLetter, index) => [
      boxes[index],
      when(deadLetter.time),
      origin(deadLetter),
      content(deadLetter),
    ]);
    return [
      bar,
      table("Dead letters", [[selectAll, "keep box"], ["Time", "keep"], ["Source"], ["Reason and payload"]], rows),
      page.total > shown.length
        ? el("p.soft.small", {}, `The newest ${number(shown.length)} of ${number(page.total)}.`)
        : null,
    ];
  }

  await Promise.all([load(), loadDeadLetters()]);
  fill(
    view,
    head("Ingestion", "Event rate, lag, and input that could not be applied."),
    problem,
    stats,
    el(
      "div.grid",
      {},
      card("Events", { where: "half", about: step }, events.node),
      card("Writers", { where: "half", about: "by partition or process" }, writers),
      card("Dead letters", { about: "input that could not be applied" }, outcome, deadLettersBody),
    ),
  );
  events.redraw();
  visit.every(PERIOD_S, load);
}

function figures(state, samples) {
  const kind = state.lag > 10000 ? "warn" : "";
  const last = samples.freshness_p99_ms.findLast((ms) => ms !== null) ?? null;
  return [
    stat("Events", [rate(lastMinuteMean(samples.events_per_s)), "per second"], "applied, over the last minute"),
    stat(
      "Lag",
      state.topic === null ? "none" : state.lag === null ? "unknown" : [number(state.lag), "messages"],
      state.topic === null ? "no event log: events are applied at once" : `of topic ${state.topic}`,
      { kind, words: state.lag === null },
    ),
    stat("Write queue", [number(state.waiting_events), "changes"], `freshness p99: ${milliseconds(last)}`),
    stat("Dead letters", number(state.dead_letters), state.dead_letters ? "see below" : "all input was applied", {
      kind: state.dead_letters ? "warn" : "",
    }),
  ];
}

function writerTable(state) {
  const isOffsetless = state.topic === null && state.writers.every((writer) => writer.applied_offset === null);
  if (isOffsetless)
    return table(
      "Writers",
      [["Writer"], ["Newest event", "keep"]],
      state.writers.map((writer) => [writer.name, when(writer.newest_event, state.now)]),
    );
  return table(
    "Writers",
    [["Writer"], ["Partition", "number"], ["Applied offset", "number"], ["Lag", "number"], ["Newest event", "keep"]],
    state.writers.map((writer) => [
      writer.name,
      writer.log_end_offset === null && writer.applied_offset === null ? "–" : number(writer.partition),
      number(writer.applied_offset),
      number(writer.lag),
      when(writer.newest_event, state.now),
    ]),
  );
}

function origin(deadLetter) {
  return [
    el("div", {}, deadLetter.source),
    el(
      "div.soft.small",
      {},
      deadLetter.retryable
        ? `partition ${deadLetter.partition}, offset ${number(deadLetter.offset)}`
        : `line ${number(deadLetter.offset)}; import the file again`,
    ),
    deadLetter.retries ? badge(`retried ${deadLetter.retries}×`, "warn") : null,
  ];
}

function content(deadLetter) {
  const text = deadLetter.payload ?? deadLetter.payload_base64;
  return [
    el("div", {}, deadLetter.reason),
    el(
      "details",
      {},
      el("summary", {}, deadLetter.payload === undefined ? "payload (base64)" : "payload"),
      el("pre", { title: exact(deadLetter.time) }, text),
    ),
  ];
}
