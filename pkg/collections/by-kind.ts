/** The members of a union of which `Kind` is a value of their field `Key`. */
type OfKind<Union, Key extends keyof Union, Kind> = Union extends unknown ? (Kind extends Union[Key] ? Union : never) : never;

/** For each kind of a union, by its field `Key`, what is done with a value of that kind. */
export type ByKind<Union, Key extends keyof Union, Args extends readonly unknown[], Result> = {
  readonly [Kind in Union[Key] & string]: (value: OfKind<Union, Key, Kind>, ...args: Args) => Result;
};

/** Does with a value what the table has for its kind. */
export function dispatchByKind<
  Key extends string,
  Union extends Readonly<Record<Key, string>>,
  Args extends readonly unknown[],
  Result,
>(table: ByKind<Union, Key, Args, Result>, key: Key, value: Union, ...args: Args): Result {
  const act = table[value[key] as keyof typeof table] as (value: Union, ...args: Args) => Result;
  return act(value, ...args);
}
