const most = 5;

/** The items with commas between them; of many the first five, and how many more there are. */
export function list(items: readonly { toString(): string }[]): string {
  const more = items.length > most ? [`${items.length - most} more`] : [];
  return [...items.slice(0, most), ...more].join(", ");
}
