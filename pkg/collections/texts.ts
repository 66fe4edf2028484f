const fewTexts = 16;
const sets = new WeakMap<readonly string[], ReadonlySet<string>>(); // list -> the same

/** Whether a list that never changes has the text. A long list that is asked often has a set, which is kept as long as the list. */
export function isIn(texts: readonly string[], text: string): boolean {
  if (texts.length < fewTexts) return texts.includes(text);
  const known = sets.get(texts);
  if (known !== undefined) return known.has(text);
  const set = new Set(texts);
  sets.set(texts, set);
  return set.has(text);
}

/** Whether two lists have the same texts in the same order. */
export function areSameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((text, index) => text === b[index]));
}
