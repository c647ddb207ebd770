/** Marks that tell lines apart without their colour. */

import { svg } from "./dom.js";

const SHAPE_PX = 4.2;

function polygon(corners) {
  return `M${corners.map(([x, y]) => `${(SHAPE_PX * x).toFixed(2)},${(SHAPE_PX * y).toFixed(2)}`).join("L")}Z`;
}

const ARM = 0.42;
const PLUS = [[-ARM, -1.2], [ARM, -1.2], [ARM, -ARM], [1.2, -ARM], [1.2, ARM], [ARM, ARM]];
const PATHS = [
  `M${-SHAPE_PX},0a${SHAPE_PX},${SHAPE_PX} 0 1,0 ${2 * SHAPE_PX},0a${SHAPE_PX},${SHAPE_PX} 0 1,0 ${-2 * SHAPE_PX},0Z`,
  polygon([[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]]),
  polygon([[0, -1.25], [1.15, 0.85], [-1.15, 0.85]]),
  polygon([[0, -1.35], [1.15, 0], [0, 1.35], [-1.15, 0]]),
  polygon([[0, 1.25], [1.15, -0.85], [-1.15, -0.85]]),
  polygon([...PLUS, ...PLUS.map(([x, y]) => [-x, -y])]),
];

/** The mark of the line `place` around x and y, in the colour of what it lies in; `names`: its classes. */
export function shapeMark(place, x, y, ...names) {
  const at = `translate(${x.toFixed(1)},${y.toFixed(1)})`;
  return svg("path", { d: PATHS[place % PATHS.length], transform: at, class: ["shape", ...names].join(" ") });
}

/** The same beside a name, in its colour. */
export function shapeKey({ place, colour }, ...names) {
  return svg("svg", { width: 14, height: 14, viewBox: "-7 -7 14 14", class: `key c${colour}`, "aria-hidden": "true" }, shapeMark(place, 0, 0, ...names));
}
