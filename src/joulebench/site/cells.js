/** The columns of the leaderboard: what each is sorted by, and what its cells hold. */

import { isFlagged, latencyColumn } from "./choose.js";
import { html, modelName, svg } from "./dom.js";
import {
  DASH,
  figureOf,
  isEstimate,
  isOfBatchSizes,
  METRICS,
  otherLoad,
  parameters,
  PER_RESPONSES,
  pointName,
  publishedScore,
  publishedWords,
  qualityOf,
  qualityWords,
  significant,
  sourceWords,
} from "./format.js";

const BAR_PX = 110;

function number(text) {
  return html("span", { class: "number" }, text);
}

/** A figure, and its interval under it. */
export function withInterval({ value, interval }) {
  return html("span", { class: "figure-cell" }, number(value), interval ? html("small", {}, interval) : null);
}

/** A bar of the energy on the scale of all rows, with its interval. */
export function energyBar(point, longest) {
  const px = (value) => (BAR_PX * Math.max(0, value)) / longest;
  const bar = svg("svg", { width: BAR_PX, height: 8, class: "energy-bar", "aria-hidden": "true" });
  bar.append(
    svg("rect", {
      x: 0,
      y: 1,
      width: Math.max(1, px(point.energy_per_response_j)),
      height: 6,
      class: isEstimate(point) ? "estimate" : "",
    }),
  );
  const [low, high] = [point.energy_per_response_low_j, point.energy_per_response_high_j];
  if (low !== null && high !== null) bar.append(svg("line", { x1: px(low), x2: px(high), y1: 4, y2: 4 }));
  return bar;
}

export function longestEnergy(rows) {
  return Math.max(...rows.map((row) => Math.max(row.point.energy_per_response_high_j ?? 0, row.energy ?? 0)), 1e-30);
}

function energyCell(row, longest) {
  if (row.energy === null) return html("span", { class: "muted" }, row.usable ? "not measured" : DASH);
  const cell = withInterval(figureOf(row.point, "energy_per_response", "j"));
  if (longest !== null) cell.append(energyBar(row.point, longest));
  return cell;
}

function badges(row, mixed) {
  const { point } = row;
  const found = [];
  if (row.usable && !row.meets) found.push(["misses the target", "misses"]);
  if (row.usable && point.status === "overloaded") found.push(["overloaded", "doubt", point.reason]);
  if (row.usable && isFlagged(point)) found.push(["flagged", "doubt", point.verdict]);
  if (mixed.weights && point.weights === "synthetic") found.push(["synthetic weights", "kind"]);
  if (mixed.sources && isEstimate(point)) found.push(["estimate", "kind", sourceWords(point)]);
  if (mixed.datasets && point.dataset) found.push([point.dataset, "kind"]);
  return found.map(([text, kind, title]) => html("span", { class: `badge ${kind}`, title }, text));
}

/** Why a model has no figures, or none that are ranked. */
function whyNot(row) {
  if (row.below) return html("small", { class: "why-below" }, `not ranked with measurements: ${sourceWords(row.point)}`);
  if (row.usable) return null;
  const why = row.point.verdict ?? row.point.reason ?? row.point.status;
  return html("small", { class: "why", title: why }, `no figures: ${why}`);
}

function modelCell(row, mixed, narrow) {
  const { point } = row;
  const box = html("input", {
    type: "checkbox",
    "data-group": row.group,
    "aria-label": `Compare ${point.entrant} on ${point.hardware}`,
  });
  const where = [point.hardware, point.engine, row.usable ? pointName(point) : null].filter(Boolean).join(" · ");
  const name = html("span", { class: "name" }, ...modelName(point.entrant, row.usable ? point.variant : null));
  const words = html(
    "span",
    { class: "words" },
    name,
    ...badges(row, mixed),
    narrow ? html("small", {}, where) : null,
    whyNot(row),
  );
  return html("label", { class: "model" }, box, html("span", { class: "swatch", "data-group": row.group }), words);
}

function rankCell(row) {
  if (row.rank === null) return html("span", { class: "muted" }, DASH);
  const tie = html(
    "abbr",
    { class: "tie", title: "Its interval overlaps that of the row ranked just before it." },
    "≈",
  );
  return html("span", {}, row.tied ? tie : null, String(row.rank));
}

function column(key, title, value, cell, options = {}) {
  return { key, title, value, cell: (row) => cell(row) ?? number(DASH), type: "number", first: "asc", ...options };
}

/** A column of a figure of the rows' points, with its interval. */
function figureColumn(key, title, [name, unit, factor = 1], options = {}) {
  const value = (row) => (row.usable ? row.point[`${name}_${unit}`] : null);
  return column(
    key,
    title,
    value,
    (row) => (row.usable ? withInterval(figureOf(row.point, name, unit, factor)) : null),
    options,
  );
}

