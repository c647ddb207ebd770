/** The leaderboard's table: DataTables sorts it, the rest of the page decides what is in it. */

import { columnsFor } from "./cells.js";
import { byId, html } from "./dom.js";
import { DEFAULT_SORT } from "./state.js";

const NULLS_LAST = "nulls-last";

/** Of {value, below}: what is `below` comes last both ways, then nulls. */
function compare(sign) {
  return (one, other) => {
    if (one.below !== other.below) return one.below ? 1 : -1;
    const [a, b] = [one.value, other.value];
    if (a === b) return 0;
    if (a === null) return 1;
    if (b === null) return -1;
    return a < b ? -sign : sign;
  };
}
DataTable.ext.type.order[`${NULLS_LAST}-asc`] = compare(1);
DataTable.ext.type.order[`${NULLS_LAST}-desc`] = compare(-1);

function definition(column) {
  return {
    data: null,
    type: NULLS_LAST,
    // A node for the cell, so that no text of the data is ever read as markup.
    render: (row, how) => {
      if (how === "display") return column.cell(row);
      return how === "sort" ? { value: column.value(row), below: row.below } : column.value(row);
    },
    className: column.type,
    cellType: column.type === "row" ? "th" : "td",
    createdCell: (cell) => column.type === "row" && cell.setAttribute("scope", "row"),
    orderSequence: column.first === "asc" ? ["asc", "desc"] : ["desc", "asc"],
  };
}

/** @param {{hover: (group: ?string) => void, select: (group: string) => void, sort: (sort: string) => void}} link */
export function makeTable(severalHardware, link) {
  const host = byId("scroll");
  /** @type {?DataTable} */
  let table = null;
  /** @type {ReturnType<typeof columnsFor>} */
  let columns = [];
  /** @type {() => NodeListOf<HTMLTableRowElement>} */
  const bodyRows = () => host.querySelectorAll("tbody tr[data-group]");
  const groupAt = (event) => event.target.closest?.("tbody tr[data-group]")?.dataset.group ?? null;

  host.addEventListener("pointerover", (event) => link.hover(groupAt(event)));
  host.addEventListener("pointerleave", () => link.hover(null));
  host.addEventListener("focusin", (event) => link.hover(groupAt(event)));
  host.addEventListener("focusout", () => link.hover(null));
  host.addEventListener("change", (event) => link.select(groupAt(event)));

  function build(sort, caption) {
    const head = html("tr", {}, ...columns.map((one) => html("th", { scope: "col", class: one.type }, one.title)));
    const element = html(
      "table",
      { class: "leaderboard" },
      html("caption", { class: "unseen" }, caption),
      html("thead", {}, head),
      html("tbody"),
    );
    host.replaceChildren(element);
    const [key, direction] = sort.split(".");
    const place = columns.findIndex((one) => one.key === key);
    const made = new DataTable(element, {
      columns: columns.map(definition),
      order: place < 0 ? [[0, "asc"]] : [[place, direction]],
      layout: { topStart: null, topEnd: null, bottomStart: null, bottomEnd: null },
      paging: false,
      searching: false,
      info: false,
      autoWidth: false,
      language: { emptyTable: "No model passes the filters." },
      createdRow: (element_, row) => {
        element_.dataset.group = row.group;
        if (row.rank === null) element_.classList.add("unranked");
      },
    });
    made.on("order.dt", () => {
      const [first] = made.order();
      if (first) link.sort(`${columns[first[0]].key}.${first[1]}`);
    });
    return made;
  }

  return {
    show(rows, state, unit, width, caption) {
      const wanted = columnsFor(rows, state, unit, width, severalHardware && state.hardware === null);
      const same = wanted.length === columns.length && wanted.every((one, at) => one.title === columns[at].title);
      if (table && same) {
        // The cells' functions are of these rows' scales; the table keeps calling the ones that it was made with.
        for (const [place, one] of columns.entries()) Object.assign(one, wanted[place]);
      } else {
        columns = wanted;
        table?.destroy();
        table = build(state.sort, caption);
      }
      table.clear().rows.add(rows);
      table.draw();
    },
    sortBy(sort) {
      const [key, direction] = (sort ?? DEFAULT_SORT).split(".");
      const place = columns.findIndex((one) => one.key === key);
      if (place >= 0) table?.order([place, direction]).draw();
    },
    /** The rows in the order in which they are shown. */
    rows: () => (table ? table.rows({ order: "applied" }).data().toArray() : []),
    /** `grey`: whether the chart has lines without a colour. */
    mark(selected, colours, grey) {
      const name = (element) =>
        colours.has(element.dataset.group) ? `c${colours.get(element.dataset.group)}` : "plain";
      const boxes = [...host.querySelectorAll("input")];
      for (const box of boxes) {
        box.checked = selected.includes(box.dataset.group);
        box.className = name(box);
      }
      host.classList.toggle("many", grey);
      for (const swatch of host.querySelectorAll(".swatch")) swatch.className = `swatch ${name(swatch)}`;
      for (const row of bodyRows()) row.classList.toggle("is-selected", selected.includes(row.dataset.group));
    },
    highlight(group) {
      for (const row of bodyRows()) row.classList.toggle("is-hovered", row.dataset.group === group);
    },
  };
}
