/** What is recommended for a service whose latency targets are known. */

import { withInterval } from "./cells.js";
import { isShown } from "./choose.js";
import { html, modelName } from "./dom.js";
import { DASH, durationWords, figureOf, isEstimate, METRICS, pointName, significant, sourceWords } from "./format.js";

/** What services.OWN_TARGET is called on the page. */
const OWN = ["config", "the task’s own target"];

function latencyName({ metric, quantile }) {
  return `${METRICS[metric].short} p${quantile}`;
}

/** What a service asks for: "TTFT p99 ≤ 2 s; TPOT p99 ≤ 100 ms". */
function askedWords(data, one) {
  const own = [data.targets[one.task]].filter(Boolean);
  const asked = one.service === OWN[0] ? own : (data.services[one.service]?.at_most ?? []);
  return asked.map((limit) => `${latencyName(limit)} ≤ ${durationWords(limit.at_most_s)}`).join("; ");
}

/** What was found of it: "TTFT p99 1.23 s; TPOT p99 45.6 ms". */
function foundWords(found) {
  return found
    .map((latency) => `${latencyName(latency)} ${durationWords(Number(latency.seconds.toPrecision(3)))}`)
    .join("; ");
}

/** The services of the state's task, each with what it asks for, as [name, words]. */
export function servicesOf(data, state) {
  const found = new Map();
  for (const one of data.recommendations.filter((other) => other.task === state.task)) {
    const asked = askedWords(data, one);
    const name = one.service === OWN[0] ? OWN[1] : one.service;
    if (!found.has(one.service)) found.set(one.service, `${name}: ${asked || "none"}`);
  }
  return [...found];
}

function saving(one, name, batch, variant) {
  const share = one[`${name}_percent`];
  if (share === null) return DASH;
  const [low, high] = [one[`${name}_low_percent`], one[`${name}_high_percent`]];
  const known = low !== null && high !== null && high > low;
  const interval = known ? ` (${[low, high].map((end) => significant(end, 2)).join(" to ")})` : "";
  const point = [`B\u00a0${batch}`, variant].filter(Boolean).join(", ");
  if (share === 0) return html("span", { class: "figure-cell" }, "is it", html("small", {}, point));
  return html(
    "span",
    { class: "figure-cell" },
    `${significant(share, 2)} %`,
    html("small", {}, `of ${point}${interval}`),
  );
}

function row(one) {
  const model = html(
    "th",
    { scope: "row" },
    html("span", { class: "name" }, ...modelName(one.entrant), html("small", {}, one.hardware)),
    isEstimate(one) ? html("small", { class: "why-below" }, sourceWords(one)) : null,
  );
  const open = one.undecided === null ? null : html("small", { class: "why" }, `undecided: ${one.undecided}`);
  if (one.at === null) {
    return html(
      "tr",
      {},
      model,
      html("td", { colspan: 6, class: "muted" }, one.reason ?? "no point keeps it", open),
    );
  }
  return html(
    "tr",
    {},
    model,
    html("td", {}, pointName(one), open),
    html("td", { class: "number" }, withInterval(figureOf(one, "energy_per_response", "j"))),
    html("td", {}, foundWords(one.found)),
    html(
      "td",
      { class: "number" },
      saving(one, "saves_against_least_latency", one.least_latency_batch_size, one.least_latency_variant),
    ),
    html(
      "td",
      { class: "number" },
      saving(one, "saves_against_largest_batch", one.largest_batch_size, one.largest_variant),
    ),
    html("td", {}, one.tied_with ?? DASH),
  );
}

const HEADS = [
  ["Model", ""],
  ["Point", ""],
  ["Energy per response (J)", "number"],
  ["Latency found", ""],
  ["Saves against least latency", "number"],
  ["Saves against largest batch", "number"],
  ["Not told apart from", ""],
];

/** The recommendations for `service` among what the filters let through. */
export function recommendationsTable(data, state, service) {
  const shown = data.recommendations.filter((one) => one.service === service && isShown(one, state));
  if (shown.length === 0) return html("p", { class: "empty" }, "No model passes the filters.");
  const energy = (one) => one.energy_per_response_j ?? Infinity;
  const estimated = (one) => Number(isEstimate(one));
  shown.sort((a, b) => estimated(a) - estimated(b) || energy(a) - energy(b) || (a.entrant < b.entrant ? -1 : 1));
  const head = html("tr", {}, ...HEADS.map(([name, kind]) => html("th", { scope: "col", class: kind }, name)));
  const caption = html(
    "caption",
    { class: "unseen" },
    `The point of least energy that keeps ${service}, with 95 % intervals`,
  );
  return html(
    "table",
    { class: "recommendations" },
    caption,
    html("thead", {}, head),
    html("tbody", {}, ...shown.map(row)),
  );
}
