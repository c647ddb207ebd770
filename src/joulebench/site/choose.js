/** From points to rows: each model's best point, as analysis/leaderboard.py chooses it. */

import { groupOf } from "./data.js";
import { isEstimate } from "./format.js";

const USABLE = ["measured", "overloaded"];

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
 * One row an entrant and piece of hardware: {group, point, usable, meets, waited, energy, rank, place, tied}, best first.
 * `over`, `unknown`: how many rows the energy budget left out, for their energy and for want of one.
 */
export function chooseRows(points, state) {
  const best = new Map();
  for (const point of pointsShown(points, state)) {
    const row = judged(point, state);
    const known = best.get(row.group);
    if (!known || better(row, known) < 0) best.set(row.group, row);
  }
  const all = [...best.values()].map((row) => ({
    ...row,
    energy: row.usable ? row.point.energy_per_response_j : null,
  }));
  const rows = all.filter((row) => state.budget === null || (row.energy !== null && row.energy <= state.budget));
  const works = [...new Set(rows.map(workOf))].sort();
  rows.sort((a, b) => works.indexOf(workOf(a)) - works.indexOf(workOf(b)) || better(a, b) || ascending(a.group, b.group));
  rank(rows);
  rows.forEach((row, place) => {
    row.place = row.rank === null ? null : place;
  });
  const unknown = state.budget === null ? 0 : all.filter((row) => row.energy === null).length;
  return { rows, over: all.length - rows.length - unknown, unknown };
}

/** What energies per response are compared among: answers that end alike, of one dataset; measured, or estimated. */
function workOf(row) {
  const { point } = row;
  return JSON.stringify([isEstimate(point), point.answers === "natural", point.answers, point.dataset]);
}

/** Rank by energy among the rows that meet the target and are of the same work; equal energies share one. */
function rank(rows) {
  for (const alike of Map.groupBy(rows, workOf).values()) {
    let before = null;
    alike.forEach((row, place) => {
      row.rank = row.meets && row.energy !== null ? place + 1 : null;
      row.tied = false;
      if (row.rank === null) return;
      if (before?.energy === row.energy) row.rank = before.rank;
      row.tied = before !== null && overlap(before.point, row.point);
      before = row;
    });
  }
}

/**
 * Whether the intervals of two points' energies overlap; false where either has none. Those of different cards of one
 * kind are widened by half of what such cards differ by, as analysis/choices.py does.
 */
export function overlap(a, b) {
  const cards = a.hardware === b.hardware && a.card !== b.card;
  const share = cards ? (a.card_spread ?? 0) / 2 : 0;
  const ends = [a, b].flatMap((point) => [point.energy_per_response_low_j, point.energy_per_response_high_j]);
  if (ends.includes(null)) return false;
  for (const low of [0, 2]) {
    ends[low] *= 1 - share;
    ends[low + 1] *= 1 + share;
  }
  return ends[0] <= ends[3] && ends[2] <= ends[1];
}
