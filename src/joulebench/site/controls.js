/** The filters: their choices from the data, and what is said when one is changed. */

import { byId, html } from "./dom.js";
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
  byId("tasks").addEventListener("change", (event) => change({ task: event.target.value }));
  byId("metric").addEventListener("change", (event) => {
    const metric = event.target.value;
    change({ metric, target: own?.metric === metric ? own.target : null });
  });
  byId("quantile").addEventListener("change", (event) => change({ quantile: Number(event.target.value) }));
  for (const name of ["hardware", "engine", "weights"]) {
    byId(name).addEventListener("change", (event) =>
      change({ [name]: event.target.value === ANY ? null : event.target.value }),
    );
  }
  byId("model").addEventListener("input", (event) => change({ model: event.target.value }));
  byId("flagged").addEventListener("change", (event) => change({ flagged: event.target.checked }));
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
      for (const name of ["hardware", "engine", "weights"]) {
        fill(byId(name), [[ANY, "all"], ...unique(points, name).map((value) => [value, value])], state[name]);
      }
      if (document.activeElement !== byId("model")) byId("model").value = state.model;
      byId("flagged").checked = state.flagged;
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
      byId("own-target").disabled = isOwn;
    },
  };
}

/** The theme that was chosen before; a page of a file may have no storage. */
function remembered() {
  try {
    const known = localStorage.getItem(THEME_KEY);
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
  byId("theme").addEventListener("change", (event) => {
    set(event.target.value);
    try {
      localStorage.setItem(THEME_KEY, event.target.value);
    } catch {
      // Not remembered, then.
    }
  });
}
