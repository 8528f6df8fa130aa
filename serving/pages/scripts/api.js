// The public API, as every other client uses it: JSON, one error shape, the key where the server wants one.

export class ApiError extends Error {
  constructor(message, status, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const id = encodeURIComponent;
// An item named like a route is reached by encoding one of its letters.
const ROUTES = new Set(["popular", "search", "trending", "latest"]);
const itemId = (name) => (ROUTES.has(name) ? "%" + name.charCodeAt(0).toString(16) + name.slice(1) : id(name));

function query(given) {
  const parts = Object.entries(given).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return parts.length ? "?" + new URLSearchParams(parts) : "";
}

let askForKey = () => Promise.reject(new Error("nobody can be asked for a key"));
let noteAnswer = () => {};

// `onKeyWanted(problem)` resolves once there is a key; `onAnswer(isAlive)` is told whether the server answers.
export function connect({ onKeyWanted, onAnswer }) {
  askForKey = onKeyWanted;
  noteAnswer = onAnswer;
}

export async function call(method, path, { body, signal } = {}) {
  for (;;) {
    const key = sessionStorage.getItem("key");
    const headers = { Accept: "application/json" };
    if (key) headers["X-API-Key"] = key;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const response = await reach(path, {
      method,
      headers,
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (response.status === 401) {
      await askForKey(key ? "That key was not accepted." : "");
      signal?.throwIfAborted();
      continue;
    }
    return read(response);
  }
}

async function reach(path, options) {
  try {
    const response = await fetch(path.slice(1), options); // relative, so that the dashboard may stand behind a prefix
    noteAnswer(true);
    return response;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    noteAnswer(false);
    throw new ApiError("The server does not answer.", 0, "unreachable");
  }
}

async function read(response) {
  let content = null;
  try {
    content = await response.json();
  } catch {
    throw new ApiError(
      `The server sent something that is no JSON (HTTP ${response.status}).`,
      response.status,
      "no_json",
    );
  }
  if (response.ok) return content;
  const told = content?.error;
  throw new ApiError(told?.message || `HTTP ${response.status}`, response.status, told?.code || "unknown");
}

const get = (path, signal) => call("GET", path, { signal });
const post = (path, body, signal) => call("POST", path, { body, signal });

export const api = {
  status: (signal) => get("/v1/status", signal),
  activity: (signal) => get("/v1/activity", signal),
  ingestion: (signal) => get("/v1/ingestion", signal),
  popular: (given, signal) => get("/v1/items/popular" + query(given), signal),
  trending: (given, signal) => get("/v1/items/trending" + query(given), signal),
  categories: (signal) => get("/v1/categories", signal),
  search: (given, signal) => get("/v1/items/search" + query(given), signal),
  items: (given, signal) => get("/v1/items" + query(given), signal),
  item: (item, signal) => get("/v1/items/" + itemId(item), signal),
  putItem: (item, body, signal) => call("PUT", "/v1/items/" + itemId(item), { body, signal }),
  similar: (item, given, signal) => get(`/v1/items/${itemId(item)}/similar` + query(given), signal),
  users: (given, signal) => get("/v1/users" + query(given), signal),
  events: (user, given, signal) => get(`/v1/users/${id(user)}/events` + query(given), signal),
  interests: (user, signal) => get(`/v1/users/${id(user)}/interests`, signal),
  recommend: (user, given, signal) => get(`/v1/users/${id(user)}/recommendations` + query(given), signal),
  whatIf: (body, signal) => post("/v1/recommendations", body, signal),
  send: (event, signal) => post("/v1/interactions?wait=applied", event, signal),
  letters: (given, signal) => get("/v1/dead-letters" + query(given), signal),
  retry: (body, signal) => post("/v1/dead-letters/retry", body, signal),
  discard: (body, signal) => post("/v1/dead-letters/discard", body, signal),
  models: (signal) => get("/v1/models", signal),
  promote: (version, body, signal) => post(`/v1/models/${id(version)}/promote`, body, signal),
  rollback: (body, signal) => post("/v1/models/rollback", body, signal),
  drift: (given, signal) => get("/v1/drift" + query(given), signal),
  categoryMix: (given, signal) => get("/v1/drift/categories" + query(given), signal),
};

// Not randomUUID: browsers have it on secure pages only, and this page may be served over plain HTTP in a network.
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return "dashboard-" + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
