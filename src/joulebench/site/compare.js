/** The selected models side by side, each at its best point. */

import { energyBar, longestEnergy, withInterval } from "./cells.js";
import { chooseRows, overlap } from "./choose.js";
import { html, modelName } from "./dom.js";
import {
  DASH,
  figureOf,
  METRICS,
  otherLoad,
  PER_RESPONSES,
  parameters,
  percent,
  plural,
  pointName,
  publishedScore,
  qualityOf,
  qualityWords,
  QUANTILES,
  significant,
  sourceWords,
} from "./format.js";

const NOT_TOLD = "not told apart: intervals overlap";

/** A line of the comparison: its name, and what it says of a row; null where there is nothing to say. */
function line(name, cell) {
  return { name, cell };
}

function figureLine(name, stem, unit, factor = 1) {
  return line(name, ({ point }) =>
    point[`${stem}_${unit}`] === null ? null : withInterval(figureOf(point, stem, unit, factor)),
  );
}

/** @param {(value, point) => string} write */
function plainLine(name, column, write = (value) => significant(value)) {
  return line(name, ({ point }) => (point[column] === null ? null : write(point[column], point)));
}

function againstLeast(row, least) {
  if (!least || row.energy === null) return null;
  if (row.below) return "an estimate: not compared with measurements";
  if (row === least) return "least";
  const share = percent(row.energy / least.energy - 1);
  return overlap(row.point, least.point) ? `${share}, ${NOT_TOLD}` : share;
}

function lines(rows, unit, state) {
  const known = rows.filter((row) => row.energy !== null && !row.below).sort((a, b) => a.energy - b.energy);
  const [least] = known;
  const longest = longestEnergy(rows);
  const perThousand = (value) => significant(value * PER_RESPONSES);
  const money = rows.map((row) => row.point.currency).find((currency) => currency !== null) ?? "";
  const latencies = QUANTILES.map((quantile) =>
    figureLine(
      `${METRICS[state.metric].short} p${quantile} (${unit.name})`,
      `${state.metric}_p${quantile}`,
      "s",
      unit.factor,
    ),
  );
  return [
    plainLine("Device", "device", (name, point) => `${point.gpus > 1 ? `${point.gpus} × ` : ""}${name}`),
    plainLine("Card", "card", String),
    plainLine("Parameters", "parameters", parameters),
    plainLine("Weights", "weights", String),
    plainLine("Engine", "engine", (name, point) => [name, point.dtype].filter(Boolean).join(", ")),
    line("Best point", ({ point }) => pointName(point)),
    line("Load", ({ point }) => (otherLoad(point) ? `${point.load} (${point.setting})` : null)),
    line("Meets the latency target", (row) => (state.target === null ? null : row.meets ? "yes" : "no")),
    line("Energy per response (J)", (row) => {
      if (row.energy === null) return null;
      const cell = withInterval(figureOf(row.point, "energy_per_response", "j"));
      cell.append(energyBar(row.point, longest));
      return cell;
    }),
    line("Against the least", (row) => againstLeast(row, least)),
    figureLine("Energy per output token (J)", "energy_per_output_token", "j"),
    line(qualityWords(rows.map((row) => row.point)), ({ point }) => (point.quality === null ? null : withInterval(qualityOf(point)))),
    plainLine("Judged by", "quality_metric", String),
    figureLine("Energy per right answer (J)", "energy_per_right_answer", "j"),
    line("Published score", ({ point }) => (point.published_score === null ? null : publishedScore(point))),
    plainLine("What it is", "published_score_name", String),
    plainLine("Who published it", "published_score_source", (source, point) => `${source}, ${point.published_score_date}`),
    plainLine("Energy net of idle (J)", "net_energy_per_response_j"),
    plainLine("At its TDP (J)", "tdp_estimate_j", (joules, point) => {
      const ratio =
        point.energy_per_response_j === null
          ? ""
          : `, ${significant(joules / point.energy_per_response_j)} times as much`;
      return `${significant(joules)}${ratio}`;
    }),
    figureLine("Power (W)", "power", "w"),
    ...latencies,
    figureLine("Responses per s", "responses", "per_s"),
    figureLine("Output tokens per s", "output_tokens", "per_s"),
    plainLine(
      "Mean prompt, output tokens",
      "mean_output_tokens",
      (output, point) => `${significant(point.mean_prompt_tokens)}, ${significant(output)}`,
    ),
    line("Energy with PUE (J)", ({ point }) =>
      point.pue === null || point.pue === 1 ? null : withInterval(figureOf(point, "energy_with_pue_per_response", "j")),
    ),
    figureLine("gCO₂e per 1,000 responses", "carbon_per_response", "g", PER_RESPONSES),
    plainLine(
      "Carbon intensity",
      "carbon_g_per_kwh",
      (grams, point) => `${significant(grams)} g/kWh (${point.carbon_source ?? "source unknown"})`,
    ),
    plainLine(`Electricity, ${money} per 1,000`, "electricity_cost_per_response", perThousand),
    plainLine(`Device, ${money} per 1,000`, "gpu_cost_per_response", perThousand),
    plainLine(`Cost, ${money} per 1,000`, "cost_per_response", perThousand),
    plainLine("Carbon and cost left out", "footprint_reason", String),
    plainLine(
      "Window",
      "window_s",
      (seconds, point) => `${significant(seconds)} s, ${plural(point.window_responses ?? 0, "response")}`,
    ),
    plainLine("Estimate of the energy", "estimate", String),
    plainLine("Loaded idle (W)", "loaded_idle_power_w"),
    plainLine("Repeats", "repeats", String),
    plainLine("Peak memory (GB)", "peak_memory_mb", (mb) => significant(mb / 1000)),
    plainLine("Verdict", "verdict", String),
    line("Energy source", ({ point }) => sourceWords(point)),
    plainLine("Measured on", "measured_on", String),
  ];
}

