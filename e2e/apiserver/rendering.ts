import type { Json, JsonObject } from "./json.ts";
import type { KubeObject } from "./objects.ts";
import { groupVersion, type Resource } from "./resource.ts";
import { type Change, type ChangeType, Entry } from "./store.ts";

/** The form in which objects are answered: as they are, under another API, or as the rows of a Table. */
export interface Rendering {
  one(object: KubeObject): string;
  many(entries: readonly Entry[], metadata: JsonObject): string;
  /** The line of a watch for a change as it is in the store. */
  change(change: Change): string | Uint8Array;
  /** The line of a watch for anything else. */
  event(type: ChangeType | "BOOKMARK", entry: Entry): string;
}

export interface RenderingRequest {
  readonly accept: string;
  /** `includeObject` of a Table: None, Metadata or Object. */
  readonly includeObject: string;
  readonly now: () => Date;
}

/** The rendering that the client asked for. */
export function renderingFor(resource: Resource, { accept, includeObject, now }: RenderingRequest): Rendering {
  const table = accept.split(",").some((part) => /;\s*as=Table\b/.test(part) && /;\s*v=v1\b/.test(part) && !/v1beta1/.test(part));
  if (table) return new TableRendering(resource, includeObject, now);
  return resource.view === undefined ? new PlainRendering(resource) : new ViewRendering(resource, resource.view.fromStored);
}

class PlainRendering implements Rendering {
  readonly #head: string;

  constructor(resource: Resource) {
    this.#head = listHead(resource);
  }

  one(object: KubeObject): string {
    return new Entry(object).json;
  }

  many(entries: readonly Entry[], metadata: JsonObject): string {
    return `${this.#head}"metadata":${JSON.stringify(metadata)},"items":[${entries.map(({ itemJson }) => itemJson).join(",")}]}`;
  }

  change(change: Change): Uint8Array {
    return change.line;
  }

  event(type: ChangeType | "BOOKMARK", entry: Entry): string {
    return `{"type":"${type}","object":${entry.json}}\n`;
  }
}

class ViewRendering implements Rendering {
  readonly #head: string;
  readonly #convert: (object: JsonObject) => JsonObject;

  constructor(resource: Resource, convert: (object: JsonObject) => JsonObject) {
    this.#head = listHead(resource);
    this.#convert = convert;
  }

  one(object: KubeObject): string {
    return JSON.stringify(this.#convert(object));
  }

  many(entries: readonly Entry[], metadata: JsonObject): string {
    const items = entries.map(({ object }) => this.#convert(object));
    return `${this.#head}"metadata":${JSON.stringify(metadata)},"items":${JSON.stringify(items)}}`;
  }

  change({ type, entry }: Change): string {
    return this.event(type, entry);
  }

  event(type: ChangeType | "BOOKMARK", entry: Entry): string {
    return eventLine(type, this.#convert(entry.object));
  }
}

class TableRendering implements Rendering {
  readonly #resource: Resource;
  readonly #includeObject: string;
  readonly #now: () => Date;

  constructor(resource: Resource, includeObject: string, now: () => Date) {
    this.#resource = resource;
    this.#includeObject = includeObject;
    this.#now = now;
  }

  one(object: KubeObject): string {
    return JSON.stringify(this.#table([object], { resourceVersion: object.metadata.resourceVersion ?? "" }));
  }

  many(entries: readonly Entry[], metadata: JsonObject): string {
    return JSON.stringify(
      this.#table(
        entries.map(({ object }) => object),
        metadata,
      ),
    );
  }

  change({ type, entry }: Change): string {
    return this.event(type, entry);
  }

  event(type: ChangeType | "BOOKMARK", entry: Entry): string {
    const rows = type === "BOOKMARK" ? [] : [entry.object];
    return eventLine(type, this.#table(rows, { ...entry.object.metadata }));
  }

  #table(objects: readonly KubeObject[], metadata: JsonObject): JsonObject {
    const now = this.#now();
    const columnDefinitions = this.#resource.columns.map(({ name, type, priority }) => {
      return { name, type, format: name === "Name" ? "name" : "", description: "", priority };
    });
    const rows = objects.map((object) => ({
      cells: this.#resource.columns.map((column) => column.cell(object, now)),
      object: this.#rowObject(object),
    }));
    return { kind: "Table", apiVersion: "meta.k8s.io/v1", metadata, columnDefinitions, rows };
  }

  #rowObject(object: KubeObject): Json {
    if (this.#includeObject === "None") return null;
    if (this.#includeObject === "Object") return object;
    return { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: object.metadata };
  }
}

function listHead(resource: Resource): string {
  return `{"kind":"${resource.kind}List","apiVersion":"${groupVersion(resource)}",`;
}

/** One line of a watch. */
export function eventLine(type: ChangeType | "BOOKMARK" | "ERROR", object: JsonObject): string {
  return `${JSON.stringify({ type, object })}\n`;
}
