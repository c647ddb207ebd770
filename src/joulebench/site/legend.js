/** Who is who in the chart: buttons for the models with a colour, and the grey ones in a list that opens. */

import { unique } from "./data.js";
import { byId, html } from "./dom.js";
import { plural } from "./format.js";

/** @param {{select: (group: string) => void, hover: (group: ?string) => void}} link */
export function showLegend(drawn, rows, colours, selected, link) {
  const host = byId("legend");
  const focused = /** @type {?HTMLElement} */ (document.activeElement?.closest("#legend [data-group]"))?.dataset.group;
  const wasOpen = host.querySelector("details")?.open ?? false;
  const several = unique(drawn, "hardware").length > 1;
  const places = new Map(rows.map((row, place) => [row.group, place]));
  const groups = unique(drawn, "group").sort((a, b) => (places.get(a) ?? 0) - (places.get(b) ?? 0));
  const items = new Map(groups.map((group) => [group, item(group)]));

  function item(group) {
    const point = drawn.find((one) => one.group === group);
    const pressed = String(selected.includes(group));
    const button = html(
      "button",
      { type: "button", "aria-pressed": pressed },
      html("span", { class: colours.has(group) ? `swatch c${colours.get(group)}` : "swatch grey" }),
      several ? `${point.entrant}, ${point.hardware}` : point.entrant,
    );
    button.addEventListener("click", () => link.select(group));
    const element = html("li", { "data-group": group }, button);
    element.addEventListener("pointerenter", () => link.hover(group));
    element.addEventListener("pointerleave", () => link.hover(null));
    button.addEventListener("focus", () => link.hover(group));
    button.addEventListener("blur", () => link.hover(null));
    return element;
  }

  const of = (isColoured) => groups.filter((group) => colours.has(group) === isColoured).map((group) => items.get(group));
  const [coloured, grey] = [of(true), of(false)];
  const others = html(
    "details",
    { open: wasOpen },
    html("summary", {}, `${plural(grey.length, "other")} in grey: who they are`),
    html("ul", { class: "legend" }, ...grey),
  );
  host.replaceChildren(html("ul", { class: "legend" }, ...coloured), ...(grey.length > 0 ? [others] : []));
  if (focused) items.get(focused)?.querySelector("button")?.focus();
}
