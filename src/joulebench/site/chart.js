/** The trade-off: energy per response against latency, one line a model, linked to the table by its group. */

import { extent, grid, makeAxis } from "./axes.js";
import { isTrusted, latencyColumn, pointsShown } from "./choose.js";
import { byId, html, svg } from "./dom.js";
import { isEstimate, plural, quantileWords, significant } from "./format.js";
import { addLabels } from "./labels.js";
import { seriesMark } from "./marks.js";
import { makePointing } from "./pointing.js";
import { hideTooltip, sentence, showTooltip } from "./tooltip.js";

const MARGIN = { top: 22, right: 14, bottom: 46, left: 62 };
const NARROW_PX = 420; // up to which names are in the legend alone
const LEAST_WIDTH_PX = 200; // a page that is not yet laid out has none
const FEW = 7; // series, up to which all intervals are drawn

function drawable(data, state) {
  const column = latencyColumn(state);
  return pointsShown(data.points, state).filter(
    (point) => isTrusted(point, true) && point.energy_per_response_j !== null && point[column] !== null,
  );
}

/** @param {{hover: (group: ?string) => void, select: (group: string) => void, say: (text: string) => void}} link */
export function makeChart(link) {
  const host = byId("chart");
  /** @type {{placed: {point, x: number, y: number}[], state, unit, elements: Map<string, SVGElement[]>}} */
  let shown = { placed: [], state: null, unit: null, elements: new Map() };
  const pointing = makePointing(host, MARGIN, {
    point(point, x, y) {
      showTooltip(point, shown.state, shown.unit, x, y);
      link.hover(point.group);
    },
    say: (point) => link.say(sentence(point, shown.state, shown.unit)),
    leave() {
      hideTooltip();
      link.hover(null);
    },
    select: (point) => link.select(point.group),
  });

  return {
    /** @param colours group -> its colour, null for none. */
    draw(data, state, rows, colours, unit, width) {
      hideTooltip();
      const points = drawable(data, state);
      shown = { placed: [], state, unit, elements: new Map() };
      host.replaceChildren(
        points.length === 0
          ? html("p", { class: "empty" }, nothing(data, state))
          : frame(Math.max(width, LEAST_WIDTH_PX), points, rows, colours, state, unit, shown),
      );
      pointing.reset(shown.placed);
      return points;
    },
    highlight(group) {
      host.querySelector("svg")?.classList.toggle("has-hover", group !== null && shown.elements.has(group));
      for (const [name, elements] of shown.elements) {
        for (const element of elements) {
          element.classList.toggle("is-hovered", name === group);
          if (name === group) element.parentNode?.append(element);
        }
      }
    },
  };
}

function nothing(data, state) {
  const points = pointsShown(data.points, state);
  if (points.length === 0) return "Nothing to draw: no model passes the filters.";
  if (points.every((point) => point.energy_per_response_j === null)) {
    return "No energy was measured for these models: there is no trade-off to draw.";
  }
  return `Nothing to draw: no point of these has both an energy and a ${quantileWords(state.metric, state.quantile)}.`;
}

