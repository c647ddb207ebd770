/** The marks of one series: its line over its sweep, the intervals, the points and their batch sizes or other settings. */

import { isFlagged, isOffFrontier } from "./choose.js";
import { svg } from "./dom.js";
import { pointNumber } from "./format.js";

const RADIUS = 3.6;
const DASHES = [null, "6 3", "2 3", "8 3 2 3"];

function cross(x, y) {
  const r = RADIUS;
  return svg("path", {
    d: `M${x - r},${y - r}L${x + r},${y + r}M${x - r},${y + r}L${x + r},${y - r}`,
    class: "flagged",
  });
}

function pointMark({ point, x, y }, chosen, column) {
  const shape = isFlagged(point) ? cross(x, y) : svg("circle", { cx: x, cy: y, r: RADIUS });
  const names = ["point"];
  if (point.status === "overloaded") names.push("overloaded");
  if (isOffFrontier(point, column)) names.push("off-frontier");
  const ring = chosen === point ? svg("circle", { cx: x, cy: y, r: RADIUS + 4, class: "ring" }) : null;
  return svg("g", { class: names.join(" "), "data-setting": point.setting }, ring, shape);
}

/** Thin lines of the 95 % intervals, kept inside the panel. */
function intervalMarks({ point, x, y }, column, axes, factor) {
  const keep = (value, axis) => axis.px(Math.min(axis.high, Math.max(axis.low, value)));
  const marks = [];
  const [low, high] = [point.energy_per_response_low_j, point.energy_per_response_high_j];
  if (low !== null && high !== null) {
    const [from, to] = [low, high].map((value) => axes.y.length - keep(value, axes.y));
    marks.push(svg("line", { x1: x, x2: x, y1: from, y2: to }));
  }
  const [fast, slow] = ["low", "high"].map((bound) => point[column.replace(/_s$/, `_${bound}_s`)]);
  if (fast !== null && slow !== null) {
    const [from, to] = [fast, slow].map((value) => keep(value * factor, axes.x));
    marks.push(svg("line", { x1: from, x2: to, y1: y, y2: y }));
  }
  return marks;
}

/** `placed`: {point, x, y} by rising setting. `look`: {colour, variant, classes, chosen, column, factor}. */
export function seriesMark(placed, axes, look) {
  const path = placed.map(({ x, y }, place) => `${place ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`).join("");
  const names = ["series", look.colour === null ? "plain" : `c${look.colour}`, ...look.classes];
  return svg(
    "g",
    { class: names.join(" "), "data-group": placed[0].point.group },
    svg("path", { d: path, class: "line", "stroke-dasharray": DASHES[look.variant % DASHES.length] }),
    svg("g", { class: "intervals" }, ...placed.flatMap((one) => intervalMarks(one, look.column, axes, look.factor))),
    ...placed.map((one) => pointMark(one, look.chosen, look.column)),
    svg(
      "g",
      { class: "batches", "aria-hidden": "true" },
      ...placed.map(({ point, x, y }) => svg("text", { x, y: y - 9 }, pointNumber(point))),
    ),
  );
}
