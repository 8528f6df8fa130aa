"""What axe-core finds wrong with a page for people who do not see it, or see it otherwise."""

from __future__ import annotations

from pathlib import Path

import axe_playwright_python
from services.browser import Tab

# axe-core keeps the fields of each colour in weak maps, a third of its work: here they are private fields.
FIELDS = """() => {
    class Given { constructor(object) { return object; } }
    class Fields extends Given {
        #value;
        static has = (object) => #value in object;
        static get = (object) => object.#value;
        static set = (object, value) => { if (!(#value in object)) new Fields(object); object.#value = value; };
    }
    return { has: Fields.has, get: Fields.get, set: Fields.set, add: (object) => Fields.set(object, true) };
}"""
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
AXE = AXE.replace("=new WeakMap", "=fields()").replace("=new WeakSet", "=fields()")
AXE = f"((fields) => {{\n{AXE}\n}})({FIELDS})"
RULES_OF_COLOUR = ["color-contrast", "link-in-text-block"]  # the others find the same in light and dark
# A page has few colours, but axe-core parses them again for each text.
REMEMBER_COLOURS = """() => {
    const { prototype } = axe.commons.color.Color;
    const { parseString } = prototype;
    const known = new Map();
    prototype.parseString = function (text) {
        const colour = known.get(text);
        if (colour) return Object.assign(this, colour);
        parseString.call(this, text);
        known.set(text, { r: this.r, g: this.g, b: this.b, alpha: this.alpha });
        return this;
    };
}"""
FAULTS = """async (rules) => {
    const results = await axe.run(document, { resultTypes: ["violations"], ...(rules && { runOnly: rules }) });
    const serious = results.violations.filter((rule) => ["serious", "critical"].includes(rule.impact));
    return serious.map((rule) => `${rule.id}: ${rule.nodes.map((node) => node.target.join(" ")).join(", ")}`);
}"""


def faults(tab: Tab, rules: list[str] | None = None) -> list[str]:
    """What axe-core calls serious or critical, by these rules or all that it runs by default."""
    if not tab.page.evaluate("window.axe !== undefined"):
        tab.page.evaluate(AXE)
        tab.page.evaluate(REMEMBER_COLOURS)
    violations: list[str] = tab.page.evaluate(FAULTS, rules)
    return violations
