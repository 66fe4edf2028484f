import { type IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Clock } from "#pkg/clock";
import { ApiError, badRequest, methodNotAllowed, unknownPath } from "./api-error.ts";
import { Authenticator, anonymous, impersonation } from "./authentication.ts";
import * as discovery from "./discovery.ts";
import { type Fault, Faults, faultError, type RequestInfo } from "./faults.ts";
import { asList, asObject, asText, at, type Json, type JsonObject } from "./json.ts";
import { renderList, requestedVersion, selectionFor } from "./listing.ts";
import { mediaType, readObject, readText, send, sendError } from "./messages.ts";
import type { KubeObject } from "./objects.ts";
import { applied, isApply, type PatchRequest, parseYaml, patched } from "./patch-body.ts";
import { checkRuns, type Dial, forwardPorts, requestedPorts, type Upgrade } from "./port-forward.ts";
import { type Action, Authorizer } from "./rbac.ts";
import { type DeleteOptions, type Registry, timestamp, type WriteOptions } from "./registry.ts";
import { type Rendering, renderingFor } from "./rendering.ts";
import { parseTarget, requiredAction, type Target } from "./request.ts";
import { groupVersion, type Resource } from "./resource.ts";
import { resourceAt, serviceAccounts } from "./resources.ts";
import type { Store } from "./store.ts";
import { reviewResponse, scaled, scaleOf, tokenResponse } from "./subresources.ts";
import type { Tokens, User } from "./tokens.ts";
import { Watch } from "./watch.ts";

export interface HandlerOptions {
  readonly store: Store;
  readonly registry: Registry;
  readonly tokens: Tokens;
  readonly clock: Clock;
  readonly now: () => Date;
  /** How Pods are reached; undefined: not at all. */
  readonly dial: Dial | undefined;
  /** Called once for each request, when its answer begins; `code` is 0 without an answer. */
  readonly onRequest: (request: RequestInfo, code: number) => void;
}

type ResourceTarget = Extract<Target, { type: "resource" }>;

/** Facts about one request to a resource. */
interface Call {
  readonly resource: Resource;
  readonly stored: Resource;
  readonly target: ResourceTarget;
  readonly query: URLSearchParams;
  readonly rendering: Rendering;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

const nodeSubresources = ["log", "exec", "attach", "portforward", "proxy", "eviction", "binding", "ephemeralcontainers"];

/** Answers HTTP requests: who asks, may they, and then the resource's own business. */
export class Handler {
  readonly faults = new Faults();
  readonly #options: HandlerOptions;
  readonly #authenticator: Authenticator;
  readonly #authorizer: Authorizer;
  readonly #watches = new Set<Watch>();

  constructor(options: HandlerOptions) {
    this.#options = options;
    this.#authenticator = new Authenticator(options);
    this.#authorizer = new Authorizer(options.store);
  }

  /** Never rejects: every failure becomes an answer. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "GET", url = "/" } = request;
    const [path = "", search = ""] = url.split("?", 2);
    const query = new URLSearchParams(search);
    const target = parseTarget(method, path, query);
    let user: User = anonymous;
    const info = (): RequestInfo => ({ user, userAgent: request.headers["user-agent"] ?? "", method, url, target });
    try {
      user = this.#authenticator.authenticate(request);
      user = this.#impersonated(user, request);
      const effect = this.faults.take(info());
      if (effect !== undefined && !(await this.#befall(effect, response))) return;
      this.#authorize(user, requiredAction(target, query));
      if (target.type === "path") this.#servePath(path, request, response);
      else await this.#serveResource(target, query, user, request, response);
    } catch (error) {
      if (response.headersSent || response.destroyed) response.destroy();
      else sendError(response, error);
    } finally {
      this.#options.onRequest(info(), response.headersSent ? response.statusCode : 0);
    }
  }

  /** Never rejects. Among upgrades of clients, only forwarded ports are served. */
  async upgrade(upgrade: Upgrade): Promise<void> {
    const { request, socket } = upgrade;
    const { method = "GET", url = "/" } = request;
    const [path = "", search = ""] = url.split("?", 2);
    const query = new URLSearchParams(search);
    const target = parseTarget(method, path, query);
    let user: User = anonymous;
    const told = (code: number) =>
      this.#options.onRequest({ user, userAgent: request.headers["user-agent"] ?? "", method, url, target }, code);
    try {
      user = this.#authenticator.authenticate(request);
      user = this.#impersonated(user, request);
      this.#authorize(user, requiredAction(target, query));
      const resource = target.type === "path" ? undefined : resourceAt(target.group, target.version, target.plural);
      if (target.type === "path" || resource?.kind !== "Pod" || target.subresource !== "portforward") throw unknownPath();
      // The real API does so since 1.35: a WebSocket is a GET, and the right to GET alone must not be enough.
      this.#authorize(user, requiredAction({ ...target, verb: "create" }, query));
      const { dial, registry } = this.#options;
      const pod = registry.get(resource, target.namespace, target.name ?? "");
      if (dial === undefined) throw notSupported("pods/portforward");
      checkRuns(pod);
      forwardPorts(upgrade, requestedPorts(request, query), (port) => dial(pod, port));
      told(101);
    } catch (error) {
      const response = new ServerResponse(request);
      response.assignSocket(socket as Socket);
      response.shouldKeepAlive = false;
      response.once("finish", () => socket.end());
      sendError(response, error);
      told(response.statusCode);
    }
  }

