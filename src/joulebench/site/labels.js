/** Names beside the lines of many models: of the coloured where there is room, of any other when it is pointed at. */

import { svg } from "./dom.js";

const CHARACTER_PX = 6.4; // of 12 px text, the widest usual
const HEIGHT_PX = 14;
const AWAY_PX = 9;

function boxOf({ x, y, anchor }, text) {
  const width = text.length * CHARACTER_PX;
  const left = anchor === "start" ? x : anchor === "end" ? x - width : x - width / 2;
  return { left, right: left + width, top: y - HEIGHT_PX + 3, bottom: y + 3 };
}

function meet(a, b) {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

/** Where a name may stand beside an end of its line, the likeliest first. */
function places({ x, y }) {
  return [
    { x: x + AWAY_PX, y: y + 4, anchor: "start" },
    { x: x - AWAY_PX, y: y + 4, anchor: "end" },
    { x, y: y - AWAY_PX - 3, anchor: "middle" },
    { x: x + AWAY_PX, y: y - AWAY_PX, anchor: "start" },
    { x: x + AWAY_PX, y: y + AWAY_PX + 9, anchor: "start" },
  ];
}

/**
 * Puts a name into each line's element.
 * @param lines one of each model; the first wanted gets its place first. `element`: its line; `ends` of it, `marks`: its
 * points, which no name may cover, as {x, y}.
 */
export function addLabels(lines, wide, tall) {
  const taken = lines
    .filter((line) => line.wanted)
    .flatMap((line) => line.marks.map(({ x, y }) => ({ left: x - 4, right: x + 4, top: y - 4, bottom: y + 4 })));
  const inside = (box) => box.left >= 0 && box.right <= wide && box.top >= 0 && box.bottom <= tall;
  for (const { element, text, ends, wanted } of lines) {
    const free = (place) => {
      const box = boxOf(place, text);
      return inside(box) && !taken.some((other) => meet(box, other));
    };
    const known = ends.flatMap(places);
    const place = wanted ? known.find(free) : undefined;
    if (place) taken.push(boxOf(place, text));
    const at = place ?? known.find((one) => inside(boxOf(one, text))) ?? known[0];
    element.append(
      svg(
        "text",
        { x: at.x, y: at.y, "text-anchor": at.anchor, class: place ? "name-label placed" : "name-label", "aria-hidden": "true" },
        text,
      ),
    );
  }
}
