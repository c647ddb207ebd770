/** The page: one state, and everything that shows it. */

import { makeChart } from "./chart.js";
import { chooseRows, isFlagged, isOffFrontier, latencyColumn } from "./choose.js";
import { coloursOf } from "./colours.js";
import { compareTable } from "./compare.js";
import { fill, makeControls, makeTheme } from "./controls.js";
import { download, pointsCsv, rowsCsv } from "./csv.js";
import { readDocument, unique } from "./data.js";
import { byId, html, onControl } from "./dom.js";
import { durationUnit, durationWords, isEstimate, isOfBatchSizes, plural, quantileWords } from "./format.js";
import { showLegend } from "./legend.js";
import { makeQuestion } from "./question.js";
import { recommendationsTable, servicesOf } from "./recommend.js";
import { sidesTable } from "./sides.js";
import { showSources } from "./sources.js";
import { fromHash, initialState, stateOf, toHash } from "./state.js";
import { makeStudies } from "./study.js";
import { makeTable } from "./table.js";

const HASH_DELAY_MS = 150; // browsers refuse an address that changes too often

const data = readDocument(byId("data").textContent);
let state = fromHash(location.hash, data);
let hovered = null;
let hashTimer = null;
// Read when they change: to ask for them while elements are being replaced has the page laid out each time.
const widths = Object.fromEntries(["chart", "scroll", "study-chart"].map((id) => [id, byId(id).clientWidth]));

const chart = makeChart({ hover, select, say });
const table = makeTable(unique(data.points, "hardware").length > 1, {
  hover,
  select,
  sort: (sort) => {
    state.sort = sort;
    keepHash();
  },
});
const controls = makeControls(data, change, () => apply(initialState(data, state.task)));
const question = makeQuestion(data, change);
const studies = makeStudies(data, change, say);

/** For a screen reader. */
function say(text) {
  byId("said").textContent = text;
}

function keepHash() {
  clearTimeout(hashTimer);
  hashTimer = setTimeout(() => history.replaceState(null, "", `#${toHash(state, data)}`), HASH_DELAY_MS);
}

function change(patch) {
  if (patch.task && patch.task !== state.task) apply(stateOf(data, state, patch.task));
  else apply({ ...state, ...patch });
}

function apply(next) {
  const sorted = next.sort !== state.sort;
  state = next;
  show();
  if (sorted) table.sortBy(state.sort);
  keepHash();
}

function select(group) {
  const selected = state.selected.includes(group)
    ? state.selected.filter((one) => one !== group)
    : [...state.selected, group];
  state = { ...state, selected };
  showSelection();
  keepHash();
}

function hover(group) {
  if (group === hovered) return;
  hovered = group;
  chart.highlight(group);
  table.highlight(group);
  for (const item of byId("legend").querySelectorAll("[data-group]"))
    item.classList.toggle("is-hovered", item.getAttribute("data-group") === group);
}

/** The points of the task, and the unit of its latencies: the same while filters change. */
function ofTask() {
  const points = data.points.filter((point) => point.task === state.task);
  return { points, unit: durationUnit(points.map((point) => point[latencyColumn(state)])) };
}

function show() {
  const { points, unit } = ofTask();
  const { rows, over, unknown } = chooseRows(data.points, state);
  controls.show(state, unit);
  question.show(state, unit);
  table.show(rows, state, unit, widths.scroll, `Models by energy per response, ${state.task ?? "no task"}`);
  byId("count").textContent = countWords(rows, over, unknown);
  byId("board-note").textContent = rows.some((row) => row.tied)
    ? "≈: its interval overlaps that of the row ranked just before it; the two are not told apart."
    : "";
  showNotices(
    points.filter((point) => state.hardware === null || point.hardware === state.hardware),
    rows,
  );
  showSides();
  showServices();
  studies.show(state, widths["study-chart"]);
  showSelection();
}

function showSelection() {
  const { points, unit } = ofTask();
  const { rows } = chooseRows(data.points, state);
  const colours = coloursOf(points, rows, state);
  const drawn = chart.draw(data, state, rows, colours, unit, widths.chart);
  hovered = null;
  const grey = drawn.some((point) => !colours.has(point.group));
  table.mark(state.selected, colours, grey);
  showLegend(drawn, rows, colours, state.selected, { select, hover });
  byId("chart-note").textContent = chartNote(drawn, rows);
  byId("compare").replaceChildren(compareTable(data, state, unit, colours, select));
  byId("clear", HTMLButtonElement).disabled = state.selected.length === 0;
}

function showSides() {
  const sides = sidesTable(data, state);
  byId("sides-section").hidden = sides === null;
  byId("sides").replaceChildren(...(sides ? [sides] : []));
}

