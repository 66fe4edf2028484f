import type { Clock, Millis, Random } from "#pkg/clock";
import type { Log } from "#pkg/log";
import { fields, list, text } from "#pkg/untrusted";
import { findAccess } from "./access.ts";
import { Api, objectPath } from "./api.ts";
import { type Backend, type BackendsWanted, backendsOf } from "./backends.ts";
import { Credentials } from "./credentials.ts";
import { isStatus, unless } from "./errors.ts";
import { Http, type HttpClient, mergePatch } from "./http.ts";
import { ListWatch } from "./informer.ts";
import type { Handlers, Informer, Scope } from "./informers.ts";
import { textMap } from "./kept.ts";
import { Leases } from "./leases.ts";
import type { Condition, ConfigMap, ObjectMeta, Service } from "./objects.ts";
import { asTable, type PodRow, podRows } from "./pod-rows.ts";
import { type Resource, resources } from "./resources.ts";
import { isAllowed, pathReview, reviewedUser, type TokenUser, tokenReview } from "./reviews.ts";

export interface ConnectOptions {
  /** A file; absent or empty: the service account's credentials if there are any, else those that kubectl would use. */
  readonly kubeconfig?: string | undefined;
  readonly userAgent: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

/** Finds credentials; asks the API server nothing yet. @throws {CredentialsError} with all that was tried */
export function connect(options: ConnectOptions): Cluster {
  const access = findAccess(options.kubeconfig);
  options.log.debug("credentials found", { origin: access.origin, server: access.server.host });
  const credentials = new Credentials(access, options);
  return new Cluster(credentials, new Http(access.server, credentials, options), options);
}

/** How the API server reaches a webhook. */
export interface WebhookClient {
  /** The certificates by which it trusts the webhook, as PEM. */
  readonly bundle: string;
  /** Where it asks, at the webhook's Service; empty where none is named. */
  readonly path: string;
}

export interface StatusWriteOptions {
  /** Asked before each attempt: false ends the write. */
  readonly permitted?: () => boolean;
  /** How many there are at most. */
  readonly attempts?: number;
  /** How long the answer to an attempt may take to begin; 30 s unless said otherwise. */
  readonly answerWithin?: Millis | undefined;
}

/** A kind of objects that only a CustomResourceDefinition makes known. */
export interface CustomResource {
  readonly api: string;
  readonly plural: string;
  readonly kind: string;
}

interface ObjectMetadata {
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly object[];
}

/** Conditions and annotations of a Service, as they change. */
export interface ConditionsWrite {
  readonly conditions: readonly Condition[];
  /** Types of conditions. */
  readonly gone: readonly string[];
  readonly annotations: Readonly<Record<string, string | null>>;
}

const reviewMs: Millis = 5_000; // Somebody waits for the answer.
const askedMs: Millis = 1_000; // Somebody waits for much more than this answer.
const maxSlices = 10;
const maxRowAttempts = 3;

/**
 * One Kubernetes API. Every method that returns a promise repeats its request for up to 12 s while the server is busy or away, unless it
 * says otherwise, then throws `ApiError`; the outcomes that are expected are values.
 */
export class Cluster implements AsyncDisposable {
  readonly #credentials: Disposable;
  readonly #api: Api;
  readonly leases: Leases;
  readonly #options: Pick<ConnectOptions, "log" | "clock" | "random">;
  readonly #informers = new Set<Disposable>();

