/** The models that were measured on several pieces of hardware, these side by side. */

import { withInterval } from "./cells.js";
import { chooseRows, overlap, workOf } from "./choose.js";
import { html, modelName } from "./dom.js";
import { DASH, figureOf, isEstimate, percent, pointName } from "./format.js";
import { hardwareOf } from "./state.js";

/** What stands under a figure: its point, and how it is to the least of its line. */
function besides(row, least) {
  if (!row.meets) return "misses the target";
  if (isEstimate(row.point)) return "estimated, not compared";
  if (row === least) return "least";
  const share = percent(row.energy / least.energy - 1);
  return overlap(row.point, least.point) ? `${share}, not told apart` : share;
}

function sideCell(row, least) {
  if (row === undefined || row.energy === null) return html("td", { class: "number muted" }, DASH);
  const cell = withInterval(figureOf(row.point, "energy_per_response", "j"));
  cell.append(html("small", {}, pointName(row.point)), html("small", {}, besides(row, least)));
  return html("td", { class: row.meets && !isEstimate(row.point) ? "number" : "number muted" }, cell);
}

/** The table, each model at its best point on each, as it is and in each of its variants: weights in fp8 on one are not
 * held against others on another. Null where none has an energy on two pieces of hardware. */
export function sidesTable(data, state) {
  const names = hardwareOf(data, state.task);
  const variants = [...Map.groupBy(data.points, ({ variant }) => variant).values()];
  const rows = variants.flatMap((points) => chooseRows(points, { ...state, hardware: null }).rows);
  const known = rows.filter((row) => row.energy !== null);
  const models = Map.groupBy(known, ({ point }) => JSON.stringify([point.entrant, point.variant, workOf(point)]));
  const lines = [...models.values()].filter((of) => of.length > 1);
  if (lines.length === 0) return null;
  const shown = names.filter((name) => lines.some((of) => of.some(({ point }) => point.hardware === name)));
  const body = lines.map((of) => {
    const [least] = of
      .filter((row) => row.meets && !isEstimate(row.point))
      .sort((a, b) => a.energy - b.energy);
    const on = (name) => of.find(({ point }) => point.hardware === name);
    const model = html("span", { class: "name" }, ...modelName(of[0].point.entrant, of[0].point.variant));
    return html("tr", {}, html("th", { scope: "row" }, model), ...shown.map((name) => sideCell(on(name), least)));
  });
  const head = shown.map((name) => html("th", { scope: "col", class: "number" }, `${name} (J)`));
  return html(
    "table",
    { class: "sides" },
    html("caption", { class: "unseen" }, "Energy per response on each piece of hardware, with 95 % intervals"),
    html("thead", {}, html("tr", {}, html("th", { scope: "col" }, "Model"), ...head)),
    html("tbody", {}, ...body),
  );
}
