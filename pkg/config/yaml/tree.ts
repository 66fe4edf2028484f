import {
  type AliasEvent,
  COLLECTION_STYLE,
  EVENT_ID,
  type Event,
  getScalarValue,
  parseEvents,
  SCALAR_STYLE,
  type ScalarEvent,
  type SequenceEvent,
  YAMLException,
} from "js-yaml";
import { quote } from "#pkg/text";
import { limits, TooLarge } from "../limits.ts";
import type { Problems } from "../problems.ts";
import { joinFlowLines } from "./flow-lines.ts";
import { describe, type YamlEntry, type YamlList, type YamlMapping, type YamlNode, type YamlScalar } from "./node.ts";
import { resolveScalar, resolveTagged } from "./scalar.ts";

/**
 * Reads every document of a YAML 1.1 text as yaml.v2 reads it in strict mode: duplicate keys are refused, and of a merge key
 * and a field the later one wins. Reports what is wrong; an empty document is undefined.
 * @returns undefined when the text cannot be read at all
 */
export function parseYaml(source: string, problems: Problems): (YamlNode | undefined)[] | undefined {
  const structure = countStructure(source);
  if (structure > limits.structure) {
    problems.errorAt(0, [], `the text has about ${structure} values, but at most ${limits.structure} are read`);
    return undefined;
  }
  try {
    return compose(source, problems);
  } catch (error) {
    if (error instanceof YAMLException && error.mark !== undefined) {
      problems.errorAt(Math.min(error.mark.position, source.length), [], `not valid YAML: ${error.reason}`);
    } else if (error instanceof TooLarge) problems.errorAt(error.offset, [], error.message);
    else throw error;
    return undefined;
  }
}

function compose(source: string, problems: Problems): (YamlNode | undefined)[] {
  const options = { maxDepth: limits.depth };
  try {
    return new Composer(source, parseEvents(source, options), problems).documents();
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const joined = joinFlowLines(source);
    if (joined === source) throw error;
    return new Composer(joined, parseEvents(joined, options), problems).documents();
  }
}

/** How many characters can begin or end a value: at least half as many as the parser will make events. */
function countStructure(source: string): number {
  let count = 0;
  for (const _ of source.matchAll(/[\n\r,:[\]{}]|- /g)) count++;
  return count;
}

class Composer {
  readonly #source: string;
  readonly #events: readonly Event[];
  readonly #problems: Problems;
  readonly #anchors = new Map<string, YamlNode | "open">(); // name -> its value, which is open until it has been read whole
  readonly #path: (string | number)[] = [];
  #next = 0;
  #readTo = 0; // The end of the last scalar.
  #values = 0;

  constructor(source: string, events: readonly Event[], problems: Problems) {
    this.#source = source;
    this.#events = events;
    this.#problems = problems;
  }

  documents(): (YamlNode | undefined)[] {
    const documents: (YamlNode | undefined)[] = [];
    while (this.#next < this.#events.length) {
      this.#next++; // The document event.
      this.#anchors.clear();
      const root = this.#atEnd() ? undefined : this.#node(0);
      documents.push(root?.kind === "scalar" && root.value === null ? undefined : root);
      this.#next++; // Its end.
    }
    return documents;
  }

