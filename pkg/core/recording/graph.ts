import { Address, AddressRange, Prefix } from "#pkg/net";
import { decodeValue, encodeValue, isList, maxDepth, type Plain, tagOf } from "./codec.ts";

/** An object with private fields that can give out its state, and be made from that state again. */
export interface Savable {
  save(): object;
}

/** Classes whose instances a graph may have, by names that a bundler does not change. */
export type SavableClasses = Readonly<Record<string, SavableClass>>;

interface SavableClass {
  readonly prototype: Savable;
  new (...options: never[]): Savable;
  /** Where it is missing, an instance has the saved fields. */
  restore?(saved: never): Savable;
}

/**
 * Objects that refer to one another, as JSON has them, such as the state of a core: what `encode` can, and instances of `classes`, as
 * `@new`. An object that occurs twice is written once, and as `@ref` afterwards: the number of the array, map, set or other object, in
 * the order in which they end. `decodeGraph` gives equal objects, which share what these shared.
 * @throws {TypeError} for what cannot be saved, a circle among it
 */
export function encodeGraph(root: unknown, classes: SavableClasses): Plain {
  const numbers = new Map<unknown, number>(); // `begun` until they end
  const names = new Map(Object.entries(classes).map(([name, { prototype }]) => [prototype as unknown, name]));
  let ended = 0;
  const visit = (value: unknown): Plain => {
    if (!isNumbered(value)) return encodeValue(value, visit, String);
    const number = numbers.get(value);
    if (number === begun) throw new TypeError("Cannot save: it is within itself");
    if (number !== undefined) return { "@ref": number };
    numbers.set(value, begun);
    const name = names.get(Object.getPrototypeOf(value));
    const plain = name === undefined ? encodeValue(value, visit, String) : { "@new": [name, visit((value as Savable).save())] };
    if (plain !== value && tagOf(plain)?.[0] === "@other") throw new TypeError(`Cannot save an instance of ${tagOf(plain)?.[1]}`);
    numbers.set(value, ended++);
    return plain;
  };
  return visit(root);
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

function restore(of: Plain | undefined, classes: SavableClasses, inner: (plain: Plain) => unknown): Savable {
  const [name, saved] = of !== undefined && isList(of) ? of : [];
  const found = typeof name === "string" && Object.hasOwn(classes, name) ? classes[name] : undefined;
  const fields = saved === undefined ? undefined : inner(saved);
  if (found === undefined || typeof fields !== "object" || fields === null)
    throw new TypeError(`Cannot restore ${JSON.stringify(name)}: there is no such class`);
  return found.restore?.(fields as never) ?? Object.assign(new (found as new () => Savable)(), fields);
}

const begun = -1;

/** Values of these classes are the same wherever they are. */
const values = [Address, Prefix, AddressRange, Uint8Array];

function isNumbered(value: unknown): boolean {
  return typeof value === "object" && value !== null && !values.some((each) => value instanceof each);
}
