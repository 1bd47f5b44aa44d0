// Numbers and times for people. What is not known is a dash.

export const UNKNOWN = "–";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const clockFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minuteFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const dayFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

const known = (number) => typeof number === "number" && Number.isFinite(number);

/** What is not known is left out; null where not one of them is known. */
export function sum(items, value) {
  return items.reduce((total, item) => (value(item) === null ? total : (total ?? 0) + value(item)), null);
}

/** 12,345 */
export function count(number) {
  return known(number) ? whole.format(number) : UNKNOWN;
}

/** 12,345 but 1.2 M */
export function compact(number) {
  if (!known(number)) return UNKNOWN;
  if (Math.abs(number) >= 1e9) return `${tenth.format(number / 1e9)} G`;
  if (Math.abs(number) >= 1e6) return `${tenth.format(number / 1e6)} M`;
  return whole.format(number);
}

/** 1.2 k/s, 34/s, 1.5/s, 3/min */
export function rate(perSecond) {
  if (!known(perSecond)) return UNKNOWN;
  if (perSecond >= 999.5) return `${tenth.format(perSecond / 1000)} k/s`;
  if (perSecond >= 9.95) return `${whole.format(perSecond)}/s`;
  if (perSecond >= 0.095) return `${tenth.format(perSecond)}/s`;
  if (perSecond * 60 >= 0.95) return `${whole.format(perSecond * 60)}/min`;
  if (perSecond > 0) return `${whole.format(Math.max(1, perSecond * 3600))}/h`;
  return "0/s";
}

/** 0.4 ms, 11 ms, 1.3 s */
export function milliseconds(number) {
  if (!known(number)) return UNKNOWN;
  if (number >= 999.5) return duration(number / 1000);
  return number < 9.95 ? `${tenth.format(number)} ms` : `${whole.format(number)} ms`;
}

/** 0.8 s, 12 s, 3 min 20 s, 2 h 5 min, 3 d 4 h */
export function duration(seconds) {
  if (!known(seconds)) return UNKNOWN;
  if (seconds < 9.95) return `${tenth.format(Math.max(0, seconds))} s`;
  return elapsed(seconds);
}

/** The same in whole seconds, for what is counted up. */
export function elapsed(seconds) {
  const total = Math.max(0, Math.round(seconds));
  if (total < 60) return `${total} s`;
  const [day, hour, minute] = [Math.floor(total / 86400), Math.floor(total / 3600) % 24, Math.floor(total / 60) % 60];
  if (day > 0) return `${day} d ${hour} h`;
  if (hour > 0) return `${hour} h ${minute} min`;
  return `${minute} min ${total % 60} s`;
}

/** 812 B, 16.0 kB */
export function bytes(number) {
  if (!known(number)) return UNKNOWN;
  if (number < 1000) return `${number} B`;
  return number < 1e6 ? `${tenth.format(number / 1000)} kB` : `${tenth.format(number / 1e6)} MB`;
}

/** −6.2 °C, with a real minus sign. */
export function celsius(number) {
  return known(number) ? `${tenth.format(number).replace("-", "−")} °C` : UNKNOWN;
}

export function percent(part, total) {
  return total > 0 ? `${whole.format((100 * part) / total)} %` : UNKNOWN;
}

/** The first characters of a text, without half of a pair at the end. */
export function beginning(text, characters) {
  return text.slice(0, characters).replace(/[\ud800-\udbff]$/, "");
}

/** "1 message", "12 messages" */
export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** Local time: 17:21:04, with the date in front when that is not today. */
export function clock(time) {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return UNKNOWN;
  const today = date.toDateString() === new Date().toDateString();
  return today ? clockFormat.format(date) : `${dayFormat.format(date)}, ${clockFormat.format(date)}`;
}

export function hourAndMinute(time) {
  return minuteFormat.format(new Date(time));
}

/** The exact time, for a title: 2026-11-22 17:21:04.120 UTC */
export function utc(time) {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString().replace("T", " ").replace("Z", " UTC");
}
