import { Address, AddressRange, Prefix } from "#pkg/net";
import { decodeValue, encodeValue, isList, isRecord, maxDepth, type Plain, tagOf } from "./codec.ts";

/** An object that has private fields, and gives out its state. */
export interface Savable {
  save(): object;
}

/** Classes whose instances a graph may have, by names that a bundler does not change. */
export type SavableClasses = Readonly<Record<string, SavableClass>>;

/** An instance without `save` is saved by its fields, of which none is private; without `restore`, one has the saved fields. */
interface SavableClass {
  readonly prototype: object;
  new (...options: never[]): object;
  restore?(saved: never): object;
}

/** An array, map, set or other object that is being written. */
interface Open {
  readonly value: unknown;
  /** The values inside it, and the text before each. */
  readonly inner: readonly unknown[];
  readonly before: readonly string[];
  /** The text behind them. */
  readonly end: string;
  next: number;
}

// Longer pieces take more memory, and shorter ones more calls of the stream that compresses them.
const pieceChars = 64 << 10;

/**
 * Objects that refer to one another, such as the state of a core, as the text of JSON, in pieces: what `encode` can, and instances of `classes`, as
 * `@new`. An object that occurs twice is written once, and as `@ref` afterwards: the number of the array, map, set or other object, in
 * the order in which they end. `decodeGraph` gives equal objects, which share what these shared.
 * @throws {TypeError} for what cannot be saved, a circle among it
 */
export function* encodeGraph(root: unknown, classes: SavableClasses): Generator<string, void> {
  const numbers = new Map<unknown, number>(); // `begun` until they end
  const names = new Map(Object.entries(classes).map(([name, { prototype }]) => [prototype as unknown, name]));
  const open: Open[] = [];
  let ended = 0;
  let text = "";
  const begin = (value: unknown): void => {
    if (!isNumbered(value)) {
      text += JSON.stringify(encodeValue(value, noInner, String));
      return;
    }
    const number = numbers.get(value);
    if (number === begun) throw new TypeError("Cannot save: it is within itself");
    if (number === undefined) {
      numbers.set(value, begun);
      open.push(opened(value, names.get(Object.getPrototypeOf(value))));
    } else text += `{"@ref":${number}}`;
  };
  begin(root);
  for (let last = open.at(-1); last !== undefined; last = open.at(-1)) {
    const { value, inner, before, end, next } = last;
    if (next < inner.length) {
      last.next++;
      text += before[next];
      begin(inner[next]);
    } else {
      text += end;
      numbers.set(value, ended++);
      open.pop();
    }
    if (text.length < pieceChars) continue;
    yield text;
    text = "";
  }
  yield text;
}

/** @param name of its class, if that can be saved */
function opened(value: object, name: string | undefined): Open {
  const open = (inner: readonly unknown[], before: readonly string[], empty: string, end: string): Open => {
    return { value, inner, before, end: inner.length === 0 ? empty : end, next: 0 };
  };
  const list = (start: string, inner: readonly unknown[], end: string): Open =>
    open(
      inner,
      inner.map((_, index) => (index === 0 ? start : ",")),
      `${start}${end}`,
      end,
    );
  if (name !== undefined)
    return open([isSavable(value) ? value.save() : { ...value }], [`{"@new":[${JSON.stringify(name)},`], "", "]}");
  if (Array.isArray(value)) return list("[", value, "]");
  if (value instanceof Set) return list('{"@set":[', [...value], "]}");
  if (value instanceof Map) {
    const entries = [...value].flat();
    const between = (index: number): string => (index % 2 === 1 ? "," : index === 0 ? '{"@map":[[' : "],[");
    return open(
      entries,
      entries.map((_, index) => between(index)),
      '{"@map":[]}',
      "]]}",
    );
  }
  if (!isRecord(value)) throw new TypeError(`Cannot save an instance of ${value.constructor?.name}`);
  const keys = Object.keys(value).filter((key) => value[key] !== undefined);
  const inner = keys.map((key) => value[key]);
  // One with such a key would be taken for a value that JSON lacks.
  const isTagged = keys.some((key) => key.startsWith("@"));
  const start = (index: number): string => (index > 0 ? (isTagged ? "],[" : ",") : isTagged ? '{"@object":[[' : "{");
  const before = keys.map((key, index) => `${start(index)}${JSON.stringify(key)}${isTagged ? "," : ":"}`);
  return open(inner, before, "{}", isTagged ? "]]}" : "}");
}

/** Values that are not numbered have nothing inside them. */
function noInner(): never {
  throw new TypeError("Cannot save: a value has others inside it");
}

/** Undoes `encodeGraph`. @throws {TypeError} for text that it cannot have made */
export function decodeGraph(root: Plain, classes: SavableClasses): unknown {
  const objects: unknown[] = [];
  const visit = (plain: Plain, depth: number): unknown => {
    if (depth > maxDepth) throw new TypeError(`Cannot restore: it is nested deeper than ${maxDepth}`);
    const [tag, of] = tagOf(plain) ?? [];
    if (tag === "@ref" && typeof of === "number" && of in objects) return objects[of];
    const inner = (each: Plain) => visit(each, depth + 1);
    const value = tag === "@new" ? restore(of, classes, inner) : decodeValue(plain, inner);
    if (isNumbered(value)) objects.push(value);
    return value;
  };
  return visit(root, 0);
}

function isSavable(value: object): value is Savable {
  return "save" in value;
}

function restore(of: Plain | undefined, classes: SavableClasses, inner: (plain: Plain) => unknown): object {
  const [name, saved] = of !== undefined && isList(of) ? of : [];
  const found = typeof name === "string" && Object.hasOwn(classes, name) ? classes[name] : undefined;
  const fields = saved === undefined ? undefined : inner(saved);
  if (found === undefined || typeof fields !== "object" || fields === null)
    throw new TypeError(`Cannot restore ${JSON.stringify(name)}: there is no such class`);
  return found.restore?.(fields as never) ?? Object.assign(new (found as new () => object)(), fields);
}

const begun = -1;

/** Values of these classes are the same wherever they are. */
const values = [Address, Prefix, AddressRange, Uint8Array];

function isNumbered(value: unknown): value is object {
  return typeof value === "object" && value !== null && !values.some((each) => value instanceof each);
}
