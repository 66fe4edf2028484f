import { createHash } from "node:crypto";
import { annotationNames, maxPorts, poolAnnotations } from "#pkg/service";
import { fields, parsed } from "#pkg/untrusted";

// Annotations of flannel's subnet manager in Kubernetes, with its default prefix: other nodes send packets for this node's Pods to these
// addresses.
export const flannelAnnotations = ["flannel.alpha.coreos.com/public-ip", "flannel.alpha.coreos.com/public-ipv6"];
/** All annotations of ConfigMaps that are read. */
export const configMapAnnotations = ["ingot.dev/allow-renumber"];

const readAnnotations = [...annotationNames, ...poolAnnotations, ...flannelAnnotations, ...configMapAnnotations];

/** Names of annotations that are read besides those that always are. May grow. */
export type MoreAnnotations = ReadonlySet<string> | "all";
const noMore: MoreAnnotations = new Set();

/** `managedFields` and most of long maps and lists are left out of long documents; see `withoutLongParts`. @returns undefined where the text is not JSON */
export function parseJson(json: string, annotations = noMore): unknown {
  return parsed(json.length < longText ? json : withoutLongParts(json, annotations));
}

/**
 * Does the work of `parseJson`, but parses a list one item after another, with a `yield` between them: 45 hostile Services of a tenant make
 * a page that takes more than half a second.
 */
export function* parseInSteps(json: string, annotations = noMore): Generator<undefined, unknown> {
  const start = json.length < longText ? -1 : json.indexOf(itemsOpening);
  if (start === -1) return parseJson(json, annotations);
  const items: unknown[] = [];
  let at = start + itemsOpening.length;
  for (let isNext = json.charCodeAt(at) === openingBrace; isNext; ) {
    const after = endOfValue(json, at);
    const item = after === -1 ? undefined : parseItem(json.slice(at, after), annotations);
    if (item === undefined) return undefined;
    items.push(item);
    isNext = json.charCodeAt(after) === comma && json.charCodeAt(after + 1) === openingBrace;
    at = isNext ? after + 1 : after;
    yield;
  }
  const page = fields(parseJson(json.slice(0, start + itemsOpening.length) + json.slice(at)));
  // Where it was a list within something else, or there is more in it than objects, the whole text is what it is.
  return Array.isArray(page.items) && page.items.length === 0 ? { ...page, items } : parseJson(json, annotations);
}

const itemsOpening = '"items":[';

function parseItem(json: string, annotations: MoreAnnotations): unknown {
  return json.length < longText ? parseJson(withoutManagedFields(json)) : parseJson(json, annotations);
}

// An object of that length is made to keep those busy who follow it, or it is a page of a list.
const longText = 64 << 10;
// Anybody may fill these lists of a Service with 100,000 entries, and nobody here asks for them.
const unusedLists = ["finalizers", "ownerReferences", "externalIPs"];

/** A map or list that may be long, and its short form. */
interface LongPart {
  /** Key, colon and bracket. */
  readonly opening: string;
  readonly end: EndOf;
  readonly shortened: (value: string, annotations: MoreAnnotations) => string;
}

/** Where a value ends that begins at an index; -1 where it does not end. */
type EndOf = (json: string, start: number) => number;

const longParts: readonly LongPart[] = [
  // Labels that nobody knows; see `projectLabels`. Those of a Node decide, and no tenant writes them.
  { opening: '"labels":{', end: endOfMap, shortened: (value, annotations) => (annotations === "all" ? value : "null") },
  { opening: '"annotations":{', end: endOfValue, shortened: onlyRead },
  ...unusedLists.map((name) => ({ opening: `"${name}":[`, end: endOfValue, shortened: () => "[]" })),
  // Whether it has entries counts, and a long one has.
  { opening: '"loadBalancerSourceRanges":[', end: endOfValue, shortened: () => "[0]" },
  { opening: '"ports":[', end: endOfValue, shortened: (value) => firstObjects(value, maxPorts + 1) },
  { opening: '"selector":{', end: endOfMap, shortened: digest },
];

