// Elements made from text and other elements. There is no way to pass markup: what the API sends stays text.

// el("p.soft", {title: "..."}, "text", otherElement): children that are null or false are left out.
export function el(what, attributes = {}, ...children) {
  const [name, ...classes] = what.split(".");
  const made = document.createElement(name || "div");
  if (classes.length) made.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "class") made.className += (made.className ? " " : "") + value;
    else if (key in PROPERTIES) made[key] = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  return fill(made, ...children);
}

const PROPERTIES = { value: 1, checked: 1, disabled: 1, indeterminate: 1 };

// Replaces what an element holds.
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

// A list of things in a sentence, with the same separator between any two.
export function joined(nodes, separator) {
  return nodes.flatMap((node, place) => (place ? [separator, node] : [node]));
}

// Said by screen readers, seen by nobody.
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}