  #atEnd(): boolean {
    return this.#events[this.#next]?.type === EVENT_ID.POP;
  }

  /** @param fallback the offset of an empty value */
  #node(fallback: number): YamlNode {
    const event = this.#events[this.#next++];
    this.#charge(fallback, 1);
    switch (event?.type) {
      case EVENT_ID.SCALAR: {
        const node = this.#scalar(event, fallback);
        this.#anchor(event, node);
        return node;
      }
      case EVENT_ID.SEQUENCE: {
        this.#anchor(event, "open");
        const items: YamlNode[] = [];
        while (!this.#atEnd()) items.push(this.#inside(items.length, () => this.#node(this.#entryOffset(event))));
        this.#next++;
        const node: YamlList = { kind: "list", offset: event.start, items };
        this.#anchor(event, node);
        return node;
      }
      case EVENT_ID.MAPPING: {
        this.#anchor(event, "open");
        const node: YamlMapping = { kind: "mapping", offset: event.start, entries: this.#entries(event.start) };
        this.#next++;
        this.#anchor(event, node);
        return node;
      }
      case EVENT_ID.ALIAS:
        return this.#alias(event);
      default:
        throw new Error(`Cannot read YAML: event ${event?.type} where a value belongs`);
    }
  }

  /** Where the next entry of a list begins if it is empty and so has no place of its own: at its dash. */
  #entryOffset(list: SequenceEvent): number {
    return list.style === COLLECTION_STYLE.BLOCK ? Math.max(list.start, this.#source.indexOf("-", this.#readTo)) : list.start;
  }

  #charge(offset: number, values: number): void {
    this.#values += values;
    if (this.#values > limits.values) throw new TooLarge(offset, limits.values, "values");
  }

  #inside<T>(step: string | number, read: () => T): T {
    this.#path.push(step);
    const value = read();
    this.#path.pop();
    return value;
  }

  #anchor(event: { anchorStart: number; anchorEnd: number }, node: YamlNode | "open"): void {
    if (event.anchorStart >= 0) this.#anchors.set(this.#source.slice(event.anchorStart, event.anchorEnd), node);
  }

  #alias(event: AliasEvent): YamlNode {
    const name = this.#source.slice(event.anchorStart, event.anchorEnd);
    const node = this.#anchors.get(name);
    const offset = event.anchorStart - 1; // At the asterisk.
    if (node !== undefined && node !== "open") return node;
    const message =
      node === "open" ? `the value of anchor ${quote(name)} contains itself` : `there is no anchor ${quote(name)} above`;
    this.#problems.errorAt(offset, this.#path, message);
    return { kind: "list", offset, items: [] };
  }

  #entries(start: number): ReadonlyMap<string, YamlEntry> {
    const entries = new Map<string, YamlEntry>();
    while (!this.#atEnd()) {
      const key = this.#node(start);
      const name = key.kind === "scalar" ? key.text : "";
      const value = this.#inside(name, () => this.#node(key.offset));
      if (key.kind !== "scalar") this.#problems.errorAt(key.offset, this.#path, `a key has to be text, but is ${describe(key)}`);
      else if (isMerge(key)) this.#merge(entries, key.offset, value);
      else this.#add(entries, name, { offset: key.offset, value, merged: false });
    }
    return entries;
  }

  #add(entries: Map<string, YamlEntry>, name: string, entry: YamlEntry): void {
    const known = entries.get(name);
    if (known?.merged === false)
      this.#problems.errorAt(entry.offset, [...this.#path, name], `${quote(name)} is already set above`);
    else entries.set(name, entry);
  }

  #merge(entries: Map<string, YamlEntry>, offset: number, value: YamlNode): void {
    const sources = value.kind === "list" ? value.items : [value];
    for (const source of sources.toReversed()) {
      // The first of the list wins.
      if (source.kind !== "mapping") {
        this.#problems.errorAt(offset, this.#path, `"<<" takes a mapping or a list of mappings, but is ${describe(source)}`);
        continue;
      }
      this.#charge(offset, source.entries.size);
      for (const [name, entry] of source.entries) {
        if (entries.get(name)?.merged === false) {
          const message = `"<<" replaces ${quote(name)} set above it; put "<<" first to keep the value set here`;
          this.#problems.warnAt(offset, [...this.#path, name], message);
        }
        entries.set(name, { ...entry, merged: true });
      }
    }
  }

  #scalar(event: ScalarEvent, fallback: number): YamlScalar {
    const text = getScalarValue(this.#source, event);
    this.#readTo = Math.max(this.#readTo, event.valueEnd, fallback + 1);
    const quoted = event.style === SCALAR_STYLE.SINGLE_QUOTED || event.style === SCALAR_STYLE.DOUBLE_QUOTED;
    const offset = event.valueStart < 0 ? fallback : event.valueStart - (quoted ? 1 : 0); // At the quote.
    const plain = event.style === SCALAR_STYLE.PLAIN;
    const tag = event.tagStart < 0 ? "" : this.#source.slice(event.tagStart, event.tagEnd);
    if (tag === "") return { kind: "scalar", offset, text, value: plain ? resolveScalar(text) : text, event };
    const tagged = resolveTagged(tag, text);
    if ("problem" in tagged) {
      this.#problems.errorAt(offset, this.#path, tagged.problem);
      return { kind: "scalar", offset, text, value: text, event };
    }
    const decoded = typeof tagged.value === "string" ? tagged.value : text; // Only !!binary makes it differ.
    return { kind: "scalar", offset, text: decoded, value: tagged.value, event };
  }
}

function isMerge(key: YamlScalar): boolean {
  return key.text === "<<" && key.event.style === SCALAR_STYLE.PLAIN;
}
