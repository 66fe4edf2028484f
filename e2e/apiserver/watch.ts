import { ApiError } from "./api-error.ts";
import type { KubeObject } from "./objects.ts";
import { eventLine, type Rendering } from "./rendering.ts";
import { groupVersion, type Resource } from "./resource.ts";
import { type Change, Entry, type Store } from "./store.ts";

/** The objects that a request is about. */
export interface Selection {
  /** All there are: then changes need not be looked at. */
  readonly everything: boolean;
  matches(object: KubeObject): boolean;
}

export interface WatchRequest {
  readonly resource: Resource;
  readonly selection: Selection;
  readonly rendering: Rendering;
  /** The resource version to go on from, maybe a future one; undefined to begin with the objects there are. */
  readonly from: number | undefined;
  readonly bookmarks: boolean;
  /** Ends the objects there are with a bookmark that says so (`sendInitialEvents`). */
  readonly markInitialEnd: boolean;
}

/** Where a watch is answered, such as a `ServerResponse`. */
export interface WatchResponse {
  readonly writableLength: number;
  readonly writableEnded: boolean;
  writeHead(status: number, headers: Readonly<Record<string, string>>): unknown;
  flushHeaders(): void;
  write(line: string | Uint8Array): unknown;
  end(line?: string): unknown;
  destroy(): unknown;
}

// A client that does not read is cut off, as the real API does, before it takes the memory of all.
const maximumUnsentOctets = 64 * 1024 * 1024;

/** One watch on one connection, until either side ends it. */
export class Watch {
  readonly #store: Store;
  readonly #request: WatchRequest;
  readonly #response: WatchResponse;
  #subscription: Disposable | undefined;

  constructor(store: Store, request: WatchRequest, response: WatchResponse) {
    this.#store = store;
    this.#request = request;
    this.#response = response;
  }

  start(): void {
    const { resource, selection, rendering, from, markInitialEnd } = this.#request;
    this.#response.writeHead(200, { "content-type": "application/json", "cache-control": "no-cache, private" });
    this.#response.flushHeaders();
    try {
      if (from !== undefined) for (const change of this.#store.changesSince(stored(resource), from)) this.#send(change);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#response.end(eventLine("ERROR", error.status)); // The real API too answers 200 first, and then this.
      return;
    }
    if (from === undefined)
      for (const entry of this.#store.entries(stored(resource)))
        if (selection.matches(entry.object)) this.#response.write(rendering.event("ADDED", entry));
    if (markInitialEnd) this.#bookmark({ "k8s.io/initial-events-end": "true" });
    this.#subscription = this.#store.listen(stored(resource), (change) => this.#send(change));
  }

  /** Sends the present resource version, if the client wants to know. */
  bookmark(): void {
    const { bookmarks, from = 0 } = this.#request;
    if (bookmarks && !this.#response.writableEnded && from <= this.#store.version) this.#bookmark({});
  }

  /** Ends the stream as a timeout does. */
  end(): void {
    this.#subscription?.[Symbol.dispose]();
    this.#response.end();
  }

  #bookmark(annotations: Readonly<Record<string, string>>): void {
    const { resource, rendering } = this.#request;
    const metadata = { name: "", resourceVersion: String(this.#store.version), annotations };
    const object = { kind: resource.kind, apiVersion: groupVersion(resource), metadata };
    this.#response.write(rendering.event("BOOKMARK", new Entry(object)));
  }

  /** An object that a selector begins or ceases to match is added or deleted for this watch. */
  #send(change: Change): void {
    const { selection, rendering, from = 0 } = this.#request;
    if (change.version <= from) return;
    if (this.#response.writableLength > maximumUnsentOctets) {
      this.#response.destroy();
      return;
    }
    const matched = change.previous !== undefined && selection.matches(change.previous.object);
    const matches = change.type !== "DELETED" && selection.matches(change.entry.object);
    if (selection.everything || (matched && (matches || change.type === "DELETED")) || (matches && change.type === "ADDED"))
      this.#response.write(rendering.change(change));
    else if (matches) this.#response.write(rendering.event("ADDED", change.entry));
    else if (matched) this.#response.write(rendering.event("DELETED", change.entry));
  }
}

function stored(resource: Resource): Resource {
  return resource.view?.of ?? resource;
}
