// The reference of the API at /docs: all routes and schemas of /openapi.json, as this server answers them.
import { add, el, fill, joined, withCode } from "./dom.js";

const METHODS = ["get", "post", "put", "patch", "delete"];
const view = document.getElementById("view");

show().catch((problem) => fill(view, el("p.banner.bad", { role: "alert" }, `openapi.json cannot be read: ${problem.message}`)));

async function show() {
  const response = await fetch("openapi.json");
  if (!response.ok) throw new Error(`status ${response.status}`);
  const { info, paths, components } = await response.json();
  const groups = new Map();
  for (const [path, operations] of Object.entries(paths)) {
    for (const method of METHODS.filter((name) => name in operations)) {
      const operation = operations[method];
      const tag = operation.tags?.[0] ?? "other";
      groups.set(tag, [...(groups.get(tag) ?? []), route(method, path, operation)]);
    }
  }
  const schemas = Object.entries(components.schemas).sort(([one], [other]) => one.localeCompare(other));
  fill(document.getElementById("tags"), [...groups.keys(), "schemas"].map((tag) => el("li", {}, link(`#${tag}`, tag))));
  fill(
    view,
    el(".head", {}, el("h1", {}, `API of ${info.title} ${info.version}`), el("p", {}, withCode(info.description))),
    el(
      ".grid",
      {},
      [...groups].map(([tag, routes]) => card(tag, routes)),
      card("schemas", schemas.map(([name, schema]) => described(name, schema))),
    ),
  );
  view.setAttribute("aria-busy", "false");
  goTo(location.hash);
  addEventListener("hashchange", () => goTo(location.hash));
}

// A link to a schema opens it.
function goTo(hash) {
  const target = hash && document.getElementById(decodeURIComponent(hash.slice(1)));
  if (!target) return;
  if (target.tagName === "DETAILS") target.open = true;
  target.scrollIntoView();
}

function card(tag, entries) {
  return el("section.card", { id: tag }, el("header", {}, el("h2", {}, tag)), entries);
}

function route(method, path, operation) {
  const body = operation.requestBody;
  const parameters = operation.parameters ?? [];
  return el(
    "details.group",
    { id: `${method}:${path}` },
    el("summary", {}, el("code", {}, `${method.toUpperCase()} ${path}`), " ", el("span.soft", {}, withCode(operation.description))),
    parameters.length > 0 && [el("h3", {}, "Parameters"), fields(parameters.map((each) => [each.name, each.schema, each]))],
    body && [el("h3", {}, "Body"), el("p", {}, contents(body), " ", el("span.soft", {}, withCode(body.description)))],
    el("h3", {}, "Answers"),
    table(["Status", "Body", "When"], Object.entries(operation.responses).map(answer)),
  );
}

function answer([status, response]) {
  return [el("code", {}, status), response.content ? contents(response) : "none", withCode(response.description)];
}

// The types of a body, one for each media type.
function contents({ content }) {
  return joined(Object.entries(content).map(([media, { schema }]) => [el("code", {}, media), ": ", type(schema ?? {})]), ", ");
}

function described(name, schema) {
  const rows = Object.entries(schema.properties ?? {}).map(([field, part]) => {
    return [field, part, { description: part.description, required: schema.required?.includes(field) }];
  });
  const summary = el("summary", {}, el("code", {}, name), " ", el("span.soft", {}, withCode(schema.description)));
  return el("details.group", { id: `schema-${name}` }, summary, rows.length ? fields(rows) : el("p", {}, type(schema)));
}

function fields(rows) {
  const cells = rows.map(([name, schema, { description, required, in: place }]) => [
    [el("code", {}, name), required && el("small.soft", {}, " required"), place && el("small.soft", {}, ` ${place}`)],
    type(schema),
    withCode(description),
  ]);
  return table(["Name", "Type", "Meaning"], cells);
}

function table(heads, rows) {
  const head = el("tr", {}, heads.map((name) => el("th", { scope: "col" }, name)));
  const body = rows.map((cells) => el("tr", {}, cells.map((cell) => el("td", {}, cell))));
  return el(".scroll", { tabindex: 0 }, el("table", {}, el("thead", {}, head), el("tbody", {}, body)));
}

// A type in words; a named schema is a link.
function type(schema) {
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return link(`#schema-${name}`, name);
  }
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return add(el("span"), joined(choices.map(type), " or "));
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.type === "array") return add(el("span"), "list of ", schema.items ? type(schema.items) : "any", sizes(schema));
  if (schema.type === "object" && typeof schema.additionalProperties === "object") {
    return add(el("span"), "map of ", type(schema.additionalProperties));
  }
  return `${schema.type ?? "any"}${sizes(schema)}`;
}

// Limits and the default of a value.
function sizes(schema) {
  const least = schema.minimum ?? schema.minLength ?? schema.minItems;
  const most = schema.maximum ?? schema.maxLength ?? schema.maxItems;
  const parts = [least !== undefined && `from ${least}`, most !== undefined && `to ${most}`];
  if (schema.default !== undefined && schema.default !== null) parts.push(`default ${JSON.stringify(schema.default)}`);
  const said = parts.filter(Boolean).join(", ");
  return said && ` (${said})`;
}

function link(href, text) {
  return el("a", { href: encodeURI(href) }, text);
}
