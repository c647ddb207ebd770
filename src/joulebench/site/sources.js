/** What the page is of, and where it is from. */

import { unique } from "./data.js";
import { byId, html } from "./dom.js";
import { plural, publishedWords, sourceWords } from "./format.js";

/** The summary under the title, and where everything is from at the end. */
export function showSources(data) {
  const { points } = data;
  const days = unique(points, "measured_on").map((day) => day.slice(0, 10));
  const when =
    days.length === 0
      ? ""
      : days[0] === days.at(-1)
        ? `, measured ${days[0]}`
        : `, measured ${days[0]} to ${days.at(-1)}`;
  const count = [
    plural(unique(points, "model").length, "model"),
    plural(data.tasks.length, "task"),
    plural(points.length, "point"),
  ];
  byId("summary").textContent = `Energy of generative-AI inference: ${count.join(", ")}${when}.`;
  /** @type {[string, string[]][]} */
  const found = [
    ["Hardware", [...new Set(points.map((point) => `${point.hardware}: ${point.device ?? "device not recorded"}`))]],
    [
      "Energy",
      [
        ...new Set(
          points
            .filter((point) => point.energy_per_response_j !== null)
            .map(sourceWords),
        ),
      ],
    ],
    ["Engines", unique(points, "engine")],
    ["Carbon intensity", unique(points, "carbon_source")],
    ["Published scores", [...new Set(points.filter((point) => point.published_score !== null).map(publishedWords))]],
    [
      "Tables",
      [
        `points, leaderboard, pareto, recommendations and footprint.csv of each piece of hardware${data.studies.length > 0 ? ", and the tables of its studies" : ""}, from raw records`,
      ],
    ],
    ["Table on this page", ["DataTables 2, SpryMedia Ltd, MIT licence"]],
  ];
  byId("sources").replaceChildren(
    ...found
      .filter(([, texts]) => texts.length > 0)
      .map(([name, texts]) => html("li", {}, html("strong", {}, `${name}: `), texts.sort().join("; "))),
  );
}
