// The frame: which page is shown, its title, the connection, the key.
import { connect } from "./api.js";
import { announce, fill } from "./dom.js";
import { empty, failed, head } from "./parts.js";
import { showDrift } from "./pages/drift.js";
import { showIngestion } from "./pages/ingestion.js";
import { showItem } from "./pages/item.js";
import { showItems } from "./pages/items.js";
import { showModels } from "./pages/models.js";
import { showOverview } from "./pages/overview.js";
import { showUser } from "./pages/user.js";
import { showUsers } from "./pages/users.js";

const PAGES = {
  "": { name: "overview", title: () => "Overview", show: showOverview },
  users: { name: "users", title: () => "Users", show: showUsers, one: { title: (user) => user, show: showUser } },
  items: { name: "items", title: () => "Items", show: showItems, one: { title: (item) => item, show: showItem } },
  drift: { name: "drift", title: () => "Drift", show: showDrift },
  models: { name: "models", title: () => "Models", show: showModels },
  ingestion: { name: "ingestion", title: () => "Ingestion", show: showIngestion },
};

const view = document.getElementById("view");
let leaving = new AbortController();
let isFirst = true;

// What a page is given: its place, a signal that ends with it, and work to do again and again while it is looked at.
class Visit {
  constructor(view, id, signal) {
    this.view = view;
    this.id = id;
    this.signal = signal;
  }

  every(seconds, work) {
    const run = async () => {
      if (document.hidden) return;
      try {
        await work();
      } catch (error) {
        if (error.name !== "AbortError" && error.status !== 0) console.warn(error);
      }
    };
    const timer = setInterval(run, seconds * 1000);
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
  return { page, id: page?.one ? id : null };
}

async function open() {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const { page, id } = parse(location.hash);
  const shown = page && id !== null ? page.one : page;
  for (const link of document.querySelectorAll("[data-page]")) {
    if (link.dataset.page === page?.name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const title = shown ? shown.title(id) : "Nothing here";
  document.title = `${title} · Tidewise`;
  if (!isFirst) {
    // the keyboard goes on where the page begins
    view.focus({ preventScroll: true });
    scrollTo(0, 0);
    announce(title);
  }
  isFirst = false;
  view.setAttribute("aria-busy", "true");
  try {
    if (shown) await shown.show(new Visit(view, id, signal));
    else fill(view, head("Nothing here"), empty("There is no such page. The links above lead to all there are."));
  } catch (error) {
    if (error.name === "AbortError" || signal.aborted) return;
    fill(view, head(title), failed(error, open));
    if (!error.status && error.code === undefined) console.error(error);
  }
  if (!signal.aborted) view.setAttribute("aria-busy", "false");
}

const banner = document.getElementById("connection");
let silentSince = null;

function onAnswer(isAlive) {
  if (isAlive && silentSince !== null) announce("The server answers again.");
  if (!isAlive && silentSince === null) silentSince = new Date();
  if (isAlive) silentSince = null;
  const text = isAlive
    ? ""
    : `The server does not answer since ${silentSince.toTimeString().slice(0, 8)}. What you see may be old.`;
  if (banner.textContent !== text) banner.textContent = text;
  banner.hidden = isAlive;
}

const dialog = document.getElementById("key-dialog");
let asked = null;

// One question, however many requests wait for the key.
function onKeyWanted(problem) {
  asked ??= new Promise((resolve) => {
    document.getElementById("key-problem").textContent = problem;
    dialog.showModal();
    dialog.addEventListener("close", function closed() {
      const field = document.getElementById("key");
      if (!field.value) return void dialog.showModal(); // closed by Escape: there is no way on without a key
      dialog.removeEventListener("close", closed);
      sessionStorage.setItem("key", field.value);
      field.value = "";
      asked = null;
      resolve();
    });
  });
  return asked;
}

// A link to /?user=ID leads to that user.
const user = new URLSearchParams(location.search).get("user");
if (user) history.replaceState(null, "", location.pathname + "#/users/" + encodeURIComponent(user));

connect({ onKeyWanted, onAnswer });
addEventListener("hashchange", open);
open();