  /** Ends every watch as a timeout does. */
  endWatches(): void {
    for (const watch of this.#watches) watch.end();
  }

  /** Gives every watch that wants them a bookmark. */
  sendBookmarks(): void {
    for (const watch of this.#watches) watch.bookmark();
  }

  /** The user that the user asks to be taken for, if that is allowed (`kubectl --as`). @throws {ApiError} 403 */
  #impersonated(user: User, request: IncomingMessage): User {
    const wanted = impersonation(request);
    if (wanted === undefined) return user;
    for (const action of wanted.actions) this.#authorize(user, action);
    return wanted.user;
  }

  #authorize(user: User, action: Action): void {
    if (!this.#authorizer.allows(user, action)) throw forbidden(user, action);
  }

  /** @returns whether the request is to be carried out after all */
  async #befall(effect: Fault["effect"], response: ServerResponse): Promise<boolean> {
    switch (effect.type) {
      case "answer":
        throw faultError(effect.code, effect.retryAfterSeconds);
      case "disconnect":
        response.destroy();
        return false;
      case "delay": {
        const { promise, resolve } = Promise.withResolvers<void>();
        using _timer = this.#options.clock.schedule("fault", this.#options.clock.now() + effect.for, resolve);
        response.once("close", resolve);
        await promise;
        return !response.destroyed;
      }
      default:
        return effect satisfies never;
    }
  }

  #servePath(path: string, request: IncomingMessage, response: ServerResponse): void {
    if (request.method !== "GET") throw methodNotAllowed();
    if (/^\/(healthz|livez|readyz)(\/|$)/.test(path)) {
      response.writeHead(200, { "content-type": "text/plain" }).end("ok");
      return;
    }
    if (path === "/openapi/v2") {
      send(response, 200, discovery.openApiV2, "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
      return;
    }
    const isAggregated = /g=apidiscovery\.k8s\.io;v=v2;as=APIGroupDiscoveryList/.test(request.headers.accept ?? "");
    if (isAggregated && (path === "/api" || path === "/apis")) {
      const type = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
      send(response, 200, JSON.stringify(discovery.aggregated(path === "/api" ? "api" : "apis")), type);
      return;
    }
    const document = discovery.discoveryDocument(path);
    if (document === undefined) response.writeHead(404, { "content-type": "text/plain" }).end("404 page not found\n");
    else send(response, 200, JSON.stringify(document));
  }

