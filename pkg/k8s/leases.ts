import { type Clock, type Millis, wallClock } from "#pkg/clock";
import { type Fields, fields } from "#pkg/untrusted";
import { type Api, objectPath } from "./api.ts";
import { ApiError, isStatus, unless } from "./errors.ts";
import { mergePatch, type Request } from "./http.ts";
import type { Lease } from "./objects.ts";
import { projectMeta, resources } from "./resources.ts";

/** The Lease of the controllers, unless a flag of theirs names another one. */
export const controllerLease = "ingot-controller";

/** The fields that a holder writes into a Lease. */
interface LeaseWrite extends Pick<Lease, "holder" | "durationSeconds" | "transitions"> {
  /** It had another holder, or none, before. */
  readonly acquires: boolean;
}

/** Leases (coordination.k8s.io/v1), for leader election. */
export class Leases {
  readonly #api: Pick<Api, "once">;
  readonly #clock: Clock;
  /** They may be updated and not patched. */
  #updates = false;

  constructor(api: Pick<Api, "once">, clock: Clock) {
    this.#api = api;
    this.#clock = clock;
  }

  /** Reads the Lease in one attempt. @returns undefined when there is no such Lease */
  async read(namespace: string, name: string, within: Millis): Promise<Lease | undefined> {
    const request = { method: "GET", path: objectPath(resources.leases, namespace, name), purpose: "read the Lease" } as const;
    const found = await unless(404, this.#api.once(request, within));
    return found && leaseOf(found);
  }

  /**
   * Writes the Lease in one attempt, with the time of this machine for people to read.
   * @param resourceVersion the version to replace; undefined to create the Lease
   * @returns the present Lease; `conflict` if it has changed since, is gone, or was made by another holder
   */
  async write(
    namespace: string,
    name: string,
    { holder, durationSeconds, transitions, acquires }: LeaseWrite,
    resourceVersion: string | undefined,
    within: Millis,
  ): Promise<Lease | "conflict"> {
    const now = microTime(wallClock());
    const spec = {
      holderIdentity: holder,
      leaseDurationSeconds: durationSeconds,
      leaseTransitions: transitions,
      renewTime: now,
      ...(acquires && { acquireTime: now }),
    };
    try {
      const written =
        resourceVersion === undefined
          ? await this.#api.once(
              {
                ...leaseWrite,
                method: "POST",
                path: objectPath(resources.leases, namespace),
                body: { metadata: { name }, spec },
              },
              within,
            )
          : await this.#change(objectPath(resources.leases, namespace, name), spec, resourceVersion, within);
      return leaseOf(written);
    } catch (error) {
      if (isStatus(error, 409) || isStatus(error, 404)) return "conflict";
      throw error;
    }
  }

  /**
   * Uses a patch, or an update where a Role, written with client-go in mind, allows only that. An update also replaces labels and fields of
   * others, so it begins with the existing object. It first tries the verb that was not refused last, then the other: both `within` the
   * time.
   */
  async #change(path: string, spec: Fields, resourceVersion: string, within: Millis): Promise<Fields> {
    const clock = this.#clock;
    const until = clock.now() + within;
    const once = (request: Pick<Request, "method" | "contentType" | "body">): Promise<Fields> =>
      this.#api.once({ ...leaseWrite, path, ...request }, until - clock.now());
    const patch = (): Promise<Fields> => {
      const body = { metadata: { resourceVersion }, spec };
      return once({ method: "PATCH", contentType: mergePatch, body });
    };
    const update = async (): Promise<Fields> => {
      const found = await once({ method: "GET" });
      const metadata = { ...fields(found.metadata), resourceVersion };
      const body = { ...found, metadata, spec: { ...fields(found.spec), ...spec } };
      return once({ method: "PUT", body });
    };
    const [first, second] = this.#updates ? [update, patch] : [patch, update];
    try {
      return await first();
    } catch (error) {
      if (!isStatus(error, 403)) throw error;
      this.#updates = !this.#updates;
      return await second();
    }
  }
}

const leaseWrite = { purpose: "write the Lease" };

function leaseOf(raw: Fields): Lease {
  const meta = projectMeta(raw);
  if (meta === undefined) throw new ApiError("Cannot use the Lease: it has no name, uid or version", 200, "Malformed");
  return resources.leases.project(raw, meta);
}

/** A date in the API's form of a MicroTime: six digits. */
function microTime(date: Date): string {
  return date.toISOString().replace("Z", "000Z");
}
