/** What is best by what matters, found among the points as the leaderboard takes them, and said in a sentence. */

import { isMeasured, isTrusted, latencyColumn, overlap, pointsShown, workOf } from "./choose.js";
import { unique } from "./data.js";
import { html, modelName } from "./dom.js";
import {
  durationWords,
  figureOf,
  isShare,
  PER_RESPONSES,
  qualityOf,
  quantileWords,
  significant,
} from "./format.js";

function figureBy(name, verb, [stem, unit, factor], words) {
  return {
    name,
    verb,
    column: `${stem}_${unit}`,
    bounds: ["low", "high"].map((bound) => `${stem}_${bound}_${unit}`),
    ofEnergy: true,
    sign: 1,
    figure: (point) => figureOf(point, stem, unit, factor),
    words,
  };
}

/**
 * What may matter, by state.MATTERS. `sign`: 1 where less is better; `ofEnergy`: whether it follows from an energy;
 * `words`: what stands after its figure.
 */
const FIGURES = {
  energy: figureBy("Energy", "needs the least energy", ["energy_per_response", "j", 1], () => "J per response"),
  carbon: figureBy(
    "Carbon",
    "emits the least carbon",
    ["carbon_per_response", "g", PER_RESPONSES],
    () => "gCO₂e per 1,000 responses",
  ),
  cost: {
    ...figureBy("Cost", "costs the least", ["", "", 1], (point) => `${point.currency} per 1,000 responses`),
    column: "cost_per_response",
    bounds: [],
    figure: (point) => ({ value: significant(point.cost_per_response * PER_RESPONSES), interval: null }),
  },
  quality: {
    ...figureBy("Quality", "answers best", ["quality", "", 1], (point) =>
      isShare(point) ? "% right answers" : point.quality_metric,
    ),
    column: "quality",
    bounds: ["quality_low", "quality_high"],
    ofEnergy: false,
    sign: -1,
    figure: qualityOf,
  },
  right: figureBy(
    "Right answers per joule",
    "needs the least energy per right answer",
    ["energy_per_right_answer", "j", 1],
    () => "J per right answer",
  ),
};

/** What may matter among `points`, as [key, name]: what any of them has a figure of. */
export function mattersOf(points) {
  const known = ([, { column }]) => points.some((point) => point[column] !== null);
  return Object.entries(FIGURES)
    .filter(known)
    .map(([key, { name }]) => [key, name]);
}

export function verbOf(matters) {
  return FIGURES[matters].verb;
}

function byFigure({ column, sign }) {
  const energy = (point) => point.energy_per_response_j ?? Infinity;
  return (a, b) => sign * (a[column] - b[column]) || energy(a) - energy(b) || a.axis_value - b.axis_value;
}

/**
 * Lists of points, one of each work and one point a group, best first: those that keep the target and the budget. Of
 * what follows from an energy no estimate is among them.
 */
export function bestBy(points, state, matters) {
  const figure = FIGURES[matters];
  const shown = pointsShown(points, state);
  const taken = figure.ofEnergy ? shown.filter(isMeasured) : shown;
  const within = (value, limit) => limit === null || (value !== null && value <= limit);
  const kept = taken.filter(
    (point) =>
      isTrusted(point, state.flagged) &&
      point[figure.column] !== null &&
      within(point[latencyColumn(state)], state.target) &&
      within(point.energy_per_response_j, state.budget),
  );
  const better = byFigure(figure);
  const works = [...Map.groupBy(kept, workOf)].sort(([a], [b]) => (a < b ? -1 : 1));
  return works.map(([, alike]) =>
    [...Map.groupBy(alike, (point) => point.group).values()].map((group) => group.sort(better)[0]).sort(better),
  );
}

function named(point, several) {
  const where = several ? ` on ${point.hardware}` : "";
  return html("span", { class: "who" }, ...modelName(point.entrant, point.variant), where);
}

function list(items) {
  return items.flatMap((item, place) => (place === 0 ? [item] : [place === items.length - 1 ? " and " : ", ", item]));
}

/** What the best is not told apart from, and who comes next. */
function others(best, rest, figure, several) {
  if (rest.length === 0) return ["; there is no other to compare it with"];
  const short = (point) => html("span", {}, named(point, several), ` (${figure.figure(point).value})`);
  if (figure.figure(best).interval === null) return ["; next is ", short(rest[0]), ", and no interval says how sure that is"];
  const tied = rest.filter((point) => overlap(best, point, figure.bounds, figure.ofEnergy));
  const next = rest.find((point) => !tied.includes(point));
  const ties = tied.length > 0 ? ["; not told apart, as the intervals overlap, from ", ...list(tied.map(short))] : [];
  return next ? [...ties, "; next is ", short(next)] : ties;
}

/** What tells the work of `point` from that of others: "answers as the model ends them", a data set. */
function workWords(point, all) {
  const words = [];
  if (new Set(all.map((one) => one.answers)).size > 1) {
    words.push(point.answers === "natural" ? "Answers as the model ends them" : "Answers of given lengths");
  }
  if (new Set(all.map((one) => one.dataset)).size > 1) words.push(point.dataset ?? "no data set");
  return words.length > 0 ? html("span", { class: "work" }, `${words.join(", ")}: `) : null;
}

function answerSentence(ordered, firsts, state, unit, matters) {
  const figure = FIGURES[matters];
  const [best, ...rest] = ordered;
  const { value, interval } = figure.figure(best);
  const several = unique(ordered, "hardware").length > 1;
  const latency = figureOf(best, latencyColumn(state).replace(/_s$/, ""), "s", unit.factor).value;
  return html(
    "p",
    {},
    workWords(best, firsts),
    html("strong", {}, named(best, true)),
    ` ${figure.verb}, at ${best.at.replace(/ = | /g, "\u00a0")}: `,
    html("strong", {}, `${value}\u00a0${figure.words(best)}`),
    interval ? html("span", { class: "whole" }, ` (95\u00a0%: ${interval})`) : null,
    best[latencyColumn(state)] === null
      ? ""
      : `, with a ${quantileWords(state.metric, state.quantile)} of ${latency}\u00a0${unit.name}`,
    ...others(best, rest, figure, several),
    ".",
  );
}

/** Why there is no answer. */
function none(points, state, matters) {
  const { column, name, ofEnergy } = FIGURES[matters];
  const shown = pointsShown(points, state);
  if (shown.length === 0) return "No model passes the filters.";
  if (shown.every((point) => point[column] === null)) return `Nothing is known of it here: ${name.toLowerCase()} was not measured.`;
  if (ofEnergy && !shown.some(isMeasured)) return "Nothing was measured here, and an estimate is no answer.";
  const limits = [
    state.target === null ? null : `a ${quantileWords(state.metric, state.quantile)} of at most ${durationWords(state.target)}`,
    state.budget === null ? null : `${significant(state.budget)} J per response`,
  ].filter(Boolean);
  return limits.length > 0 ? `No model keeps ${limits.join(" and ")}.` : "No model has figures that are taken.";
}

/** The answer: a sentence, or one of each work where answers are not compared with each other. */
export function answer(points, state, unit, matters) {
  const found = bestBy(points, state, matters);
  if (found.length === 0) return [html("p", {}, none(points, state, matters))];
  const firsts = found.map(([first]) => first);
  return found.map((ordered) => answerSentence(ordered, firsts, state, unit, matters));
}
