import { randomInt, randomUUID } from "node:crypto";
import { ApiError, alreadyExists, badRequest, conflict, type FieldError, invalid, invalidValue, notFound } from "./api-error.ts";
import { asList, asObject, asText, at, equal, isObject, type Json, type JsonObject, without } from "./json.ts";
import { listRule } from "./lists.ts";
import type { KubeObject, ObjectMeta } from "./objects.ts";
import { groupVersion, kindSubject, type Resource, resourceSubject } from "./resource.ts";
import { namespaces, resources, services } from "./resources.ts";
import type { ServiceAddresses } from "./service-addresses.ts";
import type { Store } from "./store.ts";
import { metadataErrors } from "./validation.ts";

export interface WriteOptions {
  /** The part of the object that the write may change: all but `status`, only `status` (and metadata), or both. Default: "spec". */
  readonly scope?: "spec" | "status" | "all";
  /** Checks and answers as if, but stores nothing. */
  readonly dryRun?: boolean;
  /** Replaces `metadata.managedFields`; without it they stay as they are. */
  readonly managedFields?: readonly Json[];
}

export interface DeleteOptions {
  readonly dryRun?: boolean;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

const protectedNamespaces = ["default", "kube-public", "kube-system"];

/**
 * The rules of writing, for every resource: who may exist, defaults, validation, preconditions, finalizers, namespaces. Every method
 * is one atomic step. Refusals are `ApiError`s.
 */
export class Registry {
  readonly #store: Store;
  readonly #addresses: ServiceAddresses;
  readonly #now: () => Date;

  constructor(store: Store, addresses: ServiceAddresses, now: () => Date) {
    this.#store = store;
    this.#addresses = addresses;
    this.#now = now;
  }

  /** @throws {ApiError} 404 */
  get(resource: Resource, namespace: string | undefined, name: string): KubeObject {
    const object = this.find(resource, namespace, name);
    if (object === undefined) throw notFound(resourceSubject(resource, name));
    return object;
  }

  find(resource: Resource, namespace: string | undefined, name: string): KubeObject | undefined {
    return this.#store.get(resource, namespace === undefined ? name : `${namespace}/${name}`);
  }

