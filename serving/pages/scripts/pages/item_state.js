// Whether an item may be recommended now, in badges and in words.
import { moment, number } from "../format.js";
import { badge } from "../parts.js";
import { serverNow } from "../server_clock.js";

// A badge for each reason why an item is in no list; none if it may be recommended.
export function reasonsNotShown(item, now = serverNow()) {
  const { hidden, stock, available_from: from, available_until: until } = item;
  return [
    hidden && badge("hidden", "warn"),
    stock !== null && stock <= 0 && badge("sold out", "warn"),
    from !== null && now < from && badge(`available from ${moment(from)}`, "warn"),
    until !== null && now >= until && badge("no longer available", "warn", `since ${moment(until)}`),
  ].filter(Boolean);
}

export const stockText = ({ stock }) => (stock === null ? "not counted" : number(stock));

export function availability({ available_from: from, available_until: until }) {
  const limits = [from !== null && `from ${moment(from)}`, until !== null && `until ${moment(until)}`].filter(Boolean);
  return limits.length ? limits.join(" ") : "at any time";
}
