/** CSV (RFC 4180) that a spreadsheet takes for data, never for a formula. */

/** A text cell that begins like a formula gets an apostrophe before it, as OWASP's "CSV Injection" advises. */
function cell(value) {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.join(" ");
  if (typeof value !== "string") return String(value);
  const text = /^[=+\-@\t\r\n]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function isKnown(value) {
  return value !== null && value?.length !== 0;
}

export function toCsv(columns, rows) {
  return [columns, ...rows.map((row) => columns.map((name) => row[name]))]
    .map((row) => `${row.map(cell).join(",")}\r\n`)
    .join("");
}

/** A point that does not count, without its figures. */
function textsOf(point) {
  return Object.fromEntries(
    Object.entries(point).map(([name, value]) => [name, typeof value === "string" ? value : null]),
  );
}

/** The rows of the leaderboard as they are shown, with their points' figures under their names in points.csv. */
export function rowsCsv(columns, rows) {
  const known = columns.filter((name) => rows.some((row) => isKnown(row.point[name])));
  const shown = rows.map((row) => {
    return {
      ...(row.usable ? row.point : textsOf(row.point)),
      rank: row.rank,
      meets_latency_target: row.usable ? row.meets : null,
    };
  });
  return toCsv(["rank", "meets_latency_target", ...known], shown);
}

export function pointsCsv(columns, points) {
  return toCsv(
    columns.filter((name) => points.some((point) => isKnown(point[name]))),
    points,
  );
}

export function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const anchor = document.createElement("a");
  anchor.href = url;
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
