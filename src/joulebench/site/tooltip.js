/** What is said of the point that is pointed at. */

import { isFlagged, latencyColumn } from "./choose.js";
import { byId, html } from "./dom.js";
import { figureOf, isEstimate, plural, pointName, quantileWords, significant } from "./format.js";

export function inOneLine(text, unit) {
  return `${text.value} ${unit}${text.interval ? ` (${text.interval})` : ""}`;
}

/** Pairs of name and text. */
export function facts(point, state, unit) {
  const energy = inOneLine(figureOf(point, "energy_per_response", "j"), "J");
  const latency = inOneLine(figureOf(point, latencyColumn(state).replace(/_s$/, ""), "s", unit.factor), unit.name);
  const found = [
    [isEstimate(point) ? "Energy, estimated" : "Energy", energy],
    [quantileWords(state.metric, state.quantile, true), latency],
    ["Throughput", `${significant(point.responses_per_s)} responses/s`],
  ];
  if (point.output_tokens_per_s !== null) found.push(["", `${significant(point.output_tokens_per_s)} tokens/s`]);
  if (point.power_w !== null) found.push(["Power", `${significant(point.power_w)} W`]);
  if (point.status === "overloaded") found.push(["Overloaded", point.reason ?? "memory limits the batch"]);
  if (isFlagged(point)) found.push(["Flagged", point.flagged_for]);
  if (point.weights === "synthetic") found.push(["Weights", "synthetic"]);
  return found;
}

/** The same in one sentence, for a screen reader. */
export function sentence(point, state, unit) {
  return factSentence(point, facts(point, state, unit));
}

/** @param {string[][]} found pairs of name and text */
export function factSentence(point, found) {
  const parts = found.map(([name, text]) => `${name} ${text}`.trim());
  return `${point.entrant}, ${point.hardware}, ${pointName(point)}: ${parts.join("; ")}.`;
}

export function showTooltip(point, state, unit, x, y) {
  showFacts(point, facts(point, state, unit), x, y);
}

/** `found`: pairs of name and text that are said of `point`, beside x and y of the screen. */
export function showFacts(point, found, x, y) {
  const list = html("dl", {});
  for (const [name, text] of found) list.append(html("dt", {}, name), html("dd", {}, text));
  const where = `${point.hardware}${point.gpus > 1 ? ` × ${plural(point.gpus, "GPU")}` : ""}, ${pointName(point)}`;
  const tooltip = byId("tooltip");
  tooltip.replaceChildren(html("strong", {}, point.entrant), html("p", {}, where), list);
  tooltip.hidden = false;
  const { width, height } = tooltip.getBoundingClientRect();
  const left = x + 16 + width > document.documentElement.clientWidth ? x - 16 - width : x + 16;
  const top = y + 16 + height > window.innerHeight ? y - 16 - height : y + 16;
  tooltip.style.left = `${Math.max(4, left)}px`;
  tooltip.style.top = `${Math.max(4, top)}px`;
}

export function hideTooltip() {
  byId("tooltip").hidden = true;
}