function frame(width, points, rows, colours, state, unit, shown) {
  const height = Math.round(Math.min(470, Math.max(300, width * 0.56)));
  const [inner, tall] = [width - MARGIN.left - MARGIN.right, height - MARGIN.top - MARGIN.bottom];
  const column = latencyColumn(state);
  const stem = column.replace(/_s$/, "");
  const axes = {
    x: makeAxis(
      extent(points, stem, "s").map((seconds) => seconds * unit.factor),
      inner,
      64,
    ),
    y: makeAxis(extent(points, "energy_per_response", "j"), tall, 44),
  };
  const chosen = new Map(rows.map((row) => [row.group, row.usable ? row.point : null]));
  const series = Map.groupBy(points, (point) => point.series);
  const groups = new Set(points.map((point) => point.group));
  const plot = svg(
    "g",
    { transform: `translate(${MARGIN.left},${MARGIN.top})` },
    grid(axes),
    ...limits(axes, state, unit),
  );
  const many = groups.size > FEW;
  const several = new Set(points.map((point) => point.hardware)).size > 1;
  const lines = svg("g", { class: many ? "many" : "few" });
  /** @type {Map<string, {element: SVGElement, text: string, ends: object[], wanted: boolean, marks: object[]}>} */
  const labelled = new Map();
  const variants = new Map();
  for (const list of series.values()) {
    const placed = list
      .sort((a, b) => a.axis_value - b.axis_value)
      .map((point) => ({
        point,
        x: axes.x.px(point[column] * unit.factor),
        y: tall - axes.y.px(point.energy_per_response_j),
      }));
    const { group } = list[0];
    const variant = variants.get(group) ?? 0;
    variants.set(group, variant + 1);
    const classes = state.selected.includes(group) ? ["is-selected"] : [];
    const look = {
      colour: colours.get(group) ?? null,
      variant,
      classes,
      chosen: chosen.get(group),
      column,
      factor: unit.factor,
    };
    const element = seriesMark(placed, axes, look);
    shown.placed.push(...placed);
    shown.elements.set(group, [...(shown.elements.get(group) ?? []), element]);
    const marks = [...(labelled.get(group)?.marks ?? []), ...placed];
    const text = shortName(list[0], several);
    labelled.set(group, { element, text, ends: [placed[0], placed.at(-1)], wanted: colours.has(group), marks });
  }
  const order = [...shown.elements.keys()].sort((a, b) => Number(colours.has(a)) - Number(colours.has(b)));
  for (const group of order) lines.append(...(shown.elements.get(group) ?? []));
  const roomy = inner > NARROW_PX;
  const labels = [...colours.keys(), ...order].flatMap((group) => take(labelled, group));
  if (many) addLabels(labels.map((label) => ({ ...label, wanted: label.wanted && roomy })), inner, tall);
  for (const group of state.selected) for (const element of shown.elements.get(group) ?? []) lines.append(element);
  plot.append(lines, svg("circle", { r: 8, class: "cursor" }));
  const estimated = points.some(isEstimate);
  const y = `Energy per response (J${estimated ? `, ${points.every(isEstimate) ? "" : "partly "}estimated` : ""})`;
  const counts = `${plural(groups.size, "model")}, ${plural(points.length, "point")}`;
  const keys = "Arrow keys move over the points, Enter selects the model.";
  const label = `${y} against ${quantileWords(state.metric, state.quantile)}: ${counts}. ${keys}`;
  return svg(
    "svg",
    {
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      tabindex: 0,
      role: "group",
      "aria-roledescription": "chart",
      "aria-label": label,
    },
    plot,
    svg(
      "text",
      { x: MARGIN.left + inner / 2, y: height - 8, class: "title" },
      `${quantileWords(state.metric, state.quantile, true)} (${unit.name})`,
    ),
    svg("text", { transform: `translate(14,${MARGIN.top + tall / 2}) rotate(-90)`, class: "title" }, y),
  );
}

function shortName(point, severalHardware) {
  const name = point.entrant.slice(point.entrant.indexOf("/") + 1);
  return severalHardware ? `${name}, ${point.hardware}` : name;
}

/** The value of `key`, once, as a list. */
function take(map, key) {
  const value = map.get(key);
  map.delete(key);
  return value === undefined ? [] : [value];
}

/** What lies beyond the latency target and the energy budget, shaded. */
function limits(axes, state, unit) {
  const marks = [];
  const [wide, tall] = [axes.x.length, axes.y.length];
  const target = state.target === null ? null : state.target * unit.factor;
  if (target !== null && target < axes.x.high) {
    const x = axes.x.px(Math.max(target, axes.x.low));
    marks.push(svg("rect", { x, y: 0, width: wide - x, height: tall, class: "beyond" }));
    marks.push(svg("line", { x1: x, x2: x, y1: 0, y2: tall, class: "limit" }));
    const side = x > wide / 2 ? "end" : "start";
    marks.push(
      svg(
        "text",
        { x: x + (side === "end" ? -4 : 4), y: -8, class: `limit-label ${side}` },
        `target ${significant(target)} ${unit.name}`,
      ),
    );
  }
  if (state.budget !== null && state.budget < axes.y.high) {
    const y = tall - axes.y.px(Math.max(state.budget, axes.y.low));
    marks.push(svg("rect", { x: 0, y: 0, width: wide, height: y, class: "beyond" }));
    marks.push(svg("line", { x1: 0, x2: wide, y1: y, y2: y, class: "limit" }));
    marks.push(
      svg("text", { x: wide - 4, y: y - 5, class: "limit-label end" }, `budget ${significant(state.budget)} J`),
    );
  }
  return marks;
}
