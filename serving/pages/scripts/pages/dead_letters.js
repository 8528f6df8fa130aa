// Dead letters, grouped by reason: retrying and deleting some or all.
import { api } from "../api.js";
import { announce, el, fill } from "../dom.js";
import { exact, number, plural } from "../format.js";
import { action, badge, confirmed, empty, table, when } from "../parts.js";

const PAGE = 100;
const FEW = 10; // dead letters, which are not folded

// `changed()` is called after a retry or a deletion. {nodes, load()}.
export function deadLetters({ signal, changed }) {
  const body = el("div"),
    outcome = el("div", { role: "status" });
  const selected = new Set();

  async function load() {
    const page = await api.deadLetters({ limit: PAGE }, signal);
    selected.clear();
    fill(body, page.total ? groups(page) : empty("No dead letters: all input was applied."));
  }

  async function apply(work, all) {
    const request = all ? { all: true } : { keys: [...selected] };
    fill(outcome, el("p.note", {}, await work(request)));
    await Promise.all([load(), changed()]);
  }

  const retry = (all) =>
    apply(async (request) => {
      const result = await api.retry(request, signal);
      const text = `${plural(result.retried, "dead letter")} retried: ${number(result.succeeded)} succeeded, ${plural(result.accepted, "new event")}, ${number(result.failed)} failed again.`;
      announce(text);
      return text;
    }, all);

  async function discard(all, count) {
    if (!(await confirmed(`Delete ${all ? "all " : ""}${plural(count, "dead letter")} permanently?`, "Delete"))) return;
    await apply(
      async (request) => `${plural((await api.discard(request, signal)).discarded, "dead letter")} deleted.`,
      all,
    );
  }

  function groups(page) {
    const retrySelected = action("Retry selected", () => retry(false)),
      discardSelected = action("Delete selected", () => discard(false, selected.size), { kind: "danger" });
    const update = () => (retrySelected.disabled = discardSelected.disabled = selected.size === 0);
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
    const byKind = [...byReason(page.dead_letters)].sort(([, one], [, other]) => other.length - one.length);
    return [
      bar,
      byKind.map(([kind, letters]) => group(kind, letters, page.total <= FEW, { selected, update })),
      page.total > page.dead_letters.length
        ? el("p.soft.small", {}, `The newest ${number(page.dead_letters.length)} of ${number(page.total)}.`)
        : null,
    ];
  }

  return { nodes: [outcome, body], load };
}

// The reasons without the values that they name: "type: wanted one of click, got …".
function byReason(letters) {
  const groups = new Map();
  for (const letter of letters) {
    const kind = letter.reason.replace(/\bgot .*$/s, "got …").replace(/'[^']*'/g, "…");
    groups.set(kind, [...(groups.get(kind) ?? []), letter]);
  }
  return groups;
}

function group(kind, letters, isOpen, { selected, update }) {
  const boxes = letters.map((letter) => el("input", { type: "checkbox", "aria-label": `Select dead letter ${letter.key}` }));
  const all = el("input", { type: "checkbox", "aria-label": `Select all: ${kind}` });
  const note = () => {
    boxes.forEach((box, index) => selected[box.checked ? "add" : "delete"](letters[index].key));
    all.checked = boxes.every((box) => box.checked);
    all.indeterminate = !all.checked && boxes.some((box) => box.checked);
    update();
  };
  boxes.forEach((box) => box.addEventListener("change", note));
  all.addEventListener("change", () => {
    boxes.forEach((box) => (box.checked = all.checked));
    note();
  });
  const rows = letters.map((letter, index) => [boxes[index], when(letter.time, Date.now()), origin(letter), content(letter)]);
  return el(
    "details.group",
    { open: isOpen },
    el("summary", {}, el("strong", {}, number(letters.length)), ` × ${kind}`),
    table(`Dead letters: ${kind}`, [[all, "keep box"], ["Time", "keep"], ["Source"], ["Reason and payload"]], rows),
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
