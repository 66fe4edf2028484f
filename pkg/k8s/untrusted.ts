import { createHash } from "node:crypto";
import { annotationNames } from "#pkg/service";

/**
 * Reading values of unknown shape. The API server checks what it stores, but an aggregated or a broken one may send anything,
 * and one bad object must not take down the view of all others: what has the wrong type reads as absent.
 */
export type Fields = Readonly<Record<string, unknown>>;

const noFields: Fields = Object.freeze({});
const nothing: readonly unknown[] = Object.freeze([]);

export function fields(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : noFields;
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : nothing;
}

export function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** Undefined also for the empty text, which Kubernetes uses for unset. */
export function optionalText(value: unknown): string | undefined {
  return text(value) || undefined;
}

// Of its subnet manager in Kubernetes, with its default prefix: where the other nodes send what is for Pods of this one.
export const flannelAnnotations = ["flannel.alpha.coreos.com/public-ip", "flannel.alpha.coreos.com/public-ipv6"];
/** Of ConfigMaps, all that are read. */
export const configMapAnnotations = ["ingot.dev/allow-renumber"];

const readAnnotations = [...annotationNames, ...flannelAnnotations, ...configMapAnnotations];

/** `managedFields` and most of long maps and lists are left out of long documents; see `withoutLongParts`. @returns undefined where the text is not JSON */
export function parseJson(json: string): unknown {
  try {
    return JSON.parse(json.length < longText ? json : withoutLongParts(json));
  } catch {
    return undefined;
  }
}

// An object of that length is made to keep those busy who follow it, or it is a page of a list.
const longText = 64 << 10;
// Of a Service anybody may fill these with 100,000 texts, and nobody here asks for them.
const unusedLists = ["finalizers", "loadBalancerSourceRanges", "externalIPs"];

/**
 * Parsing a map of 90,000 keys, which the API takes for a selector, and going through it takes half a second. Of one above 64 KiB only a digest is
 * left, by which it is told from others, and of labels and unused lists nothing; of annotations those that are read. `managedFields` repeat every
 * key, and nobody here asks for them. A name after an unescaped quote and before a colon is a key: texts cannot contain it. Names and values of
 * labels and selectors have neither brackets nor quotes.
 */
function withoutLongParts(json: string): string {
  const unmanaged = replaceValues(json, '"managedFields":[', endOfValue, () => "[]");
  const unlabelled = replaceValues(unmanaged, '"labels":{', endOfMap, (value) => (value.length < longText ? value : "{}"));
  const annotated = replaceValues(unlabelled, '"annotations":{', endOfValue, (value) =>
    value.length < longText ? value : onlyRead(value),
  );
  const unlisted = unusedLists.reduce(
    (text, name) => replaceValues(text, `"${name}":[`, endOfValue, (value) => (value.length < longText ? value : "[]")),
    annotated,
  );
  return replaceValues(unlisted, '"selector":{', endOfMap, (value) => (value.length < longText ? value : digest(value)));
}

/** A Service may have 23,000 annotations. */
function onlyRead(annotations: string): string {
  const kept = readAnnotations.flatMap((name) => {
    const key = `"${name}":"`;
    const at = annotations.indexOf(key);
    return at === -1 ? [] : [annotations.slice(at, endOfText(annotations, at + key.length))];
  });
  return `{${kept.join()}}`;
}

function digest(value: string): string {
  return JSON.stringify({ sha256: createHash("sha256").update(value).digest("hex") });
}

/** @param opening key, colon and bracket @param end where a value ends that begins at an index; -1 where it does not end */
function replaceValues(
  json: string,
  opening: string,
  end: (json: string, start: number) => number,
  replacement: (value: string) => string,
): string {
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

function endOfMap(json: string, start: number): number {
  return json.indexOf("}", start) + 1 || -1;
}

/** @param start behind its first quote. @returns behind its last one; the end of everything where there is none */
function endOfText(json: string, start: number): number {
  for (let at = json.indexOf('"', start); at !== -1; at = json.indexOf('"', at + 1)) {
    let escapes = at;
    while (json.charCodeAt(escapes - 1) === backslash) escapes--;
    if ((at - escapes) % 2 === 0) return at + 1;
  }
  return json.length;
}

const quote = 0x22;
const backslash = 0x5c;
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
