/** The chart of a study: energy against what varies, a line with marks of its own for each model variant. */

import { extent, grid, makeAxis } from "./axes.js";
import { byId, html, svg } from "./dom.js";
import { figureOf, plain, plural, significant } from "./format.js";
import { makePointing } from "./pointing.js";
import { shapeMark } from "./shapes.js";
import { axisTitle, energyTitle, hasFigures, isDoubtful, isOwn, linesOf } from "./studies.js";
import { factSentence, hideTooltip, inOneLine, showFacts } from "./tooltip.js";

const AROUND = { top: 12, right: 18, bottom: 46, left: 62 };
const DIGIT_PX = 7; // of an axis' numbers, with room
const FEW_PLACES = 4; // on the x axis, up to which lines stand side by side instead of one over the other
const SIDE_PX = 9;
const ALONE_PX = 44; // where there is one place

function saidOf(study, key, stem, point) {
  const found = [[energyTitle(study, key).replace(/ \(.*$/, ""), inOneLine(figureOf(point, stem, "j"), "J")]];
  if (point.power_w !== null) found.push(["Power", `${significant(point.power_w)} W`]);
  if (point.output_tokens_per_s !== null) found.push(["Throughput", `${significant(point.output_tokens_per_s)} tokens/s`]);
  if (point.status === "overloaded") found.push(["Overloaded", point.reason ?? "memory limits the batch"]);
  if (isDoubtful(point)) found.push(["Checks", point.flagged_for ?? point.verdict]);
  return found;
}

/** Of the values on the x axis those whose numbers have room. */
function ticksOf(values, axis) {
  const kept = [];
  let end = -Infinity;
  for (const value of values) {
    const half = (plain(value).length * DIGIT_PX) / 2;
    if (axis.px(value) - half < end) continue;
    kept.push(value);
    end = axis.px(value) + half + DIGIT_PX;
  }
  return kept;
}

/** @param {(text: string) => void} say for a screen reader */
export function makeStudyChart(say) {
  const host = byId("study-chart");
  /** @type {(point) => string[][]} */
  let said = () => [];
  const pointing = makePointing(host, AROUND, {
    point: (point, x, y) => showFacts(point, said(point), x, y),
    say: (point) => say(factSentence(point, said(point))),
    leave: hideTooltip,
  });

  return {
    /** Draws the figure `key` of `stem`, and gives the points that it has no place for. */
    draw(study, [key, stem], width) {
      const isDrawn = (point) => isOwn(point, key) && hasFigures(point, key) && point[`${stem}_j`] > 0;
      const lines = linesOf(study).map((line) => ({ ...line, points: line.points.filter(isDrawn) }));
      const points = lines.flatMap((line) => line.points);
      said = (point) => saidOf(study, key, stem, point);
      if (points.length === 0) {
        host.replaceChildren(html("p", { class: "empty" }, "Nothing to draw: no point has such an energy."));
        pointing.reset([]);
      } else {
        const { element, placed } = studyFrame(study, key, stem, lines, width);
        host.replaceChildren(element);
        pointing.reset(placed);
      }
      return study.points.filter((point) => isOwn(point, key) && !points.includes(point));
    },
  };
}

function studyFrame(study, key, stem, lines, width) {
  const points = lines.flatMap((line) => line.points);
  const height = Math.round(Math.min(430, Math.max(290, width * 0.56)));
  const [wide, tall] = [width - AROUND.left - AROUND.right, height - AROUND.top - AROUND.bottom];
  const values = [...new Set(points.map((point) => point.axis_value))].sort((a, b) => a - b);
  const x = makeAxis(values, wide, 64);
  const axes = { x: { ...x, ticks: ticksOf(values, x) }, y: makeAxis(extent(points, stem, "j"), tall, 44) };
  const shown = lines.filter((line) => line.points.length > 0);
  const apart = values.length === 1 ? ALONE_PX : values.length > FEW_PLACES ? 0 : SIDE_PX;
  const aside = (place) => (place - (shown.length - 1) / 2) * Math.min(apart, wide / (shown.length + 1));
  const placed = [];
  const plot = svg("g", { transform: `translate(${AROUND.left},${AROUND.top})` }, grid(axes));
  shown.forEach((line, place) => {
    const own = line.points.map((point) => ({
      point,
      x: axes.x.px(point.axis_value) + aside(place),
      y: tall - axes.y.px(point[`${stem}_j`]),
    }));
    placed.push(...own);
    plot.append(lineMarks(line, own, key, stem, axes));
  });
  plot.append(svg("circle", { r: 8, class: "cursor" }));
  const title = energyTitle(study, key);
  const label = `${title} against ${axisTitle(study).toLowerCase()}: ${plural(shown.length, "line")}, ${plural(points.length, "point")}. Arrow keys move over the points.`;
  const element = svg(
    "svg",
    { width, height, viewBox: `0 0 ${width} ${height}`, tabindex: 0, role: "group", "aria-roledescription": "chart", "aria-label": label },
    plot,
    svg("text", { x: AROUND.left + wide / 2, y: height - 8, class: "title" }, axisTitle(study)),
    svg("text", { transform: `translate(14,${AROUND.top + tall / 2}) rotate(-90)`, class: "title" }, title),
  );
  return { element, placed };
}

/** A line, the 95 % intervals of its points, kept inside the panel, and their marks. */
function lineMarks(line, placed, key, stem, axes) {
  const path = placed.map(({ x, y }, place) => `${place ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`).join("");
  const py = (value) => axes.y.length - axes.y.px(Math.min(axes.y.high, Math.max(axes.y.low, value)));
  const bars = placed.flatMap(({ point, x }) => {
    const [low, high] = [point[`${stem}_low_j`], point[`${stem}_high_j`]];
    return low === null || high === null ? [] : [svg("line", { x1: x, x2: x, y1: py(low), y2: py(high), class: "interval" })];
  });
  const marks = placed.map(({ point, x, y }) =>
    svg(
      "g",
      { class: "mark", "data-setting": point.setting },
      shapeMark(line.place, x, y, ...(isDoubtful(point, key) ? ["hollow"] : [])),
      point.status === "overloaded" ? svg("circle", { cx: x, cy: y, r: 8, class: "ring" }) : null,
    ),
  );
  return svg("g", { class: `run c${line.colour}`, "data-series": line.key }, svg("path", { d: path, class: "line" }), ...bars, ...marks);
}
