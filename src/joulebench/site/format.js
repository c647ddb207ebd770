/** Numbers and names as people read them. */

export const DASH = "\u2013";
const MINUS = "\u2212";

export const METRICS = {
  ttft: { short: "TTFT", long: "time to first token" },
  submission_ttft: { short: "Queued TTFT", long: "time to first token from submission" },
  tpot: { short: "TPOT", long: "time per output token" },
  itl: { short: "ITL", long: "inter-token latency" },
  latency: { short: "Latency", long: "latency" },
};
export const QUANTILES = [50, 90, 95, 99];
export const PER_RESPONSES = 1000;

const formats = new Map();

/** `value` with so many significant digits and no exponent: 0.0123, 4.57, 12,300; "–" for null. */
export function significant(value, digits = 3) {
  if (value === null || value === undefined) return DASH;
  if (value === 0) return "0";
  if (!formats.has(digits)) {
    const options = { minimumSignificantDigits: digits, maximumSignificantDigits: digits };
    formats.set(digits, new Intl.NumberFormat("en-GB", options));
  }
  return formats.get(digits).format(value).replace("-", MINUS);
}

/** Three digits, or as many more (five at most) as it takes to tell the ends of the interval apart. */
function digitsFor(low, high) {
  if (low === null || high === null) return 3;
  return [3, 4].find((digits) => significant(low, digits) !== significant(high, digits)) ?? 5;
}

/** A figure and its interval as texts; `factor` changes the unit. */
export function figure(value, low, high, factor = 1) {
  if (value === null) return { value: DASH, interval: null };
  const digits = digitsFor(low, high);
  const known = low !== null && high !== null;
  const [from, to] = known ? [Math.max(0, low), high].map((end) => significant(end * factor, digits)) : [];
  return { value: significant(value * factor, digits), interval: known ? `${from}${DASH}${to}` : null };
}

/** The figure `name` of `unit` of a point, with its interval. */
export function figureOf(point, name, unit, factor = 1) {
  return figure(point[`${name}_${unit}`], point[`${name}_low_${unit}`], point[`${name}_high_${unit}`], factor);
}

/** Whether a point's quality is a share of right answers; that of another metric is a score as it stands. */
export function isShare(point) {
  return ["pass-at-1", "exact-match"].includes(point.quality_metric);
}

/** How good a point's answers are, a share in percent, with its interval. */
export function qualityOf(point) {
  return figure(point.quality, point.quality_low, point.quality_high, isShare(point) ? 100 : 1);
}

/** What the quality of some points is called: "Right answers (%)", else by its metrics. */
export function qualityWords(points) {
  const judged = points.filter((point) => point.quality !== null);
  return judged.every(isShare) ? "Right answers (%)" : [...new Set(judged.map((one) => one.quality_metric))].join(", ");
}

/** What a published score is, and who published it when. */
export function publishedWords(point) {
  return [point.published_score_name, point.published_score_source, point.published_score_date].join(", ");
}

/** A score that others published, to four digits: "23.74 %", "1,287". */
export function publishedScore(point) {
  const score = significant(point.published_score, 4);
  return point.published_score_unit === null ? score : `${score} ${point.published_score_unit}`;
}

/** The unit in which all the durations of one column are shown. */
export function durationUnit(seconds) {
  const known = seconds.filter((value) => value !== null).sort((a, b) => a - b);
  const middle = known[Math.floor(known.length / 2)] ?? 1;
  return middle < 0.5 ? { name: "ms", factor: 1000 } : { name: "s", factor: 1 };
}

export function quantileWords(metric, quantile, capital = false) {
  const words = `${quantile === 50 ? "median" : `${quantile}th percentile of`} ${METRICS[metric].long}`;
  return capital ? words[0].toUpperCase() + words.slice(1) : words;
}

/** A duration of no table: "200 ms", "1.5 s". */
export function durationWords(seconds) {
  const [value, unit] = seconds < 1 ? [seconds * 1000, "ms"] : [seconds, "s"];
  return `${Number(value.toPrecision(6))} ${unit}`;
}

/** A number as it is, of six digits at most: 1,211. */
export function plain(value) {
  return new Intl.NumberFormat("en-GB", { maximumSignificantDigits: 6 }).format(value);
}

export function plural(count, one, many = `${one}s`) {
  return `${plain(count)} ${count === 1 ? one : many}`;
}

export function parameters(count) {
  if (count === null) return DASH;
  return count >= 1e9 ? `${significant(count / 1e9)} bn` : `${significant(count / 1e6)} M`;
}

export function sourceWords(point) {
  return point.source?.words ?? "none: no energy was measured";
}

export function isEstimate(point) {
  return point.source?.estimate ?? false;
}

/** The point's setting and variant: "B 64, fp8", "4 requests/s". */
export function pointName(point) {
  return [point.at.replace(/ = | /g, "\u00a0"), point.variant].filter(Boolean).join(", ");
}

/** Whether the batch size is what the point's sweep varies. */
export function isOfBatchSizes(point) {
  return point.axis === "max_batch_size";
}

/** What stands beside a point in the chart: "64" for a batch size, else "4 requests/s". */
export function pointNumber(point) {
  return isOfBatchSizes(point) ? String(point.axis_value) : point.at;
}

/** The load where it is neither a closed loop nor batches: "poisson"; else null. */
export function otherLoad(point) {
  return ["closed-loop", "batches"].includes(point.load) ? null : point.load;
}

export function percent(share) {
  const value = Math.round(Math.abs(share) * 1000) / 10;
  const text = value >= 10 ? Math.round(value).toString() : value.toString();
  return `${share < 0 ? MINUS : "+"}${text} %`;
}