  create(resource: Resource, namespace: string | undefined, body: Json, options: WriteOptions = {}): KubeObject {
    const given = this.#decode(resource, namespace, body);
    const subject = resourceSubject(resource, given.metadata.name);
    if (namespace !== undefined) this.#checkNamespace(resource, namespace, given.metadata.name);
    if (given.metadata.resourceVersion !== undefined && given.metadata.resourceVersion !== "")
      throw new ApiError(500, "", "resourceVersion should not be set on objects to be created");
    if (given.metadata.name !== "" && this.find(resource, namespace, given.metadata.name) !== undefined)
      throw alreadyExists(subject);

    const name = given.metadata.name || this.#generateName(resource, namespace, asText(given.metadata.generateName));
    const metadata = withSystemFields(
      { ...given.metadata, name },
      {
        uid: randomUUID(),
        creationTimestamp: timestamp(this.#now()),
        generation: resource.hasGeneration ? 1 : undefined,
        managedFields: options.managedFields,
      },
    );
    const keepsStatus = options.scope === "all" || !resource.hasStatus || resource.keepsInitialStatus;
    const object = this.#checked(resource, withStatus({ ...given, metadata }, keepsStatus ? given.status : undefined), undefined);
    return options.dryRun ? object : this.#store.write(resource, object);
  }

  update(resource: Resource, namespace: string | undefined, name: string, body: Json, options: WriteOptions = {}): KubeObject {
    const uid = asText(at(body, "metadata", "uid"));
    const current = this.get(resource, namespace, name).metadata;
    if (uid !== "" && uid !== current.uid) {
      const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.uid}`;
      throw conflict(resourceSubject(resource, name), why);
    }
    return this.modify(resource, namespace, name, () => body, options);
  }

  /** Updates to what `edit` makes of the present object. A change of nothing is not a write: the resource version stays. */
  modify(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    edit: (current: KubeObject) => Json,
    options: WriteOptions = {},
  ): KubeObject {
    const current = this.get(resource, namespace, name);
    const next = this.#decode(resource, namespace, edit(current));
    if (next.metadata.name !== name)
      throw badRequest(`the name of the object (${next.metadata.name}) does not match the name on the URL (${name})`);
    this.#checkVersion(resource, current, next);

    const scope = options.scope ?? "spec";
    const status = resource.hasStatus && scope === "spec" ? current.status : next.status;
    const managedFields = options.managedFields ?? current.metadata.managedFields;
    const metadata = withSystemFields(next.metadata, { ...current.metadata, managedFields });
    const written = withStatus({ ...(scope === "status" ? current : next), metadata }, status);
    const object = this.#checked(resource, written, current);
    const generation = current.metadata.generation;
    const counted =
      generation === undefined || equal(current.spec ?? null, object.spec ?? null)
        ? object
        : { ...object, metadata: { ...object.metadata, generation: generation + 1 } };
    if (equal(current, counted)) return current;
    if (options.dryRun) return counted;
    const gone = counted.metadata.deletionTimestamp !== undefined && asList(counted.metadata.finalizers).length === 0;
    return gone && resource !== namespaces ? this.#remove(resource, counted) : this.#store.write(resource, counted);
  }

  /** @returns the object as it was last, or as it is while finalizers or a namespace's content hold it */
  delete(resource: Resource, namespace: string | undefined, name: string, options: DeleteOptions = {}): KubeObject {
    const current = this.get(resource, namespace, name);
    const { uid, resourceVersion } = options.preconditions ?? {};
    const { metadata } = current;
    if (uid !== undefined && uid !== metadata.uid) {
      const why = `the UID in the precondition (${uid}) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`;
      throw conflict(kindSubject(resource, name), why);
    }
    if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
      const why = `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${metadata.resourceVersion}). The object might have been modified`;
      throw conflict(kindSubject(resource, name), why);
    }
    if (resource === namespaces && protectedNamespaces.includes(name))
      throw forbidden(resource, name, "this namespace may not be deleted");
    if (options.dryRun) return current;
    return resource === namespaces ? this.#terminate(current) : this.#delete(resource, current);
  }

  #delete(resource: Resource, current: KubeObject): KubeObject {
    if (asList(current.metadata.finalizers).length === 0) return this.#remove(resource, current);
    if (current.metadata.deletionTimestamp !== undefined) return current;
    return this.#store.write(resource, this.#marked(current));
  }

  #marked(object: KubeObject): KubeObject {
    const deletion = { deletionTimestamp: timestamp(this.#now()), deletionGracePeriodSeconds: 0 };
    return { ...object, metadata: { ...object.metadata, ...deletion } };
  }

  /** The last object of a namespace that is being deleted takes the namespace along. */
  #remove(resource: Resource, object: KubeObject): KubeObject {
    const removed = this.#store.remove(resource, object);
    const namespace = this.#store.get(namespaces, object.metadata.namespace ?? "");
    if (namespace?.metadata.deletionTimestamp !== undefined && this.#content(namespace.metadata.name).next().done)
      this.#store.remove(namespaces, namespace);
    return removed;
  }

  /** Deletes what is in a namespace, and then the namespace; objects with finalizers hold it up. */
  #terminate(namespace: KubeObject): KubeObject {
    if (namespace.metadata.deletionTimestamp !== undefined) return namespace;
    // The namespace is marked after its content is gone, or each object would look for others that it leaves behind.
    for (const [resource, object] of this.#content(namespace.metadata.name)) this.#delete(resource, object);
    const status = { ...asObject(namespace.status), phase: "Terminating" };
    const terminating = this.#store.write(namespaces, { ...this.#marked(namespace), status });
    if (this.#content(namespace.metadata.name).next().done) this.#store.remove(namespaces, terminating);
    return terminating;
  }

  *#content(namespace: string): Generator<[Resource, KubeObject]> {
    for (const resource of resources) {
      if (!resource.namespaced || resource.view !== undefined) continue;
      for (const { object } of this.#store.entries(resource))
        if (object.metadata.namespace === namespace) yield [resource, object];
    }
  }

  #decode(resource: Resource, namespace: string | undefined, body: Json): KubeObject {
    const { kind } = resource;
    const cannot = (why: string): ApiError =>
      badRequest(`${kind} in version "${resource.version}" cannot be handled as a ${kind}: ${why}`);
    if (!isObject(body)) throw cannot("not an object");
    if (body.kind !== undefined && body.kind !== kind)
      throw badRequest(`${String(body.kind)} in version "${resource.version}" cannot be handled as a ${kind}`);
    if (body.apiVersion !== undefined && body.apiVersion !== groupVersion(resource))
      throw badRequest(
        `the API version in the data (${String(body.apiVersion)}) does not match the expected API version (${groupVersion(resource)})`,
      );
    const wrong = wrongShape(kind, body);
    if (wrong !== undefined) throw cannot(wrong);
    const metadata = asObject(body.metadata);
    const given = asText(metadata.namespace);
    if (given !== "" && given !== (namespace ?? ""))
      throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
    const { namespace: _, ...rest } = metadata;
    return {
      ...body,
      kind,
      apiVersion: groupVersion(resource),
      metadata: { ...rest, name: asText(metadata.name), ...(namespace === undefined ? {} : { namespace }) },
    };
  }

  #checked(resource: Resource, object: KubeObject, previous: KubeObject | undefined): KubeObject {
    const prepared = resource.prepare(object, previous);
    const errors: FieldError[] = [...metadataErrors(prepared, resource.nameRule), ...resource.validate(prepared, previous)];
    if (errors.length > 0) throw invalid(kindSubject(resource, prepared.metadata.name), errors);
    return resource === services ? this.#addresses.assign(prepared, previous) : prepared;
  }

  #checkNamespace(resource: Resource, namespace: string, name: string): void {
    const object = this.#store.get(namespaces, namespace);
    if (object === undefined) throw notFound(resourceSubject(namespaces, namespace));
    if (object.metadata.deletionTimestamp !== undefined) {
      const cause = {
        reason: "NamespaceTerminating",
        message: `namespace ${namespace} is being terminated`,
        field: "metadata.namespace",
      };
      const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
      throw forbidden(resource, name, why, [cause]);
    }
  }

  /** The version comes first: a change of an object that was deleted and made again is a conflict too. */
  #checkVersion(resource: Resource, current: KubeObject, next: KubeObject): void {
    const { name, uid, resourceVersion } = next.metadata;
    if (resourceVersion !== undefined && resourceVersion !== "" && resourceVersion !== current.metadata.resourceVersion) {
      const why = "the object has been modified; please apply your changes to the latest version and try again";
      throw conflict(resourceSubject(resource, name), why);
    }
    if (uid !== undefined && uid !== "" && uid !== current.metadata.uid)
      throw invalid(kindSubject(resource, name), [invalidValue("metadata.uid", uid, "field is immutable")]);
  }

  #generateName(resource: Resource, namespace: string | undefined, prefix: string): string {
    if (prefix === "") return "";
    for (;;) {
      const name = prefix.slice(0, 58) + suffix();
      if (this.find(resource, namespace, name) === undefined) return name;
    }
  }
}

const systemFields = [
  "uid",
  "resourceVersion",
  "generation",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "managedFields",
];

/** `metadata` with the fields of the server taken from `system`, not from the request. */
function withSystemFields(metadata: ObjectMeta, system: JsonObject): ObjectMeta {
  const present = systemFields.filter((name) => system[name] !== undefined);
  const own = without(metadata, ...systemFields) as ObjectMeta;
  return { ...own, ...Object.fromEntries(present.map((name) => [name, system[name]])) };
}

function withStatus(object: KubeObject, status: Json | undefined): KubeObject {
  const { status: _, ...rest } = object;
  return { ...(rest as KubeObject), ...(status === undefined ? {} : { status }) };
}

/** The error of a decoder with the kind's types, for the parts that the server itself relies on. */
function wrongShape(kind: string, object: JsonObject): string | undefined {
  for (const name of ["metadata", "spec", "status"]) {
    const value = object[name];
    if (value !== undefined && value !== null && !isObject(value))
      return `json: cannot unmarshal ${jsonType(value)} into ${name}`;
    for (const [field, inner] of Object.entries(asObject(value))) {
      const rule = listRule(kind, `${name}.${field}`);
      const isList = rule.mergeKey !== undefined || rule.set === true;
      if (isList && inner !== undefined && inner !== null && !Array.isArray(inner))
        return `json: cannot unmarshal ${jsonType(inner)} into field ${kind}.${name}.${field} of type list`;
    }
  }
  for (const field of ["labels", "annotations"])
    for (const [key, value] of Object.entries(asObject(asObject(object.metadata)[field])))
      if (typeof value !== "string")
        return `json: cannot unmarshal ${jsonType(value)} into field metadata.${field}.${key} of type string`;
  return undefined;
}

function jsonType(value: Json | undefined): string {
  return Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value;
}

function forbidden(resource: Resource, name: string, why: string, causes?: readonly Json[]): ApiError {
  const details = { name, ...(resource.group === "" ? {} : { group: resource.group }), kind: resource.plural };
  return new ApiError(403, "Forbidden", `${resource.plural} "${name}" is forbidden: ${why}`, {
    ...details,
    ...(causes === undefined ? {} : { causes }),
  });
}

const suffixLetters = "bcdfghjklmnpqrstvwxz2456789"; // Without those that make words.

function suffix(): string {
  return Array.from({ length: 5 }, () => suffixLetters[randomInt(suffixLetters.length)]).join("");
}

/** RFC 3339 in whole seconds, as in `metadata`. */
export function timestamp(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}
