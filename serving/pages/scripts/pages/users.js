// Users, searched by id prefix.
import { api } from "../api.js";
import { el, fill } from "../dom.js";
import { number } from "../format.js";
import { action, card, empty, failed, head, table, userHref, userLink, when } from "../parts.js";

const PAGE = 25;

export async function showUsers(visit) {
  const { signal, view } = visit;
  const results = el("div", { "aria-live": "polite" }),
    more = el("footer");
  const field = el("input", { type: "search", id: "user-id", autocomplete: "off", spellcheck: "false" });
  let users = [];
  let searches = 0;

  async function load(after) {
    const turn = ++searches;
    const page = await api.users({ prefix: field.value, after, limit: PAGE }, signal);
    if (turn !== searches) return; // a newer search has started
    users = after ? [...users, ...page.users] : page.users;
    fill(
      results,
      users.length
        ? userTable(users)
        : empty(
            field.value
              ? "No user id has this prefix."
              : "No users yet. Send events with POST /v1/interactions or `tidewise import`.",
          ),
    );
    fill(more, page.next_after ? action("More", () => load(page.next_after)) : null);
  }

  field.addEventListener("input", () =>
    load().catch((error) => {
      if (error.name !== "AbortError") fill(results, failed(error));
    }),
  );
  const form = el(
    "form.search",
    { role: "search" },
    el("div.grow", {}, el("label", { for: "user-id" }, "User id or prefix"), field),
    el("button.primary", {}, "Open"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (field.value) location.hash = userHref(field.value);
  });
  await load();
  fill(
    view,
    head("Users", "Events, interests and recommendations of each user."),
    card("Search", {}, form, results, more),
  );
}

function userTable(users) {
  return table(
    "Users",
    [["User"], ["Events", "number"], ["Newest event", "keep"]],
    users.map((user) => [userLink(user.user_id), number(user.user_seq), when(user.newest_event)]),
  );
}
