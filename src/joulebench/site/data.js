/** The document that the page carries, as objects. */

import { METRICS, QUANTILES } from "./format.js";

/** A table's rows as objects; `absent` names what is null where the table was written without it. */
function objects(table, absent = []) {
  const base = Object.fromEntries(absent.map((name) => [name, null]));
  return table.rows.map((row) => {
    const object = { ...base };
    table.columns.forEach((name, place) => (object[name] = row[place]));
    return object;
  });
}

function intervals(name, unit) {
  return ["", "_low", "_high"].map((bound) => `${name}${bound}_${unit}`);
}

const LATENCIES = Object.keys(METRICS).flatMap((metric) =>
  QUANTILES.flatMap((quantile) => intervals(`${metric}_p${quantile}`, "s")),
);
export const POINT_COLUMNS = [
  ...["task", "hardware", "device", "model", "variant", "parameters", "weights", "engine", "dtype", "gpus", "tdp_w"],
  ...["card", "card_spread", "estimate"],
  ...["load", "axis", "setting", "max_batch_size", "mean_batch_size", "repeats"],
  ...["status", "reason", "verdict", "energy_source", "measured_on"],
  ...intervals("energy_per_response", "j"),
  ...intervals("energy_per_output_token", "j"),
  ...intervals("energy_with_pue_per_response", "j"),
  ...intervals("carbon_per_response", "g"),
  ...intervals("power", "w"),
  ...intervals("output_tokens", "per_s"),
  ...intervals("responses", "per_s"),
  ...LATENCIES,
  ...["net_energy_per_response_j", "loaded_idle_power_w", "tdp_estimate_j", "between_run_sd_j"],
  ...["response_prompt_tokens", "response_output_tokens"],
  ...["mean_prompt_tokens", "mean_output_tokens", "window_s", "window_responses", "peak_memory_mb"],
  ...["pue", "carbon_g_per_kwh", "carbon_source", "currency"],
  ...["electricity_cost_per_response", "gpu_cost_per_response", "cost_per_response", "footprint_reason", "frontier"],
];
/** What the page carries of a point as values, for itself. */
const FACTS = ["severity", "flagged_for"];
/** What the points of one line have in common. */
const SERIES = ["hardware", "model", "variant", "engine", "dtype", "gpus", "load", "axis"];
const RECOMMENDATION_COLUMNS = [
  ...["service", "task", "model", "variant", "hardware", "engine", "gpus", "at", "verdict"],
  ...intervals("energy_per_response", "j"),
  ...["found", "least_latency_batch_size", "least_latency_variant", "least_latency_tied_with", "largest_batch_size", "largest_variant"],
  ...intervals("saves_against_least_latency", "percent"),
  ...intervals("saves_against_largest_batch", "percent"),
  ...["tied_with", "undecided", "reason"],
];

/** A model on a piece of hardware: what has one row in the leaderboard, and what is selected. */
export function groupOf(row) {
  return `${row.hardware}/${row.model}`;
}

/** @returns {{tasks, targets, publishFlagged, services, points, recommendations}} */
export function readDocument(text) {
  const raw = JSON.parse(text);
  const points = objects(raw.points, [...POINT_COLUMNS, ...FACTS]).map((point) => ({
    ...point,
    group: groupOf(point),
    source: raw.sources[point.energy_source],
    frontier: point.frontier ?? [],
    series: JSON.stringify(SERIES.map((name) => point[name])),
  }));
  for (const list of Map.groupBy(points, (point) => JSON.stringify([point.task, point.group])).values()) {
    const judged = new Set(list.flatMap((point) => point.frontier));
    for (const point of list) point.judged = judged;
  }
  return {
    tasks: raw.tasks,
    targets: raw.targets,
    publishFlagged: raw.publish_flagged,
    services: raw.services,
    points,
    recommendations: objects(raw.recommendations, RECOMMENDATION_COLUMNS),
  };
}

export function unique(rows, name) {
  return [...new Set(rows.map((row) => row[name]).filter((value) => value !== null))].sort();
}

/** The metrics that any of the points has, in the order in which they are offered. */
export function metricsOf(points) {
  return Object.keys(METRICS).filter((metric) =>
    points.some((point) => QUANTILES.some((quantile) => point[`${metric}_p${quantile}_s`] !== null)),
  );
}
