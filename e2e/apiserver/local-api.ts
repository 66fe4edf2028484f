import { parsePrefix } from "#pkg/net";
import { unknownPath } from "./api-error.ts";
import { asObject, type Json, type JsonObject } from "./json.ts";
import { selectionFor } from "./listing.ts";
import type { KubeObject } from "./objects.ts";
import { mergePatch } from "./patch.ts";
import { Registry } from "./registry.ts";
import { renderingFor } from "./rendering.ts";
import { parseTarget, type Target } from "./request.ts";
import type { Resource } from "./resource.ts";
import { namespaces, resourceAt, resources, services } from "./resources.ts";
import { ServiceAddresses } from "./service-addresses.ts";
import { type Backup, type ChangeType, objectKey, Store } from "./store.ts";
import { strategicMergePatch } from "./strategic-merge.ts";
import { Watch, type WatchResponse } from "./watch.ts";

/** A write, as `LocalApi` tells of it. */
export interface ObjectChange {
  readonly type: ChangeType;
  readonly plural: string;
  /** `namespace/name`, or the name of an object without a namespace. */
  readonly key: string;
  readonly object: KubeObject;
  readonly before: KubeObject | undefined;
}

export interface LocalRequest {
  readonly method: string;
  /** From the root of the API, with its query. */
  readonly path: string;
  readonly body?: unknown;
  /** The media type of a patch's body; a merge patch (RFC 7396) where absent. */
  readonly contentType?: string;
}

export interface LocalApiOptions {
  readonly namespaces: readonly string[];
  /** The date, for creation timestamps. */
  readonly now: () => Date;
  /** Called with each change, before any watch has it. */
  readonly onChange: (change: ObjectChange) => void;
}

type ResourceTarget = Extract<Target, { type: "resource" }>;

const clusterCidrs = ["10.96.0.0/12", "fd00:10:96::/112"].flatMap((text) => parsePrefix(text) ?? []);

/**
 * A Kubernetes API without HTTP and users, for simulations: it answers within the call. Objects, their rules and watches are those of `ApiServer`;
 * patches are merge patches, plain or strategic. `ApiError`s are thrown as the API would answer them.
 */
export class LocalApi {
  readonly #store = new Store(Infinity);
  readonly #registry: Registry;
  readonly #now: () => Date;
  readonly #watches = new Set<Watch>();

