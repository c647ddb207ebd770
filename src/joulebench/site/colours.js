/** Which models have a colour of their own in the chart, the legend and the tables. */

import { isTrusted } from "./choose.js";
import { unique } from "./data.js";

const COLOURS = 7;
const BEST = 5;

/**
 * group -> its colour. Each of few models on the hardware shown keeps one. Of many, the best have one, and those that are
 * selected, who get theirs from the other end, so that nobody's changes when one is selected.
 * @param points of the task; `rows`: the leaderboard's, best first
 */
export function coloursOf(points, rows, { hardware, selected }) {
  const shown = points.filter(
    (point) =>
      (hardware === null || point.hardware === hardware) &&
      isTrusted(point, true) &&
      point.energy_per_response_j !== null,
  );
  const groups = unique(shown, "group");
  const best = rows.filter((row) => row.rank !== null).map((row) => row.group);
  const first = groups.length <= COLOURS ? groups : best.slice(0, BEST);
  const extra = selected.filter((group) => !first.includes(group));
  const room = groups.length <= COLOURS ? first.length : Math.max(0, COLOURS - extra.length);
  return new Map([
    ...extra.map((group, place) => [group, COLOURS - 1 - (place % COLOURS)]),
    ...first.slice(0, room).map((group, place) => [group, place]),
  ]);
}
