/** The filters: their choices from the data, and what is said when one is changed. */

import { byId, html, onControl } from "./dom.js";
import { metricsOf, unique } from "./data.js";
import { durationWords, METRICS, QUANTILES, quantileWords } from "./format.js";
import { makeLimit } from "./limits.js";
import { latencyColumn } from "./choose.js";
import { ownTarget } from "./state.js";

const ANY = "";
const THEME_KEY = "joulebench-theme";

/** The choices of a select, as [value, name]. */
export function fill(select, choices, value) {
  select.replaceChildren(...choices.map(([key, name]) => html("option", { value: key }, name)));
  select.value = value ?? ANY;
  select.disabled = choices.length < 2;
}

/** @param change called with the parts of the state that change. */
export function makeControls(data, change, resetAll) {
  const target = makeLimit(byId("target"), "Latency target", (limit) => change({ target: limit }));
  const budget = makeLimit(byId("budget"), "Energy budget", (limit) => change({ budget: limit }));
  let own = null;

  for (const task of data.tasks) {
    const box = html("input", { type: "radio", name: "task", value: task });
    byId("tasks").append(html("label", {}, box, html("span", {}, task)));
  }
  onControl("tasks", "change", HTMLInputElement, ({ value }) => change({ task: value }));
  onControl("metric", "change", HTMLSelectElement, ({ value }) =>
    change({ metric: value, target: own?.metric === value ? own.target : null }),
  );
  onControl("quantile", "change", HTMLSelectElement, ({ value }) => change({ quantile: Number(value) }));
  for (const name of ["engine", "weights"]) {
    onControl(name, "change", HTMLSelectElement, ({ value }) => change({ [name]: value === ANY ? null : value }));
  }
  onControl("model", "input", HTMLInputElement, ({ value }) => change({ model: value }));
  onControl("flagged", "change", HTMLInputElement, ({ checked }) => change({ flagged: checked }));
  byId("own-target").addEventListener("click", () => change({ ...own }));
  byId("reset").addEventListener("click", resetAll);
  byId("controls").addEventListener("submit", (event) => event.preventDefault());

  return {
    show(state, unit) {
      const points = data.points.filter((point) => point.task === state.task);
      for (const box of byId("tasks").querySelectorAll("input")) box.checked = box.value === state.task;
      own = ownTarget(data, state.task);
      fill(
        byId("metric"),
        metricsOf(points).map((metric) => [metric, METRICS[metric].short]),
        state.metric,
      );
      fill(
        byId("quantile"),
        QUANTILES.map((quantile) => [quantile, quantile === 50 ? "p50 (median)" : `p${quantile}`]),
        state.quantile,
      );
      for (const name of ["engine", "weights"]) {
        fill(byId(name), [[ANY, "all"], ...unique(points, name).map((value) => [value, value])], state[name]);
      }
      const model = byId("model", HTMLInputElement);
      if (document.activeElement !== model) model.value = state.model;
      byId("flagged", HTMLInputElement).checked = state.flagged;
      const column = latencyColumn(state);
      const limit = own.metric === state.metric ? own.target : null;
      target.set([...points.map((point) => point[column]), limit], state.target, unit);
      budget.set(
        points.map((point) => point.energy_per_response_j),
        state.budget,
        { name: "J", factor: 1 },
      );
      const isOwn = ["metric", "quantile", "target"].every((name) => own[name] === state[name]);
      const words =
        own.target === null
          ? "none"
          : `${quantileWords(own.metric, own.quantile)} at most ${durationWords(own.target)}`;
      byId("own-target").textContent = `${isOwn ? "The task’s own" : "Back to the task’s own"}: ${words}`;
      byId("own-target", HTMLButtonElement).disabled = isOwn;
    },
  };
}

/** The theme that was chosen before; a page of a file may have no storage. */
function remembered() {
  try {
    const known = localStorage.getItem(THEME_KEY) ?? "";
    return ["light", "dark"].includes(known) ? known : "auto";
  } catch {
    return "auto";
  }
}

/** Light, dark, or as the system has it; remembered where the browser lets a page remember. */
export function makeTheme() {
  const set = (theme) => {
    document.documentElement.dataset.theme = theme;
    for (const box of byId("theme").querySelectorAll("input")) box.checked = box.value === theme;
  };
  set(remembered());
  onControl("theme", "change", HTMLInputElement, ({ value }) => {
    set(value);
    try {
      localStorage.setItem(THEME_KEY, value);
    } catch {
      // Not remembered, then.
    }
  });
}