  constructor(credentials: Disposable, http: HttpClient, options: Pick<ConnectOptions, "log" | "clock" | "random">) {
    this.#credentials = credentials;
    this.#api = new Api(http, options);
    this.leases = new Leases(this.#api, options.clock);
    this.#options = options;
  }

  /** Follows the objects in `scope` once its `start` is called. */
  informer<V extends ObjectMeta>(resource: Resource<V>, scope: Scope, handlers: Handlers<V>): Informer<V> {
    // Some, such as those of a controller's term, are disposed of long before this cluster, and have all objects that they have seen.
    const disposed = (): void => void this.#informers.delete(informer);
    const informer: ListWatch<V> = new ListWatch(resource, scope, handlers, { ...this.#options, api: this.#api, disposed });
    this.#informers.add(informer);
    return informer;
  }

  /** How many objects of a kind there are; undefined where the server does not say. @throws {ApiError} */
  async count({ api, plural }: Pick<Resource<ObjectMeta>, "api" | "plural">): Promise<number | undefined> {
    const page = await this.#api.call({ method: "GET", path: `${api}/${plural}?limit=1`, purpose: `count ${plural}` });
    const { continue: more, remainingItemCount } = fields(page.metadata);
    const others = text(more) === "" ? 0 : remainingItemCount;
    return typeof others === "number" ? list(page.items).length + others : undefined;
  }

  /** The Pods in the form of a table, some 200 octets each in place of 8,000, from the server's memory. @throws {ApiError} */
  async podRows(namespace: string, labelSelector: string): Promise<readonly PodRow[]> {
    const path = `${objectPath(resources.pods, namespace)}?${new URLSearchParams({ labelSelector, resourceVersion: "0", includeObject: "None" })}`;
    const asked = { method: "GET", path, purpose: "list pods as a table", accept: asTable, mayBeCompressed: true } as const;
    return podRows(await this.#api.call(asked, "urgent", maxRowAttempts));
  }

  /** Whether the API serves EndpointSlices as `discovery.k8s.io/v1` (Kubernetes 1.21 and later). */
  async hasEndpointSlices(): Promise<boolean> {
    const request = { method: "GET", path: "/apis/discovery.k8s.io/v1", purpose: "look for EndpointSlices" } as const;
    const group = await unless(404, this.#api.call(request));
    return list(group?.resources).some((entry) => fields(entry).name === "endpointslices");
  }

  /**
   * Resources of an API group that the API serves, and lets people make: plural -> versions. One attempt. A definition that is being deleted
   * does not count. @throws {ApiError}
   */
  async servedResources(group: string): Promise<ReadonlyMap<string, readonly string[]>> {
    const get = (path: string) =>
      unless(404, this.#api.call({ method: "GET", path, purpose: `look what ${group} has` }, "background", 1));
    const found = new Map<string, string[]>();
    for (const version of list((await get(`/apis/${group}`))?.versions).map((each) => text(fields(each).version)))
      for (const { name, verbs } of list((await get(`/apis/${group}/${version}`))?.resources).map(fields))
        if (list(verbs).includes("create")) found.set(text(name), [...(found.get(text(name)) ?? []), version]);
    return found;
  }

  /**
   * Writes the addresses into the status of exactly this version of the Service; an empty list clears them. Other fields of the status
   * about an address that stays are kept.
   * @returns `conflict` if the Service has changed since or was made again, or if the answer to a successful attempt was lost; `gone` if it
   * was deleted
   */
  async writeIngress(
    service: Service,
    addresses: readonly string[],
    { permitted, attempts, answerWithin }: StatusWriteOptions = {},
  ): Promise<"written" | "conflict" | "gone"> {
    const { namespace, name, uid, resourceVersion } = service;
    const ingress = addresses.length === 0 ? null : addresses.map((ip) => ({ ip, ...service.ingressDetails[ip] }));
    try {
      const request = {
        method: "PATCH",
        path: `${namespaced(namespace, "services", name)}/status`,
        purpose: `write the status of service ${service.key}`,
        contentType: mergePatch,
        body: { metadata: { uid, resourceVersion }, status: { loadBalancer: { ingress } } },
        ignoreAnswer: true,
        answerWithin,
        ...(permitted && { permitted }),
      } as const;
      await this.#api.call(request, "urgent", attempts);
      return "written";
    } catch (error) {
      if (isStatus(error, 409)) return "conflict";
      if (isStatus(error, 404)) return "gone";
      throw error;
    }
  }

  /**
   * Writes these conditions into the status of the Service, and takes away those of `gone` types; conditions of other types stay. Writes
   * these annotations, or takes those that are null away. In one attempt, giving way to all other calls.
   */
  async writeConditions(
    { namespace, name, key, uid }: Service,
    { conditions, gone, annotations }: ConditionsWrite,
    permitted?: () => boolean,
  ): Promise<void> {
    const written = conditions.map(({ since: lastTransitionTime, ...rest }) => ({ ...rest, lastTransitionTime }));
    const removed = gone.map((type) => ({ type, $patch: "delete" }));
    const request = {
      method: "PATCH",
      path: `${namespaced(namespace, "services", name)}/status`,
      purpose: `write the conditions of service ${key}`,
      contentType: "application/strategic-merge-patch+json", // Merges the list by type.
      // A write of a Service's status may also change its annotations, so that the right to change its spec is not needed.
      body: { metadata: { uid, annotations }, status: { conditions: [...written, ...removed] } },
      ignoreAnswer: true,
      ...(permitted && { permitted }),
    } as const;
    await this.#api.call(request, "background", 1);
  }

  /**
   * Sets these keys, or takes those that are null away, and leaves others as they are; without data takes all away. Makes the ConfigMap when
   * it is missing.
   */
  async writeConfigMap(
    namespace: string,
    name: string,
    data: Readonly<Record<string, string | null>> | null,
    permitted?: () => boolean,
  ): Promise<ConfigMap["data"]> {
    const purpose = `write ConfigMap ${namespace}/${name}`;
    const path = namespaced(namespace, "configmaps", name);
    const fence = permitted && { permitted };
    const patch = { method: "PATCH", path, purpose, contentType: mergePatch, body: { data }, ...fence } as const;
    const patched = await unless(404, this.#api.call(patch));
    if (patched !== undefined) return textMap(fields(patched).data);
    const create = {
      method: "POST",
      path: namespaced(namespace, "configmaps"),
      purpose,
      body: { metadata: { name }, data: Object.fromEntries(Object.entries(data ?? {}).filter(([, value]) => value !== null)) },
      ...fence,
    } as const;
    // Refused where somebody made it in between.
    const written = (await unless(409, this.#api.call(create))) ?? (await this.#api.call(patch));
    return textMap(fields(written).data);
  }

  /**
   * These writes, each of which is given up before its next attempt once `permitted` answers false. A status is written in one attempt:
   * there are many, and one that fails is not to keep others waiting.
   */
  fenced(permitted: () => boolean): Pick<Cluster, "writeIngress" | "writeConditions" | "writeConfigMap"> {
    return {
      writeConditions: (service, write) => this.writeConditions(service, write, permitted),
      writeIngress: (service, addresses, options) =>
        this.writeIngress(service, addresses, { ...options, permitted, attempts: 1 }),
      writeConfigMap: (namespace, name, data) => this.writeConfigMap(namespace, name, data, permitted),
    };
  }

  /**
   * Puts these texts into a Secret without data; a Secret with data stays as it is. @throws {ApiError} also if the Secret does not exist
   */
  async fillSecret(namespace: string, name: string, data: Readonly<Record<string, string>>): Promise<"filled" | "hasData"> {
    const value = Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString("base64")]));
    const filled = await unless(
      422, // The test failed.
      this.#api.call({
        method: "PATCH",
        path: namespaced(namespace, "secrets", name),
        purpose: `fill Secret ${namespace}/${name}`,
        contentType: "application/json-patch+json",
        body: [
          { op: "test", path: "/data", value: null },
          { op: "add", path: "/data", value },
        ],
        ignoreAnswer: true, // It has all that is in the Secret.
      }),
    );
    return filled === undefined ? "hasData" : "filled";
  }

  /** Sets these texts in a Secret. @throws {ApiError} also if the Secret does not exist */
  async writeSecret(namespace: string, name: string, data: Readonly<Record<string, string>>): Promise<void> {
    const path = namespaced(namespace, "secrets", name);
    const purpose = `write Secret ${namespace}/${name}`;
    const body = { stringData: data };
    await this.#api.call({ method: "PATCH", path, purpose, contentType: mergePatch, body, ignoreAnswer: true });
  }

  /**
   * How the API server reaches the webhooks of a ValidatingWebhookConfiguration: name -> client. @returns undefined if it does not exist
   */
  async webhookClients(name: string): Promise<ReadonlyMap<string, WebhookClient> | undefined> {
    const request = { method: "GET", path: webhookPath(name), purpose: `read the webhooks ${name}` } as const;
    const found = await unless(404, this.#api.call(request));
    if (found === undefined) return undefined;
    return new Map(
      list(found.webhooks).map((entry) => {
        const { name, clientConfig } = fields(entry);
        const { caBundle, service } = fields(clientConfig);
        return [text(name), { bundle: Buffer.from(text(caBundle), "base64").toString(), path: text(fields(service).path) }];
      }),
    );
  }

  /** Has the API server reach these webhooks so, at the Services that they have. */
  async writeWebhookClients(name: string, webhooks: readonly string[], { bundle, path }: WebhookClient): Promise<void> {
    const clientConfig = { caBundle: Buffer.from(bundle).toString("base64"), service: { path } };
    await this.#api.call({
      method: "PATCH",
      path: webhookPath(name),
      purpose: `have the webhooks ${name} trusted`,
      contentType: "application/strategic-merge-patch+json", // It changes the webhooks with these names.
      body: { webhooks: webhooks.map((webhook) => ({ name: webhook, clientConfig })) },
    });
  }

  /** Ready endpoints of a Service, as the API has them now; one attempt. @param key `namespace/name` */
  async backends(key: string, wanted: BackendsWanted): Promise<readonly Backend[]> {
    const [namespace = "", name = ""] = key.split("/");
    const selector = encodeURIComponent(`kubernetes.io/service-name=${name}`);
    const path = `/apis/discovery.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/endpointslices?labelSelector=${selector}&limit=${maxSlices}`;
    return backendsOf(await this.#api.once({ method: "GET", path, purpose: `read the endpoints of ${key}` }, askedMs), wanted);
  }

  /** For `EventRecorder`: creates a core/v1 Event, giving way to all other calls. */
  async createEvent(namespace: string, event: Readonly<Record<string, unknown>>): Promise<void> {
    const path = namespaced(namespace, "events");
    // One that exists was created by an attempt whose answer was lost: names are never used twice.
    const request = { method: "POST", path, purpose: "create event", body: event, ignoreAnswer: true } as const;
    await unless(409, this.#api.call(request, "background"));
  }

  /** For `EventRecorder`: merges `change` into an Event, giving way to all other calls. @returns false when it is gone */
  async patchEvent(namespace: string, name: string, change: Readonly<Record<string, unknown>>): Promise<boolean> {
    const path = namespaced(namespace, "events", name);
    const purpose = "update event";
    const request = { method: "PATCH", path, purpose, contentType: mergePatch, body: change, ignoreAnswer: true } as const;
    return (await unless(404, this.#api.call(request, "background"))) !== undefined;
  }

  /**
   * Has the metadata of an object be as it is here, and makes the object where it is missing; with a status, has the status be so instead. In
   * one attempt, giving way to all other calls. Fields of others stay, and a field that another speaker wrote is taken over.
   */
  async applyObject(kind: CustomResource, metadata: ObjectMetadata, status?: object, manager?: string): Promise<void> {
    const { namespace, name } = metadata;
    manager ??= status === undefined ? "ingot" : "ingot-status";
    const path = `${objectPath(kind, namespace, name)}${status === undefined ? "" : "/status"}?fieldManager=${manager}&force=true`;
    const body = { apiVersion: kind.api.slice("/apis/".length), kind: kind.kind, metadata, status };
    const contentType = "application/apply-patch+yaml";
    const purpose = `write ${kind.kind} ${namespace}/${name}`;
    await this.#api.call({ method: "PATCH", path, purpose, contentType, body, ignoreAnswer: true }, "background", 1);
  }

  /** Deletes an object, in one attempt, giving way to all other calls; with a version, unless it has another one by now. */
  async deleteObject(kind: CustomResource, { namespace, name, resourceVersion }: ObjectMetadata): Promise<void> {
    const path = objectPath(kind, namespace, name);
    const purpose = `delete ${kind.kind} ${namespace}/${name}`;
    const body = { preconditions: { resourceVersion } };
    const request = { method: "DELETE", path, purpose, body, ignoreAnswer: true } as const;
    await unless(404, unless(409, this.#api.call(request, "background", 1)));
  }

  /** Deletes the objects with these labels, in one attempt, giving way to all other calls. */
  async deleteObjects(kind: CustomResource, namespace: string, labelSelector: string): Promise<void> {
    const path = `${objectPath(kind, namespace)}?labelSelector=${encodeURIComponent(labelSelector)}`;
    const purpose = `delete ${kind.plural} with ${labelSelector}`;
    await unless(404, this.#api.call({ method: "DELETE", path, purpose, ignoreAnswer: true }, "background", 1)); // No such kind.
  }

  /** The user with this token; one attempt, of 5 s at most. @returns undefined for a token of nobody */
  async reviewToken(token: string): Promise<TokenUser | undefined> {
    return reviewedUser(await this.#api.once(tokenReview(token), reviewMs));
  }

  /** Whether the user may `get` the path, as a nonResourceURL; one attempt, of 5 s at most. */
  async reviewPath(user: TokenUser, path: string): Promise<boolean> {
    return isAllowed(await this.#api.once(pathReview(user, path), reviewMs));
  }

  /** Stops the informers, ends reads, gives writes under way 5 s, and closes all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const informer of this.#informers) informer[Symbol.dispose]();
    await this.#api[Symbol.asyncDispose]();
    this.#credentials[Symbol.dispose]();
  }
}

function namespaced(namespace: string, plural: string, name?: string): string {
  return objectPath({ api: "/api/v1", plural }, namespace, name);
}

function webhookPath(name: string): string {
  return `/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/${encodeURIComponent(name)}`;
}
