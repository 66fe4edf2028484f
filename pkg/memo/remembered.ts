/**
 * The value for `key` in `known`, made if it is missing. When `max` values are there, all are forgotten first. So a host that chooses the
 * keys can have everything made again, but not have it kept, and no order of last use has to be kept up to date.
 */
export function remembered<Key, Value>(known: Map<Key, Value>, key: Key, max: number, make: (key: Key) => Value): Value {
  const found = known.get(key);
  if (found !== undefined) return found;
  const made = make(key);
  if (known.size >= max) known.clear();
  known.set(key, made);
  return made;
}
