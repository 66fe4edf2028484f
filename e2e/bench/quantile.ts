/** The least of the values that this part of them does not exceed: 0 gives the least, 0.5 the median, 1 the most. NaN without any. */
export function quantile(values: readonly number[], part: number): number {
  return values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(part * values.length) - 1)] ?? Number.NaN;
}