/** The columns that `rows` have something for; where the table's place is of small `width` (px), the few that fit. */
export function columnsFor(rows, state, unit, width, severalHardware) {
  const narrow = width < 640;
  const longest = longestEnergy(rows);
  const points = rows.map((row) => row.point);
  const kinds = (name) => new Set(points.map(name)).size > 1;
  const mixed = { weights: kinds((point) => point.weights), sources: kinds(isEstimate), datasets: kinds((point) => point.dataset) };
  const has = (name) => rows.some((row) => row.usable && row.point[name] !== null);
  const measured = rows.filter((row) => row.energy !== null);
  const estimated = measured.length > 0 && measured.every((row) => isEstimate(row.point)) ? ", estimated" : "";
  const currency = points.find((point) => point.currency !== null)?.currency;
  const latency = latencyColumn(state).replace(/_s$/, "");
  const batch = (row) => (row.usable ? row.point.max_batch_size : null);
  const text = { type: "text" };
  const faster = { first: "desc" };
  const found = [
    column("rank", "Rank", (row) => row.place, rankCell),
    column(
      "model",
      "Model",
      (row) => row.point.entrant.toLowerCase(),
      (row) => modelCell(row, mixed, narrow),
      { type: "row" },
    ),
    column(
      "energy",
      `Energy per response (J${estimated})`,
      (row) => row.energy,
      (row) => energyCell(row, narrow ? null : longest),
    ),
    figureColumn("latency", `${METRICS[state.metric].short} p${state.quantile} (${unit.name})`, [
      latency,
      "s",
      unit.factor,
    ]),
  ];
  if (narrow) return found;
  found.splice(
    2,
    0,
    column(
      "parameters",
      "Parameters",
      (row) => row.point.parameters,
      (row) => number(parameters(row.point.parameters)),
    ),
    ...(severalHardware
      ? [
          column(
            "hardware",
            "Hardware",
            (row) => row.point.hardware,
            (row) => hardwareCell(row.point),
            text,
          ),
        ]
      : []),
    column(
      "engine",
      "Engine",
      (row) => row.point.engine,
      (row) => engineCell(row.point),
      text,
    ),
    ...(points.some(otherLoad)
      ? [
          column(
            "load",
            "Load",
            (row) => (row.usable ? row.point.load : null),
            (row) => (row.usable ? loadCell(row.point) : null),
            text,
          ),
        ]
      : []),
    column(
      "batch",
      "B",
      batch,
      (row) => (row.usable ? number(String(batch(row))) : null),
    ),
  );
  if (has("energy_per_output_token_j"))
    found.push(figureColumn("token", "J per token", ["energy_per_output_token", "j"]));
  const known = (row, name) => (row.usable ? row.point[name] : null);
  if (has("quality")) {
    const share = (row) => known(row, "quality");
    found.push(
      column("quality", qualityWords(points), share, (row) => (share(row) === null ? null : qualityCell(row)), faster),
    );
  }
  if (has("energy_per_right_answer_j"))
    found.push(figureColumn("right", "J per right answer", ["energy_per_right_answer", "j"]));
  if (has("published_score")) {
    const score = (row) => known(row, "published_score");
    const several = new Set(points.map((point) => point.published_score_name).filter(Boolean)).size > 1;
    found.push(
      column(
        "published",
        "Published score",
        score,
        (row) => (score(row) === null ? null : publishedCell(row.point, several)),
        faster,
      ),
    );
  }
  const [speed, counted] = has("output_tokens_per_s") ? ["Tokens", "output_tokens"] : ["Responses", "responses"];
  found.push(figureColumn("speed", `${speed} per s`, [counted, "per_s"], faster));
  if (has("power_w")) found.push(figureColumn("power", "Power (W)", ["power", "w"]));
  if (has("carbon_per_response_g")) {
    found.push(figureColumn("carbon", "gCO₂e per 1,000", ["carbon_per_response", "g", PER_RESPONSES]));
  }
  if (has("cost_per_response")) {
    const cost = (row) => (row.usable ? row.point.cost_per_response : null);
    found.push(
      column("cost", `${currency} per 1,000`, cost, (row) =>
        number(significant(cost(row) === null ? null : cost(row) * PER_RESPONSES)),
      ),
    );
  }
  return found;
}

function hardwareCell(point) {
  return html("span", { title: point.device }, `${point.hardware}${point.gpus > 1 ? ` ×${point.gpus}` : ""}`);
}

function qualityCell({ point }) {
  const cell = withInterval(qualityOf(point));
  cell.title = point.quality_metric;
  return cell;
}

/** `several`: whether other rows have another score, so that each is to be named. */
function publishedCell(point, several) {
  const name = several ? html("small", {}, point.published_score_name) : null;
  return html("span", { class: "figure-cell", title: publishedWords(point) }, number(publishedScore(point)), name);
}

function loadCell(point) {
  const at = isOfBatchSizes(point) ? null : html("small", {}, point.at);
  return html("span", { class: "figure-cell left", title: point.setting }, point.load, at);
}

function engineCell(point) {
  return html(
    "span",
    { class: "figure-cell left" },
    point.engine ?? DASH,
    point.dtype ? html("small", {}, point.dtype) : null,
  );
}
