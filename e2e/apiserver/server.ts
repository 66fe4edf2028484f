import { once } from "node:events";
import { closeSync, openSync, writeSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { type Clock, type Millis, SystemClock, wallClock } from "#pkg/clock";
import { Address, type Prefix, parsePrefix, urlHost } from "#pkg/net";
import { CertificateAuthority, type Credential } from "./certificates.ts";
import type { Fault, RequestInfo } from "./faults.ts";
import { Handler } from "./handler.ts";
import type { Json, JsonObject } from "./json.ts";
import { kubeconfigText } from "./kubeconfig.ts";
import type { KubeObject, ObjectInput, ObjectReference } from "./objects.ts";
import { mergePatch } from "./patch.ts";
import type { Dial } from "./port-forward.ts";
import { defaultRoles } from "./rbac.ts";
import { Registry } from "./registry.ts";
import type { Resource } from "./resource.ts";
import { resourceOfKind, serviceAccounts, services } from "./resources.ts";
import { ServiceAddresses } from "./service-addresses.ts";
import { Store } from "./store.ts";
import { serviceAccountUser, Tokens } from "./tokens.ts";

export interface ApiServerOptions {
  /** Address to listen on. Default: 127.0.0.1. */
  readonly address?: string;
  /** Default: a free one, which then stays the same. */
  readonly port?: number;
  /** Host names and addresses, besides those of this machine, for which the certificate is good; the first one is in `url`. */
  readonly hosts?: readonly string[];
  /** Where cluster addresses of Services come from: one or two prefixes. Default: 10.96.0.0/12 and fd00:10:96::/112. */
  readonly clusterCidrs?: readonly string[];
  /** First and last node port. Default: 30000 to 32767; make it wider for many Services of type LoadBalancer. */
  readonly nodePorts?: readonly [number, number];
  /** How many changes of each resource watches can go back. Default: 10,000. */
  readonly historySize?: number;
  /** How often watches that want bookmarks get one. Default: 60,000. */
  readonly bookmarkInterval?: Millis;
  /** File to which each request is appended as a line of JSON, a `RequestRecord`. */
  readonly requestLog?: string;
  readonly onRequest?: (record: RequestRecord) => void;
  /** How to reach Pods, for `pods/portforward`, which is refused without. */
  readonly dial?: Dial;
  readonly clock?: Clock;
  /** The date, for creation timestamps, certificates and tokens. */
  readonly now?: () => Date;
}

/** One request, as it was answered. `code` is 0 where the connection was cut instead; a watch is recorded when it begins. */
export interface RequestRecord {
  readonly time: string;
  readonly user: string;
  readonly userAgent: string;
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly verb: string;
  /** `services`, `services/status`; empty for paths that are no resources. */
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
  readonly code: number;
}

/** The identity of a kubeconfig: a user with groups, or a ServiceAccount, `namespace/name`, that exists. */
export type Identity = { readonly name: string; readonly groups: readonly string[] } | { readonly serviceAccount: string };

const tokenLifetime: Millis = 24 * 3600 * 1000;

/** A Kubernetes API in this process; the package's description has its scope. */
export class ApiServer implements AsyncDisposable {
  readonly #options: ApiServerOptions;
  readonly #clock: Clock;
  readonly #now: () => Date;
  readonly #store: Store;
  readonly #registry: Registry;
  readonly #handler: Handler;
  readonly #tokens = new Tokens();
  readonly #sockets = new Set<Socket>();
  readonly #log: number | undefined; // file descriptor
  #authority: CertificateAuthority | undefined;
  #server: Server | undefined;
  #port: number;
  #bookmarks: Disposable | undefined;

  constructor(options: ApiServerOptions = {}) {
    this.#options = options;
    this.#clock = options.clock ?? new SystemClock();
    this.#now = options.now ?? wallClock;
    this.#port = options.port ?? 0;
    this.#store = new Store(options.historySize ?? 10_000);
    const clusterCidrs = (options.clusterCidrs ?? ["10.96.0.0/12", "fd00:10:96::/112"]).map((text) => {
      const prefix = parsePrefix(text);
      if (prefix === undefined)
        throw new RangeError(`Cannot give out cluster addresses: ${JSON.stringify(text)} is not a prefix`);
      return prefix;
    });
    const nodePorts = options.nodePorts ?? [30000, 32767];
    this.#registry = new Registry(
      this.#store,
      new ServiceAddresses(this.#store, services, { clusterCidrs, nodePorts }),
      this.#now,
    );
    this.#handler = new Handler({
      store: this.#store,
      registry: this.#registry,
      tokens: this.#tokens,
      clock: this.#clock,
      now: this.#now,
      dial: options.dial,
      onRequest: (request, code) => this.#record(request, code),
    });
    this.#log = options.requestLog === undefined ? undefined : openSync(options.requestLog, "a");
    this.#populate(clusterCidrs[0]);
  }

  /** Makes the certificates and listens. */
  async start(): Promise<void> {
    const { address = "127.0.0.1", hosts = [] } = this.#options;
    this.#authority = new CertificateAuthority(this.#now());
    const names = [...hosts, address, "localhost", "127.0.0.1", "::1", "kubernetes.default.svc"];
    const { certificate, key } = this.#authority.issueServer([...new Set(names)]);
    this.#server = createServer(
      { key, cert: certificate, ca: this.#authority.certificate, requestCert: true, rejectUnauthorized: false },
      (request, response) => void this.#handler.handle(request, response),
    );
    this.#server.on("upgrade", (request, socket, head) => void this.#handler.upgrade({ request, socket, head }));
    this.#server.keepAliveTimeout = 300_000; // Longer than clients keep idle connections, so that none is closed under a request.
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    await this.resume();
    this.#scheduleBookmarks();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#bookmarks?.[Symbol.dispose]();
    await this.pause();
    if (this.#log !== undefined) closeSync(this.#log);
  }

  /** `https://host:port`, once it has started. */
  get url(): string {
    const host = this.#options.hosts?.[0] ?? this.#options.address ?? "127.0.0.1";
    return `https://${urlHost(host)}:${this.#port}`;
  }

  /** The certificate of the authority that signed the server's, in PEM. */
  get caCertificate(): string {
    return this.#started().certificate;
  }

  /** The text of a kubeconfig; without an identity, for an administrator who may do everything. */
  kubeconfig(identity: Identity = { name: "admin", groups: ["system:masters"] }): string {
    const user =
      "serviceAccount" in identity
        ? { type: "token" as const, token: this.serviceAccountToken(identity.serviceAccount) }
        : { type: "certificate" as const, credential: this.clientCertificate(identity.name, identity.groups) };
    return kubeconfigText(this.url, this.caCertificate, user);
  }

  clientCertificate(user: string, groups: readonly string[]): Credential {
    return this.#started().issueClient(user, groups);
  }

  /** A bearer token, good for a day, for an existing ServiceAccount, `namespace/name`. @throws {ApiError} 404 */
  serviceAccountToken(key: string): string {
    const [namespace = "", name = ""] = key.split("/");
    const { metadata } = this.#registry.get(serviceAccounts, namespace, name);
    const now = this.#now().getTime();
    const bearer = { ...serviceAccountUser(namespace, name), serviceAccount: { namespace, name, uid: metadata.uid ?? "" } };
    return this.#tokens.issue(bearer, now, now + tokenLifetime);
  }

  /** Makes the server unreachable: stops listening and cuts every connection. Stored objects stay. */
  async pause(): Promise<void> {
    if (this.#server?.listening !== true) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** Listens again, on the same port. */
  async resume(): Promise<void> {
    const server = this.#server;
    if (server === undefined || server.listening) return;
    server.listen(this.#port, this.#options.address ?? "127.0.0.1");
    await once(server, "listening"); // Rejects when the port is taken.
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Ends every watch as a timeout would. */
  dropWatches(): void {
    this.#handler.endWatches();
  }

  /** Forgets all history: a watch or a list's page that goes on from before gets a 410. */
  compact(): void {
    this.#store.compact();
  }

  /** Gives every watch that asked for bookmarks one, now. */
  sendBookmarks(): void {
    this.#handler.sendBookmarks();
  }

  /** Lets the next requests go wrong; disposing takes back what has not happened yet. */
  inject(fault: Fault): Disposable {
    return this.#handler.faults.inject(fault);
  }

  /** The resource version of the newest write. */
  get resourceVersion(): string {
    return String(this.#store.version);
  }

  /** Creates an object, its status included. @throws {ApiError} as the API would answer */
  create(object: ObjectInput): KubeObject {
    const { resource, namespace } = locate(object);
    return this.#registry.create(resource, namespace, toJson(object), { scope: "all" });
  }

  /** Replaces an object, its status included. @throws {ApiError} as the API would answer */
  update(object: ObjectInput): KubeObject {
    const { resource, namespace, name } = locate(object);
    return this.#registry.update(resource, namespace, name, toJson(object), { scope: "all" });
  }

  /** Merges (RFC 7396) into an object, its status included. @throws {ApiError} as the API would answer */
  patch(reference: ObjectReference, patch: JsonObject): KubeObject {
    const { resource, namespace, name } = locate(reference);
    return this.#registry.modify(resource, namespace, name, (current) => mergePatch(current, toJson(patch)), { scope: "all" });
  }

  /** @throws {ApiError} as the API would answer */
  delete(reference: ObjectReference): KubeObject {
    const { resource, namespace, name } = locate(reference);
    return this.#registry.delete(resource, namespace, name);
  }

  get(reference: ObjectReference): KubeObject | undefined {
    const { resource, namespace, name } = locate(reference);
    return this.#registry.find(resource, namespace, name);
  }

  /** All objects of a kind, by namespace and name. */
  list(apiVersion: string, kind: string, namespace?: string): KubeObject[] {
    const objects = this.#store.entries(storedResource(apiVersion, kind)).map(({ object }) => object);
    return namespace === undefined ? objects : objects.filter(({ metadata }) => metadata.namespace === namespace);
  }

  /** Makes the objects that every cluster has from its start. */
  #populate(clusterCidr: Prefix | undefined): void {
    for (const name of ["default", "kube-node-lease", "kube-public", "kube-system"])
      this.create({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
    for (const role of defaultRoles) this.create(role as KubeObject);
    if (clusterCidr === undefined) return;
    const clusterIP = String(new Address(clusterCidr.family, clusterCidr.first.value + 1n));
    this.create({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "kubernetes", namespace: "default", labels: { component: "apiserver", provider: "kubernetes" } },
      spec: { clusterIP, ports: [{ name: "https", port: 443, targetPort: 6443 }] },
    });
  }

  #scheduleBookmarks(): void {
    const interval = this.#options.bookmarkInterval ?? 60_000;
    this.#bookmarks = this.#clock.schedule("bookmarks", this.#clock.now() + interval, () => {
      this.sendBookmarks();
      this.#scheduleBookmarks();
    });
  }

  #started(): CertificateAuthority {
    if (this.#authority === undefined) throw new Error("Cannot issue certificates: the server has not been started");
    return this.#authority;
  }

  #record({ user, userAgent, method, url, target }: RequestInfo, code: number): void {
    if (this.#log === undefined && this.#options.onRequest === undefined) return;
    const resource = target.type === "path" ? "" : [target.plural, target.subresource].filter((part) => part !== "").join("/");
    const { namespace = "", name = "" } = target.type === "path" ? {} : target;
    const time = this.#now().toISOString();
    const record = { time, user: user.name, userAgent, method, url, verb: target.verb, resource, namespace, name, code };
    this.#options.onRequest?.(record);
    if (this.#log !== undefined) writeSync(this.#log, `${JSON.stringify(record)}\n`);
  }
}

function locate({ apiVersion, kind, metadata }: ObjectReference): {
  resource: Resource;
  namespace: string | undefined;
  name: string;
} {
  const resource = storedResource(apiVersion, kind);
  const { name, namespace } = metadata;
  if (resource.namespaced && namespace === undefined)
    throw new TypeError(`Cannot find the ${kind} ${JSON.stringify(name)}: it has no namespace`);
  return { resource, namespace: resource.namespaced ? namespace : undefined, name };
}

function storedResource(apiVersion: string, kind: string): Resource {
  const resource = resourceOfKind(apiVersion, kind);
  if (resource === undefined) throw new TypeError(`Cannot find a resource: ${apiVersion} ${kind} is not served here`);
  if (resource.view !== undefined)
    throw new TypeError(`Cannot use ${apiVersion} ${kind} in the process: use what it is stored as, ${resource.view.of.kind}`);
  return resource;
}

/** A copy, so that what is stored does not change with the caller's object. */
function toJson(value: object): Json {
  return JSON.parse(JSON.stringify(value));
}
