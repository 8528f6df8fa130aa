// A client of the public API: JSON, one error shape, the API key if the server requires one.
import { noteNow } from "./server_clock.js";

export class ApiError extends Error {
  constructor(message, status, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

// HTTP clients remove the path segments "." and ".."; the API reads them with a semicolon behind.
const id = (name) => (name === "." || name === ".." ? name + ";" : encodeURIComponent(name));
// For an item named like a route, one letter is percent-encoded.
const ROUTES = new Set(["popular", "search", "trending", "latest"]);
const itemId = (name) => (ROUTES.has(name) ? "%" + name.charCodeAt(0).toString(16) + name.slice(1) : id(name));

function query(parameters) {
  const parts = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return parts.length ? "?" + new URLSearchParams(parts) : "";
}

// Says who asks; a page of another site cannot send it.
const DASHBOARD = { "X-Tidewise-Client": "dashboard" };
let requestKey = () => Promise.reject(new Error("not connected"));
let noteReachable = () => {};

// `onKeyRequired(problem, signIn)` resolves once a key is stored; `signIn`: where people sign in, or null.
// `onReachable(isAlive)` reports whether the server answered.
export function connect({ onKeyRequired, onReachable }) {
  requestKey = onKeyRequired;
  noteReachable = onReachable;
}

export async function call(method, path, { body, signal } = {}) {
  for (;;) {
    const key = sessionStorage.getItem("key");
    const headers = { Accept: "application/json", ...DASHBOARD };
    if (key) headers["X-API-Key"] = key;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const response = await reach(path, {
      method,
      headers,
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (response.status === 401) {
      // Not while a key that was given meanwhile has not been tried.
      const problem = key ? "The server rejected this key." : "";
      if (sessionStorage.getItem("key") === key) await requestKey(problem, response.headers.get("X-Tidewise-Sign-In"));
      signal?.throwIfAborted();
      continue;
    }
    return read(response);
  }
}

async function reach(path, options) {
  try {
    const response = await fetch(path.slice(1), options); // relative, so that the dashboard works behind a path prefix
    noteReachable(true);
    return response;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    noteReachable(false);
    throw new ApiError("The server does not answer.", 0, "unreachable");
  }
}

async function read(response) {
  let content = null;
  try {
    content = await response.json();
  } catch {
    throw new ApiError(`The server did not send JSON (HTTP ${response.status}).`, response.status, "no_json");
  }
  if (response.ok) return content;
  const problem = content?.error;
  throw new ApiError(problem?.message || `HTTP ${response.status}`, response.status, problem?.code || "unknown");
}

// Ends the session of a person who signed in.
export async function endSession() {
  await reach("/sign-in/end", { method: "POST", headers: DASHBOARD });
}

const get = (path, signal) => call("GET", path, { signal });
// A reply whose `now` is the server's; that of /v1/ingestion is the wall clock.
async function getAndNoteNow(path, signal) {
  const reply = await get(path, signal);
  noteNow(reply.now);
  return reply;
}
// What the dashboard asks for was shown to no user: it does not count as outcomes.
const unrecorded = (parameters) => ({ record: false, ...parameters });
const post = (path, body, signal) => call("POST", path, { body, signal });

// The answer to many changes is 200 although some were rejected.
function accepted(reply) {
  const rejected = reply.results.find((result) => result.error);
  if (rejected) throw new ApiError(rejected.error.message, 422, rejected.error.code);
  return reply;
}

export const api = {
  status: (signal) => getAndNoteNow("/v1/status", signal),
  activity: (signal) => get("/v1/activity", signal),
  timeline: ([since, until], signal) => getAndNoteNow("/v1/timeline" + query({ since, until }), signal),
  ingestion: (signal) => get("/v1/ingestion", signal),
  popular: (parameters, signal) => get("/v1/items/popular" + query(unrecorded(parameters)), signal),
  trending: (parameters, signal) => get("/v1/items/trending" + query(unrecorded(parameters)), signal),
  categories: (signal) => get("/v1/categories", signal),
  search: (parameters, signal) => get("/v1/items/search" + query(parameters), signal),
  items: (parameters, signal) => get("/v1/items" + query(parameters), signal),
  patchItems: async (body, signal) => accepted(await call("PATCH", "/v1/items", { body, signal })),
  item: (item, signal) => get("/v1/items/" + itemId(item), signal),
  itemStatistics: (item, parameters, signal) => get(`/v1/items/${itemId(item)}/statistics` + query(parameters), signal),
  similar: (item, parameters, signal) => get(`/v1/items/${itemId(item)}/similar` + query(unrecorded(parameters)), signal),
  users: (parameters, signal) => get("/v1/users" + query(parameters), signal),
  events: (user, parameters, signal) => get(`/v1/users/${id(user)}/events` + query(parameters), signal),
  interests: (user, signal) => get(`/v1/users/${id(user)}/interests`, signal),
  recommend: (user, parameters, signal) => get(`/v1/users/${id(user)}/recommendations` + query(unrecorded(parameters)), signal),
  whatIf: (body, signal) => post("/v1/recommendations", unrecorded(body), signal),
  send: (event, signal) => post("/v1/interactions?wait=applied", event, signal),
  deadLetters: (parameters, signal) => get("/v1/dead-letters" + query(parameters), signal),
  retry: (body, signal) => post("/v1/dead-letters/retry", body, signal),
  discard: (body, signal) => post("/v1/dead-letters/discard", body, signal),
  models: (signal) => get("/v1/models", signal),
  promote: (version, body, signal) => post(`/v1/models/${id(version)}/promote`, body, signal),
  rollback: (body, signal) => post("/v1/models/rollback", body, signal),
  scenarios: (signal) => get("/v1/scenarios", signal),
  putScenario: (name, body, parameters, signal) =>
    call("PUT", `/v1/scenarios/${id(name)}` + query(parameters), { body, signal }),
  deleteScenario: (name, parameters, signal) => call("DELETE", `/v1/scenarios/${id(name)}` + query(parameters), { signal }),
  scenarioRevisions: (name, signal) => get(`/v1/scenarios/${id(name)}/revisions`, signal),
  revertScenario: (name, body, parameters, signal) =>
    post(`/v1/scenarios/${id(name)}/revert` + query(parameters), body, signal),
  previewScenario: (body, signal) => post("/v1/scenarios/preview", body, signal),
  experiments: (signal) => get("/v1/experiments", signal),
  experiment: (name, signal) => get(`/v1/experiments/${id(name)}`, signal),
  experimentResults: (name, signal) => get(`/v1/experiments/${id(name)}/results`, signal),
  putExperiment: (name, body, parameters, signal) =>
    call("PUT", `/v1/experiments/${id(name)}` + query(parameters), { body, signal }),
  stopExperiment: (name, parameters, signal) => post(`/v1/experiments/${id(name)}/stop` + query(parameters), {}, signal),
  deleteExperiment: (name, parameters, signal) =>
    call("DELETE", `/v1/experiments/${id(name)}` + query(parameters), { signal }),
  outcomes: (parameters, signal) => get("/v1/outcomes" + query(parameters), signal),
  drift: (parameters, signal) => getAndNoteNow("/v1/drift" + query(parameters), signal),
  interestReport: (parameters, signal) => get("/v1/interests" + query(parameters), signal),
};

// Not randomUUID: browsers have it on secure pages only, and this page may be served over plain HTTP in a network.
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return "dashboard-" + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
