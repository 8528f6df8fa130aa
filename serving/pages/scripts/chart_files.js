// Saves what a chart shows: its numbers as CSV, or a picture with its title and legend.
import { el } from "./dom.js";

const FONT = 'px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const MARGIN = 12; // CSS pixels
const LINE = 22;

// `shown()`: {times, lines: [{name, colour, values}], canvas, colour(name)}, what the chart shows now.
export function saveButtons(caption, shown) {
  const file = caption.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  const button = (text, work) => el("button.small", { type: "button", onclick: work }, text);
  return el(
    "div.row",
    {},
    button("Save as CSV", () => save(`${file}.csv`, new Blob([csvOf(shown())], { type: "text/csv" }))),
    button("Save as picture", () => pictureOf(caption, shown()).toBlob((blob) => save(`${file}.png`, blob))),
  );
}

export function csvOf({ times, lines }) {
  const rows = times.map((time, index) => [new Date(time).toISOString(), ...lines.map(({ values }) => values[index] ?? "")]);
  return [["time", ...lines.map(({ name }) => plain(name))], ...rows].map((row) => row.map(quoted).join(",") + "\r\n").join("");
}

// A name that no spreadsheet takes for a formula, as in `core/interests/table.py`.
const plain = (name) => (/^[=+\-@\t\r]/.test(name) ? `'${name}` : name);
const quoted = (cell) => (/[",\r\n]/.test(cell) ? `"${String(cell).replaceAll('"', '""')}"` : cell);

function pictureOf(caption, { lines, canvas, colour }) {
  const scale = canvas.width / canvas.clientWidth;
  const picture = el("canvas");
  const pen = picture.getContext("2d");
  const width = canvas.clientWidth;
  pen.font = 12 + FONT;
  const places = legendPlaces(lines, width, (text) => pen.measureText(text).width);
  const top = MARGIN + LINE;
  const bottom = top + canvas.clientHeight;
  picture.width = (width + 2 * MARGIN) * scale;
  picture.height = (bottom + (places.at(-1).row + 1) * LINE + MARGIN) * scale;
  pen.scale(scale, scale);
  pen.fillStyle = colour("surface");
  pen.fillRect(0, 0, picture.width, picture.height);
  pen.textBaseline = "middle";
  pen.fillStyle = colour("ink");
  pen.font = "600 14" + FONT;
  pen.fillText(caption, MARGIN, MARGIN + LINE / 2);
  pen.drawImage(canvas, MARGIN, top, width, canvas.clientHeight);
  pen.font = 12 + FONT;
  for (const { line, x, row } of places) {
    const y = bottom + (row + 0.5) * LINE;
    pen.fillStyle = colour(line.colour);
    pen.fillRect(MARGIN + x, y - 5, 10, 10);
    pen.fillStyle = colour("ink");
    pen.fillText(line.name, MARGIN + x + 15, y);
  }
  return picture;
}

// Where each line's entry in the legend goes: {line, x, row}, in as many rows as they need.
function legendPlaces(lines, width, widthOf) {
  let x = 0,
    row = 0;
  return lines.map((line) => {
    const needed = widthOf(line.name) + 30;
    if (x && x + needed > width) [x, row] = [0, row + 1];
    const place = { line, x, row };
    x += needed;
    return place;
  });
}

function save(name, blob) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
