/** The section of the studies, of which one is open. */

import { fill } from "./controls.js";
import { download, toCsv } from "./csv.js";
import { unique } from "./data.js";
import { byId, html, modelName, onControl } from "./dom.js";
import { plain, plural, significant } from "./format.js";
import { shapeKey } from "./shapes.js";
import { asksWords, axisTitle, isDoubtful, isOfWholes, isOwn, linesOf, measuresOf, noticesOf, ofWords, PER, studyId } from "./studies.js";
import { makeStudyChart } from "./studychart.js";
import { claimsTable, studyTable } from "./studytable.js";

const STUDY_WIDTH_PX = 200; // a page that is not yet laid out has no width
const OVERLOADED = "overloaded";
const OF_CURVE = "study_"; // the energies that are of the whole of a point where there is one, and whose knee is known

/** Those of the state's task. */
function studiesOf(data, state) {
  return data.studies.filter((study) => study.task === state.task);
}

/** A name that a file may have. */
function fileName(study, what) {
  return `joulebench-${study.name.replaceAll(/[^A-Za-z0-9-]/g, "")}-${what}.csv`;
}

/** A line's mark, whose it is, and where it bends. */
function keyItem(line, stem) {
  const [point] = line.points;
  const [knee, low, high] = [point.knee, point.knee_low, point.knee_high].map((value) => significant(value, 2));
  const bends = point.knee !== null && stem.startsWith(OF_CURVE);
  const words = bends ? `bends at ${knee} (95\u00a0%: ${low}–${high})` : null;
  return html(
    "li",
    {},
    shapeKey(line),
    html("span", {}, html("span", { class: "name" }, ...modelName(point.entrant, point.variant)), words ? html("small", {}, words) : null),
  );
}

/** What the chart's marks stand for, and what it has no mark for. */
function noteWords(study, [key, stem], left) {
  const words = [];
  if (isOfWholes(study) && stem.startsWith(OF_CURVE)) words.push("Energy of all of a point, its ramp and drain included.");
  if (study.points.some((point) => point[`${stem}_low_j`] !== null)) words.push("Upright lines: 95 % intervals.");
  else words.push(isOfWholes(study) ? "No intervals: a ramp and a drain are no chance, and repeats alone would give one." : "No interval is known.");
  if (study.points.some((point) => isOwn(point, key) && isDoubtful(point, key))) {
    words.push(`Hollow: flagged, or without a steady part${key === "decoded" ? "; or its point of one token is, which is taken off" : ""}.`);
  }
  if (key === "prompt" && !study.points.every((point) => isOwn(point, key))) words.push("Drawn at one output token, where it is measured.");
  if (study.points.some((point) => point.status === OVERLOADED)) words.push("Ringed: overloaded.");
  if (study.points.some((point) => point.repeats > 1)) words.push("Means of repeats.");
  if (left.length > 0) words.push(`Not drawn, being without this figure: ${plural(left.length, "point")} (${axisTitle(study).toLowerCase()}: ${[...new Set(left.map((point) => plain(point.axis_value)))].join(", ")}).`);
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
    const left = chart.draw(study, measure, Math.max(width, STUDY_WIDTH_PX));
    byId("study-note").textContent = noteWords(study, measure, left);
    byId("study-legend").replaceChildren(html("ul", { class: "keys" }, ...linesOf(study).map((line) => keyItem(line, measure[1]))));
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
      for (const id of ["study-controls", "study-open"]) byId(id).hidden = studies.length === 0;
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
