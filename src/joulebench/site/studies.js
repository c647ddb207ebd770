/** What is known of a study: its lines, what may be drawn of it, and what is to be said of its points. */

import { unique } from "./data.js";
import { isEstimate, plain, plural } from "./format.js";

const LINE_COLOURS = 7;

/** What a study varies -> in words. */
const AXES = {
  max_batch_size: "maximum batch size",
  requests: "requests at once",
  rate_per_s: "requests per second",
  input_tokens: "input tokens",
  output_tokens: "output tokens",
};

/** What the energy is of, by the keys that the page carries. */
export const PER = {
  response: "response",
  token: "output token",
  decoded: "further token written",
  prompt: "prompt token read",
  input: "prompt token, with the answer’s energy",
};

export function studyId(study) {
  return `${study.hardware}/${study.name}`;
}

/** @returns {[string, string][]} what may be drawn of it, with the stem of its column */
export function measuresOf(study) {
  return study.measures.map(([key, column]) => [key, column.replace(/_j$/, "")]);
}

/** The figures that follow from the point of one output token beside a point. */
const OF_FIRST = ["decoded", "prompt"];

/** Its model variants, in the order of their lines: {key, points, colour}. */
export function linesOf(study) {
  const lines = [...Map.groupBy(study.points, (point) => point.series)];
  return lines.map(([key, points], place) => ({ key, points, place, colour: place % LINE_COLOURS }));
}

function standings(point, key) {
  return OF_FIRST.includes(key) ? [point.standing, point.first_standing] : [point.standing];
}

/** Whether its figure `key` counts: what a check voids has none, and neither has what was not measured. */
export function hasFigures(point, key = "response") {
  return !standings(point, key).includes("void");
}

export function isDoubtful(point, key = "response") {
  return standings(point, key).some((one) => one === "flagged" || one === "whole");
}

/** Whether a figure is the point's own: what reading a prompt takes is measured where one token is written. */
export function isOwn(point, key) {
  return key !== "prompt" || point.output_tokens === 1;
}

export function isOfWholes(study) {
  return study.points.some((point) => point.whole_energy_per_response_j !== null);
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function axisTitle(study) {
  return capital(unique(study.points, "axis").map((axis) => AXES[axis] ?? axis).join(" or "));
}

/** "Energy per response (J, estimated)". */
export function energyTitle(study, key) {
  return `Energy per ${PER[key] ?? key} (J${study.points.some(isEstimate) ? ", estimated" : ""})`;
}

/** "What a larger batch saves. Varies: maximum batch size, 1 to 64." */
export function asksWords(study) {
  const values = [...new Set(study.points.map((point) => point.axis_value))].sort((a, b) => a - b).map(plain);
  const range = values.length > 2 ? `${values[0]} to ${values.at(-1)}` : values.join(" and ");
  const lines = linesOf(study).length;
  const several = unique(study.points, "model").length > 1 ? "models" : "variants of a model";
  const words = `${axisTitle(study).toLowerCase()}, ${range}${lines > 1 ? `, for ${lines} ${several}` : ""}`;
  return `${capital(study.asks.trim().replace(/\.$/, ""))}. Varies: ${words}.`;
}

/** What it was measured of, and where. */
export function ofWords(study) {
  const list = (name) => unique(study.points, name).map(String).join(", ");
  const drawn = study.points.every((point) => point.weights === "synthetic");
  const served = [list("engine"), list("dtype"), drawn ? "weights drawn at random" : null].filter(Boolean);
  const card = list("card");
  const where = [`${list("device") || study.hardware}${card ? ` (${card})` : ""}`, list("dataset") && `prompts of ${list("dataset")}`];
  const days = unique(study.points, "measured_on").map((day) => day.slice(0, 10));
  return `${[...served, ...where, days[0] ? `measured ${days.join(", ")}` : null].filter(Boolean).join("; ")}.`;
}

/** What is to be known before its figures are read, in lines. */
export function noticesOf(study) {
  const { points } = study;
  const count = (standing) => points.filter((point) => point.standing === standing).length;
  const of = (number) => `${number} of ${plural(points.length, "point")} ${number === 1 ? "is" : "are"}`;
  const found = [];
  if (points.some(isEstimate)) found.push("Estimated energy: from a model of the machine, not from a meter.");
  if (count("flagged") > 0) found.push(`${of(count("flagged"))} flagged by a check: hollow in the chart; the last column says why.`);
  if (count("whole") > 0) {
    found.push(`${of(count("whole"))} without a steady part, so that all of it alone is known: hollow in the chart.`);
  }
  if (count("void") > 0) found.push(`${of(count("void"))} without figures and not drawn; the last column says why.`);
  return found;
}
