/** What the page shows, and how the URL's hash says it. What a hash says that the data does not know is passed over. */

import { metricsOf, unique } from "./data.js";
import { isEstimate, QUANTILES } from "./format.js";

export const DEFAULT_SORT = "rank.asc";

/**
 * Null is what nothing was asked of.
 * @typedef {object} State
 * @property {string | null} task
 * @property {string} metric
 * @property {number} quantile
 * @property {number | null} target seconds
 * @property {number | null} budget joules a response
 * @property {string | null} hardware
 * @property {string | null} engine
 * @property {string | null} weights
 * @property {string} model part of its name
 * @property {boolean} flagged whether flagged points are taken
 * @property {string} sort a column and a direction: "rank.asc"
 * @property {string | null} service
 * @property {string[]} selected groups of data.js
 */

/** The latency that a task is judged by when nothing else is asked for. */
export function ownTarget(data, task) {
  const own = data.targets[task];
  if (own) return { metric: own.metric, quantile: own.quantile, target: own.at_most_s };
  const metrics = metricsOf(data.points.filter((point) => point.task === task));
  const metric = ["tpot", "latency"].find((name) => metrics.includes(name)) ?? metrics[0] ?? "latency";
  return { metric, quantile: 50, target: null };
}

/** Of several pieces of hardware the one on which most was measured for a task, the first of equals; null of one alone. */
function ownHardware(data, task) {
  const points = data.points.filter((point) => point.task === task);
  const several = unique(points, "hardware");
  const measured = (name) =>
    unique(
      points.filter((point) => point.hardware === name && point.energy_per_response_j !== null && !isEstimate(point)),
      "group",
    ).length;
  const counts = several.map(measured);
  const most = Math.max(0, ...counts);
  return several.length < 2 || most === 0 ? null : several[counts.indexOf(most)];
}

/** @returns {State} */
export function initialState(data, task = data.tasks[0] ?? null) {
  return {
    task,
    ...ownTarget(data, task),
    budget: null,
    hardware: ownHardware(data, task),
    engine: null,
    weights: null,
    model: "",
    flagged: data.publishFlagged,
    sort: DEFAULT_SORT,
    service: null,
    selected: [],
  };
}

/** The hash that brings `state` back; what is as at the start is left out. */
export function toHash(state, data) {
  const start = initialState(data, state.task);
  const words = new URLSearchParams();
  if (state.task !== data.tasks[0]) words.set("task", state.task);
  for (const name of [
    "metric",
    "quantile",
    "target",
    "budget",
    "hardware",
    "engine",
    "weights",
    "model",
    "flagged",
    "sort",
    "service",
  ]) {
    if (state[name] !== start[name]) words.set(name, state[name] ?? "any");
  }
  for (const group of state.selected) words.append("select", group);
  return words.toString();
}

function oneOf(words, name, values, otherwise) {
  return values.find((value) => String(value) === words.get(name)) ?? otherwise;
}

function positive(words, name, otherwise) {
  if (!words.has(name)) return otherwise;
  const value = Number(words.get(name));
  return Number.isFinite(value) && value > 0 ? value : null;
}

export function fromHash(hash, data) {
  const words = new URLSearchParams(hash.replace(/^#/, ""));
  const state = initialState(data, oneOf(words, "task", data.tasks, data.tasks[0] ?? null));
  const points = data.points.filter((point) => point.task === state.task);
  state.metric = oneOf(words, "metric", metricsOf(points), state.metric);
  state.quantile = oneOf(words, "quantile", QUANTILES, state.quantile);
  state.target = positive(words, "target", state.target);
  state.budget = positive(words, "budget", state.budget);
  for (const name of ["hardware", "engine", "weights"]) {
    if (words.has(name)) state[name] = oneOf(words, name, unique(points, name), null);
  }
  state.model = words.get("model") ?? "";
  state.flagged = oneOf(words, "flagged", [true, false], state.flagged);
  const sort = words.get("sort") ?? "";
  if (/^[a-z_]+\.(asc|desc)$/.test(sort)) state.sort = sort;
  state.service = words.get("service");
  const groups = new Set(points.map((point) => point.group));
  state.selected = [...new Set(words.getAll("select"))].filter((group) => groups.has(group));
  return state;
}
