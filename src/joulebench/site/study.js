/** The section of the studies, of which one is open. */

import { fill } from "./controls.js";
import { download, toCsv } from "./csv.js";
import { unique } from "./data.js";
import { byId, html, onControl } from "./dom.js";
import { modelName } from "./dom.js";
import { isEstimate, plural, significant } from "./format.js";
import { shapeKey } from "./shapes.js";
import { asksWords, isDoubtful, isOfWholes, linesOf, measuresOf, noticesOf, ofWords, PER, studyId } from "./studies.js";
import { makeStudyChart } from "./studychart.js";
import { claimsTable, studyTable } from "./studytable.js";

const SMALLEST_PX = 200; // a page that is not yet laid out has no width
const OVERLOADED = "overloaded";

/** Those of the state's task. */
function studiesOf(data, state) {
  return data.studies.filter((study) => study.task === state.task);
}

/** A name that a file may have. */
function fileName(study, what) {
  return `joulebench-${study.name.replaceAll(/[^A-Za-z0-9-]/g, "")}-${what}.csv`;
}

function keyItem(line) {
  const [point] = line.points;
  const knee = point.knee === null ? null : `bends at ${[point.knee, point.knee_low, point.knee_high].map((value) => significant(value, 2)).join("|")}`;
  const words = knee === null ? null : knee.replace("|", " (95\u00a0%: ").replace("|", "–").concat(")");
  return html(
    "li",
    { class: `c${line.colour}` },
    shapeKey(line.place),
    html("span", {}, html("span", { class: "name" }, ...modelName(point.entrant, point.variant)), words ? html("small", {}, words) : null),
  );
}

/** What the chart's marks stand for, and what it has no mark for. */
function noteWords(study, stem, left) {
  const words = [];
  if (isOfWholes(study) && stem.startsWith("study_")) words.push("Energy of all of a point, its ramp and drain included.");
  if (study.points.some((point) => point[`${stem}_low_j`] !== null)) words.push("Upright lines: 95 % intervals.");
  else words.push("No interval is known of these figures.");
  if (study.points.some(isDoubtful)) words.push("Hollow: doubtful, as said above.");
  if (study.points.some((point) => point.status === OVERLOADED)) words.push("Ringed: overloaded.");
  if (study.points.some((point) => point.repeats > 1)) words.push("Means of repeats.");
  if (left.length > 0) words.push(`Not drawn: ${plural(left.length, "point")} without this figure (${left.map((point) => point.at).join(", ")}).`);
  return words.join(" ");
}

/** @param change called with the parts of the state that change; `say`: for a screen reader */
export function makeStudies(data, change, say) {
  const chart = makeStudyChart(say);
  let open = null;
  let last = "";
  onControl("study", "change", HTMLSelectElement, ({ value }) => change({ study: value }));
  onControl("per", "change", HTMLSelectElement, ({ value }) => change({ per: value }));
  byId("study-download").addEventListener("click", () => {
    const known = open.columns.filter((name) => open.points.some((point) => point[name] !== null));
    download(fileName(open, "points"), toCsv(known, open.points));
  });
  byId("claims-download").addEventListener("click", () => download(fileName(open, "claims"), toCsv(open.claimColumns, open.claims)));

  function showOne(study, measure, width) {
    open = study;
    byId("study-title").textContent = `${study.name} on ${study.hardware}`;
    byId("study-asks").textContent = asksWords(study);
    byId("study-of").textContent = ofWords(study);
    byId("study-notices").replaceChildren(...noticesOf(study).map((text) => html("p", { class: "notice" }, text)));
    const left = chart.draw(study, measure, Math.max(width, SMALLEST_PX));
    byId("study-note").textContent = noteWords(study, measure[1], left);
    byId("study-legend").replaceChildren(html("ul", { class: "keys" }, ...linesOf(study).map(keyItem)));
    byId("study-rows").replaceChildren(studyTable(study));
    const claims = claimsTable(study);
    byId("study-claims").hidden = claims === null;
    byId("claims-download").hidden = claims === null;
    byId("claims-rows").replaceChildren(...(claims ? [claims] : []));
    byId("claims-source").textContent = unique(study.claims, "source").join("; ");
  }

  return {
    show(state, width) {
      const studies = studiesOf(data, state);
      const unfinished = data.unfinished.filter((one) => one.task === state.task);
      byId("studies").hidden = studies.length + unfinished.length === 0;
      byId("study-open").hidden = studies.length === 0;
      byId("unfinished").textContent =
        unfinished.length === 0
          ? ""
          : `Not shown, as not every run was measured as the config says: ${unfinished.map((one) => `${one.name} on ${one.hardware} (${one.there} of ${plural(one.runs, "run")})`).join(", ")}.`;
      if (studies.length === 0) return;
      const several = unique(studies, "hardware").length > 1;
      const study = studies.find((one) => studyId(one) === state.study) ?? studies[0];
      const measures = measuresOf(study);
      const measure = measures.find(([key]) => key === state.per) ?? measures[0] ?? ["response", "study_energy_per_response"];
      fill(byId("study"), studies.map((one) => [studyId(one), several ? `${one.name}, ${one.hardware}` : one.name]), studyId(study));
      fill(byId("per"), measures.map(([key]) => [key, PER[key] ?? key]), measure[0]);
      const next = JSON.stringify([studyId(study), measure, width]);
      if (next !== last) showOne(study, measure, width);
      last = next;
    },
  };
}