  async #serveResource(
    target: ResourceTarget,
    query: URLSearchParams,
    user: User,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const accept = request.headers.accept ?? "";
    if (accept !== "" && !/json|\*\/\*/.test(accept))
      throw new ApiError(406, "NotAcceptable", "only the following media types are accepted: application/json", {});
    if (/^self/.test(target.plural) && target.verb === "create") {
      send(response, 201, JSON.stringify(reviewResponse(target.plural, await readObject(request), user, this.#authorizer)));
      return;
    }
    const resource = resourceAt(target.group, target.version, target.plural);
    if (resource === undefined) throw unknownPath();
    if (
      target.name === undefined &&
      resource.namespaced &&
      target.namespace === undefined &&
      !["list", "watch"].includes(target.verb)
    )
      throw methodNotAllowed();
    if (!resource.namespaced && target.namespace !== undefined) throw unknownPath();
    const includeObject = query.get("includeObject") ?? "Metadata";
    const rendering = renderingFor(resource, { accept, includeObject, now: this.#options.now });
    const call: Call = { resource, stored: resource.view?.of ?? resource, target, query, rendering, request, response };
    if (target.subresource === "" || (target.subresource === "status" && resource.hasStatus)) await this.#serveObject(call);
    else if (target.subresource === "scale" && resource.hasScale) await this.#serveScale(call);
    else if (target.subresource === "token" && resource === serviceAccounts) await this.#serveToken(call);
    else if (nodeSubresources.includes(target.subresource)) {
      this.#options.registry.get(call.stored, target.namespace, target.name ?? "");
      throw notSupported(`${target.plural}/${target.subresource}`);
    } else throw unknownPath();
  }

  async #serveObject(call: Call): Promise<void> {
    const { registry, store } = this.#options;
    const { resource, stored, target, query, rendering, request, response } = call;
    const { namespace, name = "", verb } = target;
    switch (verb) {
      case "get":
        return send(response, 200, rendering.one(registry.get(stored, namespace, name)));
      case "list":
        return send(response, 200, renderList(store, stored, selectionFor(stored, namespace, query), query, rendering));
      case "watch":
        return this.#serveWatch(call);
      case "create": {
        if (target.name !== undefined) throw methodNotAllowed();
        const created = registry.create(stored, namespace, toStored(resource, await readObject(request)), writeOptions(call));
        return send(response, 201, rendering.one(created));
      }
      case "update": {
        if (target.name === undefined) throw methodNotAllowed();
        const body = toStored(resource, await readObject(request));
        return send(response, 200, rendering.one(registry.update(stored, namespace, name, body, writeOptions(call))));
      }
      case "patch":
        if (target.name === undefined) throw methodNotAllowed();
        return this.#servePatch(call);
      case "delete":
      case "deletecollection":
        return this.#serveDelete(call);
      default:
        throw methodNotAllowed();
    }
  }

  #serveWatch({ resource, stored, target, query, rendering, response }: Call): void {
    const { store, clock } = this.#options;
    const from = requestedVersion(query, store.version);
    const initial = query.get("sendInitialEvents") === "true";
    const selection = selectionFor(stored, target.namespace, query);
    const bookmarks = query.get("allowWatchBookmarks") === "true";
    const watch = new Watch(
      store,
      { resource, selection, rendering, from: initial ? undefined : from, bookmarks, markInitialEnd: initial && bookmarks },
      response,
    );
    const seconds = Number(query.get("timeoutSeconds") ?? 0);
    const timeout = seconds > 0 ? clock.schedule("watch timeout", clock.now() + seconds * 1000, () => watch.end()) : undefined;
    response.once("close", () => {
      timeout?.[Symbol.dispose]();
      this.#watches.delete(watch);
      watch.end();
    });
    this.#watches.add(watch);
    watch.start();
  }

  async #servePatch(call: Call): Promise<void> {
    const { registry } = this.#options;
    const { resource, stored, target, rendering, response } = call;
    const { namespace, name = "" } = target;
    const patch = await this.#readPatch(call);
    const options = writeOptions(call);
    if (!isApply(patch.contentType)) {
      const edit = (current: KubeObject): Json => toStored(resource, patched(fromStored(resource, current), patch));
      return send(response, 200, rendering.one(registry.modify(stored, namespace, name, edit, options)));
    }
    const current = registry.find(stored, namespace, name);
    const { object, managedFields } = applied(current && fromStored(resource, current), patch);
    const body = toStored(resource, object);
    if (current === undefined) {
      const given = asText(at(body, "metadata", "name"));
      if (given !== "" && given !== name)
        throw badRequest(`the name of the object (${given}) does not match the name on the URL (${name})`);
      return send(response, 201, rendering.one(registry.create(stored, namespace, body, { ...options, managedFields })));
    }
    const written = registry.update(stored, namespace, name, body, { ...options, managedFields });
    return send(response, 200, rendering.one(written));
  }

  async #readPatch({ request, resource, query }: Call): Promise<PatchRequest> {
    return {
      contentType: mediaType(request),
      body: await readText(request),
      kind: resource.kind,
      apiVersion: groupVersion(resource),
      manager: query.get("fieldManager") ?? "",
      force: query.get("force") === "true",
      time: timestamp(this.#options.now()),
    };
  }

  async #serveDelete({ resource, stored, target, query, rendering, request, response }: Call): Promise<void> {
    const { registry, store } = this.#options;
    const text = await readText(request);
    const body = text === "" ? {} : asObject(parseYaml(text));
    const preconditions = asObject(body.preconditions) as DeleteOptions["preconditions"] & JsonObject;
    const options = { dryRun: isDryRun(query) || asList(body.dryRun).includes("All"), preconditions };
    if (target.verb === "deletecollection") {
      const selection = selectionFor(stored, target.namespace, query);
      const selected = store.entries(stored).filter(({ object }) => selection.matches(object));
      for (const { object } of selected) registry.delete(stored, object.metadata.namespace, object.metadata.name, options);
      return send(response, 200, rendering.many(selected, { resourceVersion: String(store.version) }));
    }
    const deleted = registry.delete(stored, target.namespace, target.name ?? "", options);
    const remains = deleted.metadata.deletionTimestamp !== undefined;
    if (resource.returnsDeleted || remains) return send(response, 200, rendering.one(deleted));
    const { name, uid } = deleted.metadata;
    const details = { name, ...(resource.group === "" ? {} : { group: resource.group }), kind: resource.plural, uid };
    return send(response, 200, JSON.stringify({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details }));
  }

