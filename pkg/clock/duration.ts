const unitNanoseconds: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  // Written as escapes: a bundle with one octet for every character takes half the memory.
  "\u00b5s": 1e3, // Micro sign
  "\u03bcs": 1e3, // Greek letter mu
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/**
 * Reads a duration as Go's `time.ParseDuration` does: `90s`, `1m30s`, `1.5h`, `-3s`, `0`. The result is in nanoseconds, exact
 * below 104 days. @returns undefined for anything else, such as a number without a unit or more than Go's 292 years
 */
export function parseDuration(text: string): number | undefined {
  const [, sign, rest] = /^([-+]?)(.*)$/s.exec(text) ?? [];
  if (rest === "0") return 0;
  if (rest === undefined || text.length > 64 || !/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+$/.test(rest))
    return undefined;
  let total = 0;
  for (const [, whole, fraction, unit] of rest.matchAll(/(\d*)(\.\d*)?([a-z\u00b5\u03bc]+)/g)) {
    const size = unitNanoseconds[unit ?? ""] ?? 0;
    total += Number(whole) * size + Math.trunc(Number(`0${fraction ?? ""}`) * size);
  }
  if (total > 2 ** 63) return undefined;
  return sign === "-" ? -total : total;
}
