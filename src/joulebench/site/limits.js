/** A limit that is set with a slider or as a number: a latency target, an energy budget. Null: no limit. */

import { html } from "./dom.js";
import { significant } from "./format.js";

const STEPS = 100;

/** The least number of three significant digits that is not under `value`. */
function roundedUp(value) {
  const step = 10 ** (Math.floor(Math.log10(value)) - 2);
  return Number((Math.ceil(value / step - 1e-9) * step).toPrecision(3));
}

/** @param host the element that the controls go into; `change` is called with the limit. */
export function makeLimit(host, name, change) {
  const slider = html("input", {
    type: "range",
    min: 0,
    max: STEPS,
    step: 1,
    id: `${host.id}-slider`,
    "aria-label": `${name}, slider`,
  });
  const field = html("input", {
    type: "number",
    min: 0,
    step: "any",
    id: `${host.id}-value`,
    placeholder: "any",
    inputmode: "decimal",
  });
  const unitText = html("span", { class: "unit" });
  let scale = { low: 1, high: 1, factor: 1, unit: "" };

  const at = (place) => roundedUp(scale.low * (scale.high / scale.low) ** (place / (STEPS - 1)));
  const placeOf = (limit) => {
    if (limit === null) return STEPS;
    if (scale.high === scale.low) return limit < scale.low ? 0 : STEPS - 1;
    const place = Math.round(((STEPS - 1) * Math.log(limit / scale.low)) / Math.log(scale.high / scale.low));
    return Math.min(STEPS - 1, Math.max(0, place));
  };
  const say = (limit) =>
    slider.setAttribute(
      "aria-valuetext",
      limit === null ? "any" : `at most ${significant(limit * scale.factor)} ${scale.unit}`,
    );
  const write = (limit) => {
    field.value = limit === null ? "" : String(Number((limit * scale.factor).toPrecision(6)));
    say(limit);
  };

  slider.addEventListener("input", () => {
    const place = Number(slider.value);
    const limit = place === STEPS ? null : at(place);
    write(limit);
    change(limit);
  });
  field.addEventListener("input", () => {
    const value = Number(field.value);
    const limit = field.value !== "" && value > 0 ? value / scale.factor : null;
    slider.value = String(placeOf(limit));
    say(limit);
    change(limit);
  });
  const label = html("label", { for: field.id }, name);
  const most = html("span", { class: "most" }, "at most ", field, " ", unitText);
  host.replaceChildren(html("div", { class: "limit-head" }, label, most), slider);

  return {
    /** @param values what the limit may be among, in the data's unit; `unit`: {name, factor} to what is shown. */
    set(values, limit, unit) {
      const known = values.filter((value) => value !== null && value > 0);
      scale = {
        low: roundedUp(Math.min(...known, limit ?? Infinity)),
        high: roundedUp(Math.max(...known, limit ?? 0)),
        factor: unit.factor,
        unit: unit.name,
      };
      slider.disabled = field.disabled = known.length === 0;
      if (known.length === 0) scale = { ...scale, low: 1, high: 1 };
      unitText.textContent = unit.name;
      slider.value = String(placeOf(limit));
      if (document.activeElement !== field) write(limit);
      else say(limit);
    },
  };
}
