/** The question at the top: on what, what matters, within which latency; and its answer. */

import { answer, mattersOf, verbOf } from "./answer.js";
import { fill } from "./controls.js";
import { byId, html, onControl } from "./dom.js";
import { durationWords, quantileWords } from "./format.js";
import { hardwareOf, ownTarget } from "./state.js";

const ALL = "";

/** Radio buttons in the fieldset `id`, made again where their choices, [value, name, title], are others. */
function segments(id, choices, value) {
  const host = byId(id);
  const made = JSON.stringify(choices);
  if (host.dataset.choices !== made) {
    host.dataset.choices = made;
    for (const label of host.querySelectorAll("label")) label.remove();
    for (const [key, name, title] of choices) {
      const box = html("input", { type: "radio", name: id, value: key });
      host.append(html("label", { title }, box, html("span", {}, name)));
    }
  }
  for (const box of host.querySelectorAll("input")) box.checked = box.value === value;
}

function hardwareChoices(data, task) {
  const points = data.points.filter((point) => point.task === task);
  const device = (name) => points.find((point) => point.hardware === name)?.device;
  const names = hardwareOf(data, task);
  if (names.length < 2) return names.map((name) => [ALL, name, device(name)]);
  return [...names.map((name) => [name, name, device(name)]), [ALL, "all", "All hardware, side by side"]];
}

function withinWords({ metric, quantile, target }) {
  return `${quantileWords(metric, quantile)} ≤ ${durationWords(target)}`;
}

/** The latencies to choose from, as [value, name], and the one that is chosen. */
function withinChoices(data, state) {
  const own = ownTarget(data, state.task);
  const isOwn = ["metric", "quantile", "target"].every((name) => own[name] === state[name]);
  const choices = [["any", "any latency"]];
  if (own.target !== null) choices.unshift(["own", withinWords(own)]);
  if (state.target === null) return [choices, "any"];
  if (isOwn) return [choices, "own"];
  return [[...choices, ["set", `${withinWords(state)}, as set below`]], "set"];
}

/** @param change called with the parts of the state that change. */
export function makeQuestion(data, change) {
  let task = null;
  onControl("hardware", "change", HTMLInputElement, ({ value }) => change({ hardware: value === ALL ? null : value }));
  onControl("matters", "change", HTMLInputElement, ({ value }) => change({ matters: value }));
  onControl("within", "change", HTMLSelectElement, ({ value }) => {
    if (value === "own") change(ownTarget(data, task));
    if (value === "any") change({ target: null });
  });

  return {
    show(state, unit) {
      task = state.task;
      const points = data.points.filter((point) => point.task === task);
      const matters = mattersOf(points);
      const [first] = matters.find(([key]) => key === state.matters) ?? matters[0] ?? ["energy"];
      segments("hardware", hardwareChoices(data, task), state.hardware ?? ALL);
      segments("matters", matters, first);
      fill(byId("within"), ...withinChoices(data, state));
      byId("question").hidden = points.length === 0;
      byId("question-title").textContent = `Which model ${verbOf(first)}${task === null ? "" : ` for ${task}`}?`;
      byId("answer").replaceChildren(...answer(data.points, state, unit, first));
    },
  };
}
