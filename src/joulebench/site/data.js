/** The document that the page carries, as objects. */

import { METRICS, QUANTILES } from "./format.js";

/** A table's rows as objects; null is what the table was written without. */
function objects({ columns, absent, rows }) {
  return rows.map((row) => {
    const object = Object.fromEntries(absent.map((name) => [name, null]));
    for (const [place, name] of columns.entries()) object[name] = row[place];
    return object;
  });
}

/** What the points of one line have in common. */
const SERIES = ["hardware", "model", "variant", "engine", "dtype", "gpus", "load", "axis"];
/** What of a point is for the page alone, and in no download. */
const PAGE_ONLY = ["axis_value", "at", "severity", "flagged_for", "standing", "first_standing"];

/** What has a row of its own on a piece of hardware: a model, and how its answers end. */
export function entrantOf(row) {
  return row.answers === "natural" ? `${row.model} (natural answers)` : row.model;
}

/** An entrant on a piece of hardware: what has one row in the leaderboard, and what is selected. */
export function groupOf(row) {
  return `${row.hardware}/${entrantOf(row)}`;
}

/** A study whose points know their line. Columns are those of its downloads. */
function readStudy(raw, sources) {
  const points = objects(raw.points).map((point) => ({
    ...point,
    entrant: entrantOf(point),
    source: sources[point.energy_source],
    series: JSON.stringify(["model", "variant", "answers"].map((name) => point[name])),
  }));
  return {
    ...raw,
    points,
    columns: raw.points.columns.filter((name) => !PAGE_ONLY.includes(name)),
    claims: objects(raw.claims),
    claimColumns: raw.claims.columns,
  };
}

/** @returns {{tasks, hardware, targets, publishFlagged, services, points, columns, recommendations, studies, unfinished}} `columns`: of downloads */
export function readDocument(text) {
  const raw = JSON.parse(text);
  const points = objects(raw.points).map((point) => ({
    ...point,
    group: groupOf(point),
    entrant: entrantOf(point),
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
    hardware: raw.hardware,
    targets: raw.targets,
    publishFlagged: raw.publish_flagged,
    services: raw.services,
    points,
    columns: raw.points.columns.filter((name) => !PAGE_ONLY.includes(name)),
    recommendations: objects(raw.recommendations).map((one) => ({
      ...one,
      entrant: entrantOf(one),
      source: raw.sources[one.energy_source],
    })),
    studies: raw.studies.map((study) => readStudy(study, raw.sources)),
    unfinished: raw.unfinished,
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
