/** From points to rows: each model's best point, as analysis/leaderboard.py chooses it; measured ones before estimates. */

import { groupOf } from "./data.js";
import { isEstimate } from "./format.js";

const USABLE = ["measured", "overloaded"];
const ENERGY_BOUNDS = ["energy_per_response_low_j", "energy_per_response_high_j"];

export function latencyColumn(state) {
  return `${state.metric}_p${state.quantile}_s`;
}

/** Whether a point's figures count. */
export function isTrusted(point, flagged) {
  if (!USABLE.includes(point.status) || point.responses_per_s === null) return false;
  return point.severity === "valid" || (flagged && isFlagged(point));
}

export function isFlagged(point) {
  return point.severity === "flagged";
}

function hasEstimate(point) {
  return point.energy_per_response_j !== null && isEstimate(point);
}

/** Whether a meter read the point's energy. */
export function isMeasured(point) {
  return point.energy_per_response_j !== null && !isEstimate(point);
}

/** `points` without those whose energy is estimated, where any of them has a measured one that counts. */
function withoutEstimates(points, flagged) {
  const measured = points.some((point) => isMeasured(point) && isTrusted(point, flagged));
  return measured ? points.filter((point) => !hasEstimate(point)) : points;
}

/** Whether another point of its model beats a point in both energy and the latency of `column`. */
export function isOffFrontier(point, column) {
  return isTrusted(point, false) && point.judged.has(column) && !point.frontier.includes(column);
}

/** Whether `row` (a point, a recommendation) is of what the filters let through. */
export function isShown(row, state) {
  const has = (name) => state[name] === null || !(name in row) || row[name] === state[name];
  const named = `${row.model}${row.variant ? `+${row.variant}` : ""}`.toLowerCase();
  return (
    row.task === state.task &&
    has("hardware") &&
    has("engine") &&
    has("weights") &&
    named.includes(state.model.toLowerCase())
  );
}

function ascending(a, b) {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  return a < b ? -1 : 1;
}

/** Better points first: the order of analysis.leaderboard. */
function better(a, b) {
  return (
    Number(b.usable) - Number(a.usable) ||
    Number(b.meets) - Number(a.meets) ||
    ascending(a.meets ? a.point.energy_per_response_j : null, b.meets ? b.point.energy_per_response_j : null) ||
    (a.meets ? ascending(b.point.responses_per_s, a.point.responses_per_s) : ascending(a.waited, b.waited)) ||
    a.point.axis_value - b.point.axis_value ||
    ascending(a.point.variant ?? "", b.point.variant ?? "")
  );
}

function judged(point, state) {
  const usable = isTrusted(point, state.flagged);
  const waited = point[latencyColumn(state)];
  const meets = usable && (state.target === null || (waited !== null && waited <= state.target));
  return { group: groupOf(point), point, usable, meets, waited: usable ? waited : null };
}

/** The points that the filters let through. */
export function pointsShown(points, state) {
  return points.filter((point) => isShown(point, state));
}

/**
 * One row an entrant and piece of hardware: {group, point, usable, meets, waited, energy, rank, place, tied, below}, best
 * first. `below`: its energy is estimated and another row's is measured, so that it stands below these, without a rank.
 * `over`, `unknown`: how many rows the energy budget left out, for their energy and for want of one.
 */
export function chooseRows(points, state) {
  const best = [...Map.groupBy(pointsShown(points, state), groupOf).values()].map((group) =>
    withoutEstimates(group, state.flagged)
      .map((point) => judged(point, state))
      .reduce((known, row) => (better(row, known) < 0 ? row : known)),
  );
  const anyMeasured = best.some((row) => row.usable && isMeasured(row.point));
  const all = best.map((row) => ({
    ...row,
    energy: row.usable ? row.point.energy_per_response_j : null,
    below: anyMeasured && row.usable && hasEstimate(row.point),
  }));
  const rows = all.filter((row) => state.budget === null || (row.energy !== null && row.energy <= state.budget));
  const works = [...new Set(rows.map(({ point }) => workOf(point)))].sort();
  const placeOf = (row) => (row.below ? works.length : works.indexOf(workOf(row.point)));
  rows.sort((a, b) => placeOf(a) - placeOf(b) || better(a, b) || ascending(a.group, b.group));
  rank(rows);
  rows.forEach((row, place) => {
    row.place = row.rank === null ? null : place;
  });
  const unknown = state.budget === null ? 0 : all.filter((row) => row.energy === null).length;
  return { rows, over: all.length - rows.length - unknown, unknown };
}

/** What energies per response are compared among: answers that end alike, of one dataset. */
export function workOf(point) {
  return JSON.stringify([point.answers === "natural", point.answers, point.dataset]);
}

/** Rank by energy among the rows that meet the target and are of the same work; equal energies share one. */
function rank(rows) {
  for (const row of rows) Object.assign(row, { rank: null, tied: false });
  const ranked = rows.filter((row) => !row.below);
  for (const alike of Map.groupBy(ranked, ({ point }) => workOf(point)).values()) {
    let before = null;
    alike.forEach((row, place) => {
      if (!row.meets || row.energy === null) return;
      row.rank = place + 1;
      if (before?.energy === row.energy) row.rank = before.rank;
      row.tied = before !== null && overlap(before.point, row.point);
      before = row;
    });
  }
}

/**
 * Whether the intervals of two points' energies overlap, or of another figure by its `bounds`; false where either has
 * none. Those of different cards of one kind are widened by half of what such cards differ by, as analysis/choices.py
 * does; only what follows from the energy is.
 */
export function overlap(a, b, bounds = ENERGY_BOUNDS, ofEnergy = true) {
  const cards = a.hardware === b.hardware && a.card !== b.card;
  const share = cards && ofEnergy ? (a.card_spread ?? 0) / 2 : 0;
  const ends = [a, b].flatMap((point) => bounds.map((name) => point[name]));
  if (ends.includes(null)) return false;
  for (const low of [0, 2]) {
    ends[low] *= 1 - share;
    ends[low + 1] *= 1 + share;
  }
  return ends[0] <= ends[3] && ends[2] <= ends[1];
}
