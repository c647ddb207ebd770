/** What the page shows, and how the URL's hash says it. What a hash says that the data does not know is passed over. */

import { isMeasured, isTrusted } from "./choose.js";
import { metricsOf, unique } from "./data.js";
import { QUANTILES } from "./format.js";
import { PER, studyId } from "./studies.js";

export const DEFAULT_SORT = "rank.asc";
/** What may matter most, as the question at the top has it: those of answer.js. */
export const MATTERS = ["energy", "carbon", "cost", "quality", "right"];

/**
 * Null is what nothing was asked of.
 * @typedef {object} State
 * @property {string | null} task
 * @property {string} matters one of MATTERS
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
 * @property {string | null} study of studies.js; null: the first
 * @property {string} per what the study's energy is of, as studies.js has it
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

/** The pieces of hardware that a task has points of, in the order in which the page was given them. */
export function hardwareOf(data, task) {
  const found = new Set(data.points.filter((point) => point.task === task).map((point) => point.hardware));
  return data.hardware.filter((name) => found.has(name));
}

/** The first piece of hardware with a measured energy of the task; null, for all, where there is one or none. */
function firstMeasured(data, task) {
  const found = hardwareOf(data, task);
  if (found.length < 2) return null;
  const counts = (point) => point.task === task && isTrusted(point, data.publishFlagged) && isMeasured(point);
  const measured = new Set(data.points.filter(counts).map((point) => point.hardware));
  return found.find((name) => measured.has(name)) ?? null;
}

/** The state of another task: what was asked for by choice stays where it can be. */
export function stateOf(data, state, task) {
  const next = { ...initialState(data, task), flagged: state.flagged, matters: state.matters };
  const chosen = state.hardware !== firstMeasured(data, state.task);
  const known = state.hardware === null || hardwareOf(data, task).includes(state.hardware);
  return chosen && known ? { ...next, hardware: state.hardware } : next;
}

/** @returns {State} */
export function initialState(data, task = data.tasks[0] ?? null) {
  return {
    task,
    ...ownTarget(data, task),
    budget: null,
    matters: MATTERS[0],
    hardware: firstMeasured(data, task),
    engine: null,
    weights: null,
    model: "",
    flagged: data.publishFlagged,
    sort: DEFAULT_SORT,
    service: null,
    study: null,
    per: "response",
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
    "matters",
    "hardware",
    "engine",
    "weights",
    "model",
    "flagged",
    "sort",
    "service",
    "study",
    "per",
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
  state.matters = oneOf(words, "matters", MATTERS, state.matters);
  state.hardware = oneOf(words, "hardware", hardwareOf(data, state.task), words.get("hardware") === "any" ? null : state.hardware);
  for (const name of ["engine", "weights"]) state[name] = oneOf(words, name, unique(points, name), null);
  state.model = words.get("model") ?? "";
  state.flagged = oneOf(words, "flagged", [true, false], state.flagged);
  const sort = words.get("sort") ?? "";
  if (/^[a-z_]+\.(asc|desc)$/.test(sort)) state.sort = sort;
  state.service = words.get("service");
  state.study = oneOf(words, "study", data.studies.map(studyId), null);
  state.per = oneOf(words, "per", Object.keys(PER), state.per);
  const groups = new Set(points.map((point) => point.group));
  state.selected = [...new Set(words.getAll("select"))].filter((group) => groups.has(group));
  return state;
}
