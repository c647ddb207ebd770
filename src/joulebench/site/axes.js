/** A numeric axis: logarithmic where its values are more than a decade apart, as in the figures. */

import { svg } from "./dom.js";
import { plain } from "./format.js";

const DECADE = 10;

/** An axis from 0 to `length` pixels with room around `values`, all over 0. */
export function makeAxis(values, length, tickPx) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  if (low > 0 && high / low > DECADE) {
    const room = (high / low) ** 0.06;
    return axis(low / room, high * room, length, tickPx, Math.log);
  }
  const pad = 0.08 * (high - low) || 0.5 * Math.abs(high) || 1;
  return axis(Math.max(0, low - pad), high + pad, length, tickPx, Number);
}

function axis(low, high, length, tickPx, along) {
  const [from, to] = [along(low), along(high)];
  const px = (value) => (length * (along(value) - from)) / (to - from);
  const most = Math.max(2, Math.floor(length / tickPx));
  const ticks = along === Math.log ? logTicks(low, high, most) : linearTicks(low, high, most);
  return { low, high, length, px, ticks };
}

/** At most about `most` round numbers from `low` to `high`. */
function linearTicks(low, high, most) {
  let step = 10 ** Math.floor(Math.log10((high - low) / most));
  step *= [1, 2, 5].find((factor) => (high - low) / (step * factor) <= most) ?? 10;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, place) => Number(((first + place) * step).toPrecision(12)));
}

/** 1, 2 and 5 times the powers of ten from `low` to `high`, or fewer of them where those are more than `most`. */
function logTicks(low, high, most) {
  const powers = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) powers.push(power);
  const within = (factors) =>
    powers
      .flatMap((power) => factors.map((factor) => Number(`${factor}e${power}`)))
      .filter((tick) => low <= tick && tick <= high);
  return [[1, 2, 5], [1, 3], [1]].map(within).find((ticks) => ticks.length <= most) ?? within([1]);
}

/** The figure's values with the ends of their intervals, which an axis has to hold. */
export function extent(points, stem, unit) {
  const values = points.flatMap((point) => ["", "_low", "_high"].map((bound) => point[`${stem}${bound}_${unit}`]));
  return values.filter((value) => value !== null && value > 0);
}

/** The lines and numbers of both axes. */
export function grid(axes) {
  const marks = svg("g", { class: "grid", "aria-hidden": "true" });
  const [wide, tall] = [axes.x.length, axes.y.length];
  for (const tick of axes.y.ticks) {
    const y = tall - axes.y.px(tick);
    marks.append(
      svg("line", { x1: 0, x2: wide, y1: y, y2: y }),
      svg("text", { x: -8, y: y + 4, class: "end" }, plain(tick)),
    );
  }
  for (const tick of axes.x.ticks) {
    const x = axes.x.px(tick);
    marks.append(
      svg("line", { x1: x, x2: x, y1: 0, y2: tall }),
      svg("text", { x, y: tall + 18, class: "middle" }, plain(tick)),
    );
  }
  return marks;
}
