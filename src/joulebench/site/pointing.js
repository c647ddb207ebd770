/** Pointing at the points of a chart with a mouse, a finger or the arrow keys. */

const REACH_PX = 28;

/**
 * @param {HTMLElement} host of the chart's svg, whose points are `margin` away from its corner
 * @param {{point: (point, x: number, y: number) => void, say: (point) => void, leave: () => void, select?: (point) => void}} on
 * `x`, `y`: where on the screen
 */
export function makePointing(host, margin, on) {
  /** @type {{point, x: number, y: number}[]} */
  let placed = [];
  let at = -1;
  const outline = () => host.querySelector("svg")?.getBoundingClientRect();

  function nearest(event) {
    const box = outline();
    if (!box) return null;
    const [x, y] = [event.clientX - box.left - margin.left, event.clientY - box.top - margin.top];
    let found = null;
    let least = REACH_PX;
    for (const one of placed) {
      const distance = Math.hypot(one.x - x, one.y - y);
      if (distance < least) [found, least] = [one, distance];
    }
    return found;
  }

  function pointAt(one, x, y) {
    const cursor = host.querySelector(".cursor");
    cursor?.setAttribute("transform", `translate(${one.x},${one.y})`);
    cursor?.classList.add("on");
    on.point(one.point, x, y);
  }

  function leave() {
    host.querySelector(".cursor")?.classList.remove("on");
    on.leave();
  }

  function onKey(event) {
    if (event.key === "Escape") return leave();
    if (event.key === "Enter" && placed[at]) return on.select?.(placed[at].point);
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
    const box = outline();
    if (!step || !box || placed.length === 0) return undefined;
    event.preventDefault();
    const count = placed.length;
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") at = at < 0 ? 0 : (at + step + count) % count;
    else at = otherSeries(step);
    const one = placed[at];
    pointAt(one, box.left + margin.left + one.x, box.top + margin.top + one.y);
    on.say(one.point);
    return undefined;
  }

  /** The first point of the series after or before the present one. */
  function otherSeries(step) {
    const names = [...new Set(placed.map((one) => one.point.series))];
    const now = names.indexOf(placed[at]?.point.series);
    const name = names[now < 0 ? 0 : (now + step + names.length) % names.length];
    return placed.findIndex((one) => one.point.series === name);
  }

  for (const kind of /** @type {const} */ (["pointermove", "pointerdown"])) {
    host.addEventListener(kind, (event) => {
      const one = nearest(event);
      if (one) pointAt(one, event.clientX, event.clientY);
      else leave();
    });
  }
  host.addEventListener("pointerleave", leave);
  host.addEventListener("focusout", leave);
  host.addEventListener("click", (event) => {
    const one = nearest(event);
    if (one) on.select?.(one.point);
  });
  host.addEventListener("keydown", onKey);

  return {
    /** @param {{point, x: number, y: number}[]} points of what was drawn anew, series by series */
    reset(points) {
      placed = points;
      at = -1;
    },
  };
}