/**
 * Parsing a map of 90,000 keys, which the API takes for a selector, and going through it takes half a second. A selector above 64 KiB is
 * reduced to a digest, which tells it from others; labels and unused lists are dropped; annotations that are read stay, and one port more
 * than a Service may have. `managedFields` repeat every key, and nobody here asks for them. A name after an unescaped quote and before a
 * colon is a key: texts cannot contain it.
 */
function withoutLongParts(json: string, annotations: MoreAnnotations): string {
  return longParts.reduce(
    (text, { opening, end, shortened }) =>
      replaceValues(text, opening, end, (value) => (value.length < longText ? value : shortened(value, annotations))),
    withoutManagedFields(json),
  );
}

function withoutManagedFields(json: string): string {
  return replaceValues(json, '"managedFields":[', endOfValue, () => "[]");
}

/** The list up to that many objects. */
function firstObjects(list: string, count: number): string {
  let after = 1;
  for (let found = 0; found < count; found++) {
    after = endOfValue(list, after);
    if (after === -1) return list;
  }
  return `${list.slice(0, after)}]`;
}

/** A Service may have 23,000 annotations. */
function onlyRead(annotations: string, more: MoreAnnotations): string {
  if (more === "all") return annotations;
  const kept = [...new Set([...readAnnotations, ...more])].flatMap((name) => {
    const key = `"${name}":"`;
    const at = annotations.indexOf(key);
    return at === -1 ? [] : [annotations.slice(at, endOfText(annotations, at + key.length))];
  });
  return `{${kept.join()}}`;
}

function digest(value: string): string {
  return JSON.stringify({ sha256: createHash("sha256").update(value).digest("hex") });
}

/** @param opening key, colon and bracket */
function replaceValues(json: string, opening: string, end: EndOf, replacement: (value: string) => string): string {
  let result = "";
  let from = 0;
  for (let at = json.indexOf(opening); at !== -1; at = json.indexOf(opening, from)) {
    const start = at + opening.length - 1;
    const after = end(json, start);
    if (after === -1) break;
    result += json.slice(from, start) + replacement(json.slice(start, after));
    from = after;
  }
  return result + json.slice(from);
}

/**
 * Finds the end of a map of texts, as most maps are. A short map stays as it is, so it does not matter that a map of another kind may go on
 * behind the bracket. A long one may have brackets inside, and is cut only as a whole.
 */
function endOfMap(json: string, start: number): number {
  const after = json.indexOf("}", start) + 1;
  if (after === 0) return -1;
  return after - start < longText ? after : endOfValue(json, start);
}

/** @param start behind its first quote. @returns the position behind its last quote; the end of everything if there is no quote */
function endOfText(json: string, start: number): number {
  // Most are short: a search by `indexOf` takes longer to begin than to get there.
  const far = Math.min(start + shortText, json.length);
  let at = start;
  for (; at < far; at++) {
    const code = json.charCodeAt(at);
    if (code === quote) return at + 1;
    if (code === backslash) at++;
  }
  for (at = json.indexOf('"', at); at !== -1; at = json.indexOf('"', at + 1)) {
    let escapes = at;
    while (json.charCodeAt(escapes - 1) === backslash) escapes--;
    if ((at - escapes) % 2 === 0) return at + 1;
  }
  return json.length;
}

const shortText = 64;
const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const [openingBracket, openingBrace, closingBracket, closingBrace] = [0x5b, 0x7b, 0x5d, 0x7d];

function endOfValue(json: string, start: number): number {
  let depth = 0;
  for (let at = start; at < json.length; at++) {
    const code = json.charCodeAt(at);
    if (code === quote) at = endOfText(json, at + 1) - 1;
    else if (code === openingBracket || code === openingBrace) depth++;
    else if ((code === closingBracket || code === closingBrace) && --depth === 0) return at + 1;
  }
  return -1;
}
