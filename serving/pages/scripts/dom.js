// Creates elements from text and other elements. Markup cannot be passed: what the API sends stays text.

// el("p.soft", {title: "..."}, "text", otherElement): null and false children are skipped.
export function el(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "class") element.className += (element.className ? " " : "") + value;
    else if (key in PROPERTIES) element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  return fill(element, ...children);
}

const PROPERTIES = { value: 1, checked: 1, disabled: 1, indeterminate: 1 };

// Replaces the children of an element.
export function fill(parent, ...children) {
  parent.replaceChildren();
  return add(parent, ...children);
}

export function add(parent, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : String(child));
  }
  return parent;
}

// A text of which the parts `in backticks` are code.
export const withCode = (text) =>
  (text ?? "").split(/`([^`]+)`/).map((part, index) => (index % 2 ? el("code", {}, part) : part));

// Nodes with a separator between them.
export function joined(nodes, separator) {
  return nodes.flatMap((node, index) => (index ? [separator, node] : [node]));
}

// For screen readers only.
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}
