// Users: those active last, or in the order of their ids, searched by prefix.
import { api } from "../api.js";
import { el, fill } from "../dom.js";
import { number, percent } from "../format.js";
import { action, badge, card, empty, failed, head, table, userHref, userLink, when } from "../parts.js";
import { TableOrder } from "../table_order.js";

const PAGE = 25;
const SEQUENCE = "Rises with each event of the user, and with each that is undone";
const ORDERS = {
  activity: { text: "newest event", direction: "descending" },
  shift: { text: "shift of interest", direction: "descending" },
  id: { text: "id", direction: "ascending" },
};

export async function showUsers(visit) {
  const { signal, view } = visit;
  const results = el("div", { "aria-live": "polite" }),
    more = el("footer");
  const field = el("input", { type: "search", id: "user-id", autocomplete: "off", spellcheck: "false" });
  const order = new TableOrder(ORDERS, () => reload(), { reverses: false });
  let users = [];
  let searches = 0;

  async function load(after) {
    const turn = ++searches;
    const ordered = field.value ? { prefix: field.value } : { order: order.value };
    const page = await api.users({ ...ordered, after, limit: PAGE }, signal);
    if (turn !== searches) return; // a newer search has started
    users = after ? [...users, ...page.users] : page.users;
    fill(
      results,
      users.length
        ? userTable(users, order)
        : empty(
            field.value
              ? "No user id has this prefix."
              : order.value === "shift"
                ? "No shift of interest was found. The monitor tests the users of sampled events."
              : "No users yet. Send events with POST /v1/interactions or `tidewise import`.",
          ),
    );
    fill(more, page.next_after ? action("More", () => load(page.next_after)) : null);
  }

  const reload = () =>
    load().catch((error) => {
      if (error.name !== "AbortError") fill(results, failed(error));
    });
  field.addEventListener("input", () => {
    order.list.disabled = field.value !== ""; // users are found in the order of their ids
    reload();
  });
  const form = el(
    "form.search",
    { role: "search" },
    el("div.grow", {}, el("label", { for: "user-id" }, "User id or prefix"), field),
    el("div", {}, el("label", { for: "order" }, "Order by"), order.list),
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

function userTable(users, order) {
  return table(
    "Users",
    [
      [order.heading("User", "id")],
      [{ button: el("span", { title: SEQUENCE }, "Sequence number"), text: "Sequence no." }, "number"],
      [order.heading("Newest event", "activity"), "keep"],
      [order.heading("Shift of interest", "shift"), "keep"],
    ],
    users.map((user) => [
      userLink(user.user_id),
      number(user.user_seq),
      when(user.newest_event),
      user.interest_shift
        ? [badge(`${percent(user.interest_shift.distance)} moved`, "accent"), " ", when(user.interest_shift.since)]
        : el("span.soft", {}, "–"),
    ]),
  );
}
