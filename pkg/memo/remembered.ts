/**
 * The value for `key` in `known`, made where there is none yet. When as many as `max` are there, all are forgotten first: whoever decides what is
 * asked for can have everything made again, but not have it kept, and no list of what was used last has to be kept up to date.
 */
export function remembered<Key, Value>(known: Map<Key, Value>, key: Key, max: number, make: (key: Key) => Value): Value {
  const found = known.get(key);
  if (found !== undefined) return found;
  const made = make(key);
  if (known.size >= max) known.clear();
  known.set(key, made);
  return made;
}
