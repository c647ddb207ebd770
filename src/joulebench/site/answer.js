/** What takes least energy under the target, in a sentence. */

import { durationWords, isEstimate, pointName, quantileWords, significant } from "./format.js";

/** @param rows as choose.chooseRows gives them. Empty where no energy was measured within the target. */
export function answer(rows, state) {
  const ranked = rows.filter((row) => row.rank !== null && !isEstimate(row.point));
  const first = ranked[0];
  if (!first) return "";
  const same = (row) => row.point.answers === first.point.answers && row.point.dataset === first.point.dataset;
  const others = ranked.filter((row) => row !== first && same(row));
  const { energy_per_response_j: joules, energy_per_response_low_j: low, energy_per_response_high_j: high } = first.point;
  const within =
    state.target === null
      ? ""
      : `Within ${quantileWords(state.metric, state.quantile)} ≤ ${durationWords(state.target)}, `;
  const interval = low === null || high === null ? "" : ` (${significant(low)} to ${significant(high)})`;
  const place = `at ${pointName(first.point)} on ${first.point.device ?? first.point.hardware}`;
  return `${within}${named(first.point)} takes least: ${significant(joules)} J a response${interval}, ${place}.${compared(first, others)}`;
}

function compared(first, others) {
  const next = others[0];
  if (!next) return "";
  const apart = others.findIndex((row) => !row.tied);
  const tied = (apart < 0 ? others : others.slice(0, apart)).map((row) => named(row.point));
  if (tied.length > 0) return ` It is not told apart from ${tied.join(", ")}.`;
  return ` Next is ${named(next.point)}, with ${significant(next.energy / first.energy)} times as much.`;
}

function named(point) {
  return `${point.model}${point.variant ? `+${point.variant}` : ""}`;
}