function showServices() {
  const services = servicesOf(data, state);
  byId("services").hidden = services.length === 0;
  if (services.length === 0) return;
  const service = services.some(([name]) => name === state.service) ? state.service : services[0][0];
  fill(byId("service"), services, service);
  byId("recommendations").replaceChildren(recommendationsTable(data, state, service));
  byId("service-source").textContent = data.services[service]?.source ?? "";
}

function countWords(rows, over, unknown) {
  const meet = rows.filter((row) => row.meets).length;
  const one =
    unique(
      rows.map((row) => row.point),
      "hardware",
    ).length < 2;
  const words = [one ? plural(rows.length, "model") : plural(rows.length, "model and device", "models and devices")];
  if (state.target !== null) {
    words.push(
      `${meet} within the target (${quantileWords(state.metric, state.quantile)} ≤ ${durationWords(state.target)})`,
    );
  }
  if (over > 0) words.push(`${over} over the budget`);
  if (unknown > 0) words.push(`${unknown} without an energy left out`);
  return words.join("; ");
}

function chartNote(drawn, rows) {
  if (drawn.length === 0) return "";
  const words = [`Lines join a model’s ${drawn.every(isOfBatchSizes) ? "batch sizes" : "settings"}.`];
  if (rows.some((row) => row.energy !== null)) words.push("Ringed: its best point.");
  if (drawn.some((point) => point.energy_per_response_low_j !== null)) words.push("Thin lines: 95 % intervals.");
  if (drawn.some((point) => point.status === "overloaded")) words.push("Hollow: overloaded.");
  if (drawn.some(isFlagged)) words.push(`Crosses: flagged${state.flagged ? "" : ", not taken"}.`);
  if (drawn.some((point) => isOffFrontier(point, latencyColumn(state)))) words.push("Faint: off its model’s frontier.");
  return words.join(" ");
}

function showNotices(points, rows) {
  const notices = [];
  const counts = (test) => new Set(points.filter(test).map((point) => point.model)).size;
  const models = unique(points, "model").length;
  const synthetic = counts((point) => point.weights === "synthetic");
  const some = (count) => (count === models ? "" : ` (${count} of ${plural(models, "model")})`);
  if (data.points.length === 0) notices.push("No run has been measured yet: there is nothing to show.");
  if (synthetic > 0) notices.push(`Synthetic weights${some(synthetic)}: drawn at random for the published shapes.`);
  if (points.some((point) => point.weights === "synthetic" && point.published_score !== null)) {
    notices.push("Published scores are of the published weights, the energy of those that were drawn.");
  }
  const estimated = counts((point) => point.energy_per_response_j !== null && isEstimate(point));
  if (estimated > 0) notices.push(`Estimated energy${some(estimated)}: from a model of the machine, not from a meter.`);
  if (points.length > 0 && points.every((point) => point.energy_per_response_j === null)) {
    notices.push("No energy was measured: latency and throughput alone, without ranks.");
  }
  if (rows.some((row) => row.usable && isFlagged(row.point))) notices.push("Flagged points are taken.");
  byId("notices").replaceChildren(...notices.map((text) => html("p", { class: "notice" }, text)));
}

function copyLink() {
  history.replaceState(null, "", `#${toHash(state, data)}`);
  const label = (text) => {
    byId("link").textContent = text;
  };
  const ended = (text) => {
    say(text);
    label(text);
  };
  (navigator.clipboard?.writeText(location.href) ?? Promise.reject(new Error("no clipboard"))).then(
    () => ended("Link copied"),
    () => ended("The address bar has the link"),
  );
  setTimeout(label, 2500, "Copy link");
}

byId("download").addEventListener("click", () =>
  download("joulebench-leaderboard.csv", rowsCsv(data.columns, table.rows())),
);
byId("download-points").addEventListener("click", () => {
  const shown = new Set(table.rows().map((row) => row.group));
  const points = data.points.filter((point) => point.task === state.task && shown.has(point.group));
  download("joulebench-points.csv", pointsCsv(data.columns, points));
});
onControl("service", "change", HTMLSelectElement, ({ value }) => change({ service: value }));
byId("clear").addEventListener("click", () => apply({ ...state, selected: [] }));
byId("link").addEventListener("click", copyLink);
byId("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the hash is the state's
  byId("leaderboard").focus();
});
addEventListener("hashchange", () => {
  const next = fromHash(location.hash, data);
  state = { ...next };
  show();
  table.sortBy(state.sort);
});
const observer = new ResizeObserver((entries) => {
  const changed = entries.filter(({ target }) => widths[target.id] !== target.clientWidth);
  for (const { target } of changed) widths[target.id] = target.clientWidth;
  if (changed.length > 0) show();
});
for (const id of Object.keys(widths)) observer.observe(byId(id));

byId("filters", HTMLDetailsElement).open = window.innerWidth > 640;
makeTheme();
showSources(data);
show();
