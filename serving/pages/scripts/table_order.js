// The order of a table: chosen from a list, or by the headings of its columns.
import { el } from "./dom.js";

const REVERSED = { ascending: "descending", descending: "ascending" };

export class TableOrder {
  // `orders`: {value: {text, direction}} with the first direction of each, the first order is the default. `show`: shows
  // the rows anew. `reverses`: whether the heading of the current order reverses it.
  constructor(orders, show, { reverses = true } = {}) {
    this.orders = orders;
    this.show = show;
    this.reverses = reverses;
    const options = Object.entries(orders).map(([value, { text }]) => el("option", { value }, text));
    this.list = el("select", { id: "order", onchange: () => this.choose(this.list.value) }, options);
    this.direction = orders[this.value].direction;
  }

  get value() {
    return this.list.value;
  }

  choose(value, direction = this.orders[value].direction) {
    this.list.value = value;
    this.direction = direction;
    return this.show();
  }

  // The content of the heading of a column with an order of its own, and the `aria-sort` of that column.
  heading(text, value) {
    const isCurrent = value === this.value && !this.list.disabled;
    const work = async () => {
      await this.choose(value, isCurrent && this.reverses ? REVERSED[this.direction] : undefined);
      document.querySelector(`th [data-order="${value}"]`)?.focus(); // the table is a new one
    };
    const button = el("button.sort", { type: "button", onclick: work, disabled: this.list.disabled, "data-order": value }, text);
    return { text, button, sort: isCurrent ? this.direction : "none" };
  }
}