  constructor({ namespaces: names, now, onChange }: LocalApiOptions) {
    const addresses = new ServiceAddresses(this.#store, services, { clusterCidrs, nodePorts: [1, 65535] });
    this.#registry = new Registry(this.#store, addresses, now);
    this.#now = now;
    for (const name of names) this.#registry.create(namespaces, undefined, { metadata: { name } });
    for (const resource of resources)
      this.#store.listen(resource, ({ type, entry, previous }) => {
        const { object } = entry;
        onChange({ type, plural: resource.plural, key: objectKey(object), object, before: previous?.object });
      });
  }

  /** The resource version of the newest write. */
  get version(): number {
    return this.#store.version;
  }

  get writes(): number {
    return this.#store.writes;
  }

  get(plural: string, key: string): KubeObject | undefined {
    return this.#store.get(resourceOf(plural), key);
  }

  /** `namespace/name` of each object of a kind. */
  keys(plural: string): string[] {
    return this.#store.entries(resourceOf(plural)).map(({ object }) => objectKey(object));
  }

  /** Creates an object, its status included. Fields that are null are left out. */
  create(plural: string, namespace: string | undefined, object: JsonObject): void {
    this.#registry.create(resourceOf(plural), namespace, mergePatch({}, object), { scope: "all" });
  }

  /** Merges (RFC 7396) into an object, its status included. */
  patch(plural: string, key: string, patch: JsonObject): void {
    const { namespace, name } = parseKey(key);
    this.#registry.modify(resourceOf(plural), namespace, name, (current) => mergePatch(current, patch), { scope: "all" });
  }

  /** Deletes an object, if it is there. */
  remove(plural: string, key: string): void {
    const { namespace, name } = parseKey(key);
    if (this.get(plural, key) !== undefined) this.#registry.delete(resourceOf(plural), namespace, name);
  }

  /** Carries a request out; not a watch. */
  answer({ method, path, body, contentType }: LocalRequest): JsonObject {
    const { target, resource, query } = this.locate({ method, path });
    const { namespace, name = "", subresource, verb } = target;
    const options = { scope: subresource === "status" ? "status" : "spec" } as const;
    switch (verb) {
      case "get":
        return this.#registry.get(resource, namespace, name);
      case "list": {
        const { matches } = selectionFor(resource, namespace, query);
        const items = this.#store.entries(resource).flatMap(({ object }) => (matches(object) ? [object] : []));
        return { metadata: { resourceVersion: `${this.version}` }, items };
      }
      case "create":
        return this.#registry.create(resource, namespace, toJson(body), options);
      case "update":
        return this.#registry.update(resource, namespace, name, toJson(body), options);
      case "patch":
        return this.#registry.modify(
          resource,
          namespace,
          name,
          (current) => patched(resource, current, body, contentType),
          options,
        );
      default:
        throw unknownPath();
    }
  }

  /** Begins a watch. */
  watch(path: string, response: WatchResponse): Pick<Watch, "bookmark" | "end"> {
    const { target, resource, query } = this.locate({ method: "GET", path });
    const selection = selectionFor(resource, target.namespace, query);
    const rendering = renderingFor(resource, { accept: "", includeObject: "", now: this.#now });
    const markInitialEnd = query.get("sendInitialEvents") === "true";
    const from = markInitialEnd ? undefined : Number(query.get("resourceVersion"));
    const watch = new Watch(this.#store, { resource, selection, rendering, from, bookmarks: true, markInitialEnd }, response);
    this.#watches.add(watch);
    watch.start();
    return {
      bookmark: () => watch.bookmark(),
      end: () => {
        this.#watches.delete(watch);
        watch.end();
      },
    };
  }

  /** Ends all watches, as a server does that restarts. */
  endWatches(): void {
    for (const watch of this.#watches) watch.end();
    this.#watches.clear();
  }

  /** Forgets the changes so far. */
  compact(): void {
    this.#store.compact();
  }

  backup(): Backup {
    return this.#store.backup();
  }

  /** See `Store`. All watches end. */
  restore(backup: Backup, bump: boolean): void {
    this.endWatches();
    this.#store.restore(backup, bump);
  }

  /** The target of a request. */
  locate({ method, path }: LocalRequest): { target: ResourceTarget; resource: Resource; query: URLSearchParams } {
    const [pathname = "", search = ""] = path.split("?");
    const query = new URLSearchParams(search);
    const target = parseTarget(method, pathname, query);
    const resource = target.type === "path" ? undefined : resourceAt(target.group, target.version, target.plural);
    if (target.type === "path" || resource === undefined) throw unknownPath();
    return { target, resource, query };
  }
}

function patched({ kind }: Resource, current: KubeObject, body: unknown, contentType: string | undefined): Json {
  const patch = toJson(body);
  return contentType?.startsWith("application/strategic-merge-patch")
    ? strategicMergePatch(kind, current, asObject(patch))
    : mergePatch(current, patch);
}

function resourceOf(plural: string): Resource {
  const found = resources.find((resource) => resource.plural === plural);
  if (found === undefined) throw new TypeError(`Cannot find a resource: ${plural} are not served here`);
  return found;
}

function parseKey(key: string): { namespace: string | undefined; name: string } {
  const slash = key.indexOf("/");
  return { namespace: slash < 0 ? undefined : key.slice(0, slash), name: key.slice(slash + 1) };
}

/** A copy, so that what is stored does not change with the caller's object. */
function toJson(value: unknown): Json {
  return JSON.parse(JSON.stringify(value));
}