  async #serveScale(call: Call): Promise<void> {
    const { registry } = this.#options;
    const { stored, target, request, response } = call;
    const { namespace, name = "", verb } = target;
    if (verb === "get") return send(response, 200, JSON.stringify(scaleOf(registry.get(stored, namespace, name))));
    let change: (current: KubeObject) => Json;
    if (verb === "update") {
      const body = await readObject(request);
      change = () => body;
    } else if (verb === "patch") {
      const patch = await this.#readPatch(call);
      change = (current) => patched(scaleOf(current), patch);
    } else throw methodNotAllowed();
    const options = { dryRun: isDryRun(call.query) };
    const written = registry.modify(stored, namespace, name, (current) => scaled(current, change(current)), options);
    send(response, 200, JSON.stringify(scaleOf(written)));
  }

  async #serveToken({ stored, target, request, response }: Call): Promise<void> {
    const { registry, tokens, now } = this.#options;
    if (target.verb !== "create") throw methodNotAllowed();
    const account = registry.get(stored, target.namespace, target.name ?? "");
    send(response, 201, JSON.stringify(tokenResponse(account, await readObject(request), tokens, now())));
  }
}

function notSupported(what: string): ApiError {
  const message = `${what} is not supported: this API server is for tests and has no nodes behind it`;
  return new ApiError(501, "NotImplemented", message, {});
}

function forbidden({ name: user }: User, action: Action): ApiError {
  if (action.type === "path")
    return new ApiError(
      403,
      "Forbidden",
      `forbidden: User ${JSON.stringify(user)} cannot ${action.verb} path "${action.path}"`,
      {},
    );
  const { verb, group, resource, subresource, namespace, name } = action;
  const what = subresource === "" ? resource : `${resource}/${subresource}`;
  const subject = `${resource}${group === "" ? "" : `.${group}`}${name === "" ? "" : ` "${name}"`}`;
  const where = namespace === "" ? "at the cluster scope" : `in the namespace "${namespace}"`;
  return new ApiError(
    403,
    "Forbidden",
    `${subject} is forbidden: User ${JSON.stringify(user)} cannot ${verb} resource "${what}" in API group "${group}" ${where}`,
    { ...(name === "" ? {} : { name }), ...(group === "" ? {} : { group }), kind: resource },
  );
}

function toStored(resource: Resource, body: Json): Json {
  return resource.view === undefined ? body : resource.view.toStored(asObject(body));
}

function fromStored(resource: Resource, object: KubeObject): JsonObject {
  return resource.view === undefined ? object : resource.view.fromStored(object);
}

function writeOptions({ query, target }: Call): WriteOptions {
  return { dryRun: isDryRun(query), scope: target.subresource === "status" ? "status" : "spec" };
}

function isDryRun(query: URLSearchParams): boolean {
  return query.getAll("dryRun").includes("All");
}
