// The frame: routing, page titles, the connection banner, the key dialog.
import { api, connect, endSession } from "./api.js";
import { announce, fill } from "./dom.js";
import { empty, failed, head } from "./parts.js";
import { rangeOf } from "./range.js";
import { isOutdated } from "./server_clock.js";
import { showDrift } from "./pages/drift.js";
import { showExperiment } from "./pages/experiment.js";
import { showExperiments } from "./pages/experiments.js";
import { showIngestion } from "./pages/ingestion.js";
import { showItem } from "./pages/item.js";
import { showItems } from "./pages/items.js";
import { showModels } from "./pages/models.js";
import { showOutcomes } from "./pages/outcomes.js";
import { showOverview } from "./pages/overview.js";
import { showScenarios } from "./pages/scenarios.js";
import { showUser } from "./pages/user.js";
import { showUsers } from "./pages/users.js";

const PAGES = {
  "": { name: "overview", title: () => "Overview", show: showOverview },
  users: { name: "users", title: () => "Users", show: showUsers, detail: { title: (user) => user, show: showUser } },
  items: { name: "items", title: () => "Items", show: showItems, detail: { title: (item) => item, show: showItem } },
  scenarios: { name: "scenarios", title: () => "Scenarios", show: showScenarios },
  experiments: {
    name: "experiments",
    title: () => "Experiments",
    show: showExperiments,
    detail: { title: (name) => name, show: showExperiment },
  },
  outcomes: { name: "outcomes", title: () => "Outcomes", show: showOutcomes },
  drift: { name: "drift", title: () => "Drift", show: showDrift },
  models: { name: "models", title: () => "Models", show: showModels },
  ingestion: { name: "ingestion", title: () => "Ingestion", show: showIngestion },
};

const view = document.getElementById("view");
let controller = new AbortController();
let openPath = null;

// What a page gets: its element, the time range, an abort signal for when it is left, and periodic work.
class Visit {
  constructor(view, id, range, signal) {
    this.view = view;
    this.id = id;
    this.range = range;
    this.signal = signal;
  }

  // Works every few seconds while the tab is visible, and at once when it becomes visible after a longer time.
  every(seconds, work) {
    let ranAt = Date.now();
    let isRunning = false;
    const run = async () => {
      if (document.hidden || isRunning || Date.now() - ranAt < 900 * seconds) return;
      isRunning = true;
      try {
        await work();
      } catch (error) {
        if (error.name !== "AbortError" && error.status !== 0) console.warn(error);
      } finally {
        ranAt = Date.now();
        isRunning = false;
      }
    };
    const timer = setInterval(run, seconds * 1000);
    document.addEventListener("visibilitychange", run, { signal: this.signal });
    this.signal.addEventListener("abort", () => clearInterval(timer));
  }

  title(text) {
    document.title = `${text} · Tidewise`;
  }
}

function parse(hash) {
  const [path] = hash.replace(/^#\/?/, "").split("?");
  const slash = path.indexOf("/");
  const first = slash < 0 ? path : path.slice(0, slash);
  let id = null;
  try {
    id = slash < 0 ? null : decodeURIComponent(path.slice(slash + 1)) || null;
  } catch {
    return { page: null, id: null };
  }
  const page = Object.hasOwn(PAGES, first) ? PAGES[first] : null;
  return { page, id: page?.detail ? id : null };
}

async function open() {
  controller.abort();
  controller = new AbortController();
  const { signal } = controller;
  const { page, id } = parse(location.hash);
  const range = rangeOf(location.hash);
  const shown = page && id !== null ? page.detail : page;
  for (const link of document.querySelectorAll("[data-page]")) {
    if (link.dataset.page === page?.name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const title = shown ? shown.title(id) : "Page not found";
  document.title = `${title} · Tidewise`;
  const path = location.hash.split("?")[0];
  if (openPath !== null && openPath !== path) {
    // keyboard focus continues at the start of the page
    view.focus({ preventScroll: true });
    scrollTo(0, 0);
    announce(title);
  }
  openPath = path;
  view.setAttribute("aria-busy", "true");
  try {
    if (shown && isOutdated()) await api.status(signal); // tells the server's now, on which periods depend
    if (shown) await shown.show(new Visit(view, id, range, signal));
    else fill(view, head("Page not found"), empty("There is no such page. The links above lead to all pages."));
  } catch (error) {
    if (error.name === "AbortError" || signal.aborted) return;
    fill(view, head(title), failed(error, open));
    if (!error.status && error.code === undefined) console.error(error);
  }
  if (!signal.aborted) view.setAttribute("aria-busy", "false");
}

const banner = document.getElementById("connection");
let unreachableSince = null;

function onReachable(isAlive) {
  if (isAlive && unreachableSince !== null) announce("The server answers again.");
  if (!isAlive && unreachableSince === null) unreachableSince = new Date();
  if (isAlive) unreachableSince = null;
  const text = isAlive
    ? ""
    : `No answer from the server since ${unreachableSince.toTimeString().slice(0, 8)}. The data shown may be outdated.`;
  if (banner.textContent !== text) banner.textContent = text;
  banner.hidden = isAlive;
}

const dialog = document.getElementById("key-dialog");
let keyRequest = null;

// One dialog, however many requests wait for the key.
function onKeyRequired(problem, signIn) {
  keyRequest ??= new Promise((resolve) => {
    document.getElementById("key-problem").textContent = problem;
    const link = document.getElementById("sign-in");
    link.hidden = signIn === null;
    if (signIn !== null) link.href = signIn;
    dialog.showModal();
    dialog.addEventListener("close", function closed() {
      const field = document.getElementById("key");
      if (!field.value) return void dialog.showModal(); // closed by Escape: no page works without a key
      dialog.removeEventListener("close", closed);
      sessionStorage.setItem("key", field.value);
      field.value = "";
      keyRequest = null;
      resolve();
    });
  });
  return keyRequest;
}

// Redirect /?user=ID to the page of the user.
const user = new URLSearchParams(location.search).get("user");
if (user) history.replaceState(null, "", location.pathname + "#/users/" + encodeURIComponent(user));

const signOut = document.getElementById("sign-out");
signOut.hidden = !document.cookie.includes("tidewise_signed_in=");
signOut.addEventListener("click", async () => {
  await endSession();
  location.reload();
});

connect({ onKeyRequired, onReachable });
addEventListener("hashchange", open);
open();
