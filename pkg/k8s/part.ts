import { backOff, type Clock, type Millis, type Random, sleep } from "#pkg/clock";
import type { Log } from "#pkg/log";
import { type Fields, fields, text } from "#pkg/untrusted";
import type { Api } from "./api.ts";
import { ApiError } from "./errors.ts";
import type { ObjectMeta } from "./objects.ts";
import { itemsOf } from "./pages.ts";
import type { Resource } from "./resources.ts";
import type { WatchEvent } from "./watch-events.ts";

/** Objects that belong to others, and are followed for some of these alone. Objects of other owners are dropped when they come. */
export interface Part {
  /** To whom an object belongs; empty: to nobody. */
  ownerOf(raw: Fields): string;
  isWanted(owner: string): boolean;
  /** The selector of all objects of an owner. */
  scopeOf(owner: string): { readonly namespace: string; readonly labelSelector: string };
  /** The event in a line of a watch, by its beginning alone; undefined where that does not tell whose object it is. */
  peek(line: string): PeekedEvent | undefined;
}

/** An event whose object is its metadata alone. */
export interface PeekedEvent extends WatchEvent {
  readonly owner: string;
}

const serviceLabel = "kubernetes.io/service-name";

/**
 * EndpointSlices of Services for which this holds. A slice of 100 endpoints has 30 kB, and most Services of a large cluster are of no
 * load balancer.
 * @param isWanted asked with `namespace/name`
 */
export function slicesOf(isWanted: (service: string) => boolean): Part {
  return {
    ownerOf(raw) {
      const { namespace, labels } = fields(raw.metadata);
      const name = text(fields(labels)[serviceLabel]);
      return name === "" ? "" : `${text(namespace)}/${name}`;
    },
    isWanted,
    scopeOf(owner) {
      const [namespace = "", name = ""] = owner.split("/");
      return { namespace, labelSelector: `${serviceLabel}=${name}` };
    },
    peek: peekSlice,
  };
}

// As the API server writes it. An unescaped quote ends a text, so that no text can have a key in it.
const beginning =
  /^\{"type":"(ADDED|MODIFIED|DELETED)","object":\{"kind":"EndpointSlice","apiVersion":"[^"\\]+","metadata":\{"name":"([^"\\]+)",(?:"generateName":"[^"\\]*",)?"namespace":"([^"\\]+)","uid":"([^"\\]+)","resourceVersion":"([^"\\]+)",(?:"generation":\d+,)?(?:"creationTimestamp":"[^"\\]*",)?(?:"deletionTimestamp":"[^"\\]*",)?(?:"deletionGracePeriodSeconds":\d+,)?"labels":\{([^{}]*)\}/;
const owning = new RegExp(`"${serviceLabel}":"([^"\\\\]+)"`);

function peekSlice(line: string): PeekedEvent | undefined {
  const found = beginning.exec(line);
  if (found === null) return undefined;
  const [, type, name, namespace, uid, resourceVersion, labels = ""] = found;
  const service = owning.exec(labels)?.[1];
  if (service === undefined) return undefined;
  const metadata = { name, namespace, uid, resourceVersion };
  return { type: type as PeekedEvent["type"], object: { metadata }, owner: `${namespace}/${service}` };
}

const minRetryMs: Millis = 200;
const maxRetryMs: Millis = 15_000;

interface Asking {
  readonly api: Api;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly stop: AbortSignal;
}

/** Asks for the objects of an owner until there is an answer. @returns undefined once the owner is not wanted, or nobody asks any more */
export async function objectsOf(
  owner: string,
  part: Part,
  { api: path, plural }: Resource<ObjectMeta>,
  otherSelector: string | undefined,
  { api, clock, random, log, stop }: Asking,
): Promise<readonly unknown[] | undefined> {
  const { namespace, labelSelector } = part.scopeOf(owner);
  const query = new URLSearchParams({
    labelSelector: otherSelector === undefined ? labelSelector : `${labelSelector},${otherSelector}`,
  });
  const request = {
    method: "GET",
    path: `${path}/namespaces/${encodeURIComponent(namespace)}/${plural}?${query}`,
    purpose: `list ${plural} of ${owner}`,
  } as const;
  for (let failures = 0; !stop.aborted && part.isWanted(owner); failures++) {
    try {
      return itemsOf(await api.get(request, stop), plural);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      log.debug("cannot ask for objects that were left out, retrying", { error });
      const wait = backOff(failures, minRetryMs, maxRetryMs, random);
      await sleep(clock, `${plural} of an owner`, Math.max(wait, error.retryAfterMs ?? 0), stop);
    }
  }
  return undefined;
}
