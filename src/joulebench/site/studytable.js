/** The rows of a study, and what others claim of it, as tables. */

import { withInterval } from "./cells.js";
import { html, modelName } from "./dom.js";
import { DASH, figureOf, otherLoad, plain, significant } from "./format.js";
import { shapeKey } from "./shapes.js";
import { axisTitle, energyTitle, hasFigures, isDoubtful, isOfWholes, linesOf, measuresOf } from "./studies.js";

/** `key`: of studies.PER, where it is such a figure. */
function figures(title, stem, unit, key = "response") {
  const cell = (point) => (hasFigures(point, key) ? withInterval(figureOf(point, stem, unit)) : DASH);
  return { title, column: `${stem}_${unit}`, cell };
}

function plainFigure(title, column) {
  return { title, column, cell: (point) => significant(point[column]) };
}

const SHARE_OF_DRAIN = {
  title: "Drain’s share (%)",
  column: "drain_energy_j",
  cell: (point) => significant(point.drain_energy_j === null ? null : (100 * point.drain_energy_j) / point.whole_energy_j, 2),
};

/** The columns that the study has any figure for. */
function columnsOf(study) {
  const energies = measuresOf(study).map(([key, stem]) => figures(energyTitle(study, key), stem, "j", key));
  const parts = isOfWholes(study)
    ? [plainFigure("Steady part (J per response)", "steady_energy_per_response_j"), SHARE_OF_DRAIN]
    : [];
  const [first, ...others] = energies;
  const found = [
    ...(first ? [first] : []),
    ...parts,
    ...others,
    ...(study.points.some(otherLoad) ? [plainFigure("Mean in flight", "mean_batch_size")] : []),
    figures("Tokens per s", "output_tokens", "per_s"),
    figures("Latency p50 (s)", "latency_p50", "s"),
    figures("Power (W)", "power", "w"),
  ];
  return found.filter(({ column }) => study.points.some((point) => hasFigures(point) && point[column] !== null));
}

/** What the checks say of a point. */
function standingCell(point) {
  const badge = isDoubtful(point) ? html("span", { class: "badge doubt" }, point.standing === "whole" ? "all of it only" : "flagged") : null;
  const overloaded = point.status === "overloaded" ? html("span", { class: "badge doubt" }, "overloaded") : null;
  const why = point.standing === "valid" ? null : (point.flagged_for ?? point.verdict ?? point.reason ?? point.status);
  return html("td", { class: "standing" }, overloaded, badge, point.standing === "valid" ? "valid" : why);
}

/** A row a point, in the order of the lines. */
export function studyTable(study) {
  const columns = columnsOf(study);
  const lines = linesOf(study);
  const rows = lines.flatMap((line) => line.points.map((point) => ({ line, point })));
  const named = lines.length > 1;
  const body = rows.map(({ line, point }) => {
    const key = named ? shapeKey(line, ...(isDoubtful(point) ? ["hollow"] : [])) : null;
    const model = named ? html("small", {}, ...modelName(point.entrant, point.variant)) : null;
    const head = html("span", { class: "point" }, key, html("span", { class: "words" }, plain(point.axis_value), model));
    const cells = columns.map(({ cell }) => html("td", { class: "number" }, hasFigures(point) ? cell(point) : DASH));
    return html("tr", { "data-setting": point.setting }, html("th", { scope: "row" }, head), ...cells, standingCell(point));
  });
  const heads = [
    html("th", { scope: "col" }, axisTitle(study)),
    ...columns.map(({ title }) => html("th", { scope: "col", class: "number" }, title)),
    html("th", { scope: "col" }, "Checks"),
  ];
  return html(
    "table",
    { class: named ? "study-rows several" : "study-rows" },
    html("caption", { class: "unseen" }, `The points of ${study.name}, with 95 % intervals`),
    html("thead", {}, html("tr", {}, ...heads)),
    html("tbody", {}, ...body),
  );
}

const RATIOS = [
  ["Per prompt token, with the answer’s energy", "input_token_ratio"],
  ["Per prompt token read", "prompt_token_ratio"],
  ["Per further token written", "decoded_token_ratio"],
];

function ratioCell(claim, stem) {
  const found = figureOf({ x_r: claim[stem], x_low_r: claim[`${stem}_low`], x_high_r: claim[`${stem}_high`] }, "x", "r");
  return html("td", { class: "number" }, withInterval(found));
}

/** What others say of the study's settings, held against what was found; null where nobody says anything. */
export function claimsTable(study) {
  if (study.claims.length === 0) return null;
  const body = study.claims.map((claim) =>
    html(
      "tr",
      {},
      html("th", { scope: "row" }, claim.claim, html("small", {}, [claim.a, claim.b].filter(Boolean).join(" → "))),
      html("td", { class: "number" }, significant(claim.claimed_ratio, 2)),
      ...RATIOS.map(([, stem]) => ratioCell(claim, stem)),
      html("td", { class: "standing" }, html("strong", {}, claim.verdict ?? "not tested"), claim.reason ? html("small", {}, claim.reason) : null),
    ),
  );
  const heads = ["Claimed", ...RATIOS.map(([title]) => title)].map((title) => html("th", { scope: "col", class: "number" }, title));
  return html(
    "table",
    { class: "claims" },
    html("caption", { class: "unseen" }, "Claims of others: energy at the second setting over that at the first"),
    html("thead", {}, html("tr", {}, html("th", { scope: "col" }, "Claim, and the settings compared"), ...heads, html("th", { scope: "col" }, "Verdict"))),
    html("tbody", {}, ...body),
  );
}