/** @param onRemove called with the group whose column is to go. */
export function compareTable(data, state, unit, colours, onRemove) {
  if (state.selected.length === 0) {
    return html("p", { class: "empty" }, "Select models in the table or the chart to see them side by side.");
  }
  const points = data.points.filter((point) => state.selected.includes(point.group));
  const { rows } = chooseRows(points, { ...state, hardware: null, model: "", budget: null });
  const byGroup = new Map(rows.map((row) => [row.group, row]));
  const shown = state.selected.map((group) => byGroup.get(group)).filter(Boolean);
  if (shown.length === 0) return html("p", { class: "empty" }, "The filters leave no point of the selected models.");
  const heads = shown.map((row) => {
    const colour = colours.get(row.group) ?? null;
    const button = html(
      "button",
      { type: "button", class: "remove", "aria-label": `Remove ${row.point.entrant} on ${row.point.hardware}` },
      "×",
    );
    button.addEventListener("click", () => onRemove(row.group));
    const swatch = html("span", { class: `swatch ${colour === null ? "plain" : `c${colour}`}` });
    return html(
      "th",
      { scope: "col" },
      html(
        "span",
        { class: "head" },
        swatch,
        html("span", { class: "name" }, ...modelName(row.point.entrant), html("small", {}, row.point.hardware)),
        button,
      ),
    );
  });
  const body = html("tbody");
  for (const { name, cell } of lines(shown, unit, state)) {
    const cells = shown.map((row) => (row.usable ? cell(row) : name === "Verdict" ? row.point.verdict : null));
    if (cells.every((one) => one === null || one === undefined)) continue;
    body.append(html("tr", {}, html("th", { scope: "row" }, name), ...cells.map((one) => html("td", {}, one ?? DASH))));
  }
  return html(
    "table",
    { class: "compare" },
    html("caption", { class: "unseen" }, "The selected models side by side, with 95 % intervals"),
    html("thead", {}, html("tr", {}, html("td"), ...heads)),
    body,
  );
}
