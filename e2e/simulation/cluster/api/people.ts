import type { Backup, JsonObject, KubeObject, LocalApi } from "#e2e/apiserver";
import { readInput } from "#pkg/config";
import { convert } from "#pkg/convert";
import { renumberAnnotation } from "#pkg/live-config";
import type { ConfigurationObjects } from "./configuration-objects.ts";
import { keyOf, namespace, type ServiceSpec, serviceObject } from "./objects.ts";
import { movingSlice, sliceNames, slicesOf } from "./slices.ts";

const configKey = `${namespace}/config`;

/** The people of a simulated cluster, who write Services and the configuration, and read addresses. */
export class People {
  readonly services = new Map<string, ServiceSpec>(); // name -> what they want
  readonly #api: LocalApi;
  readonly #objects: ConfigurationObjects | undefined;
  #areActing = false;
  readonly #holders = new Map<string, readonly string[]>(); // address -> the Services that have it, as of then:
  #heldAt = { version: -1, writes: -1 };

  /** @param objects where the configuration is custom resources: a ConfigMap then notes what people want, beside what `ingotctl convert` makes of it */
  constructor(api: LocalApi, objects?: ConfigurationObjects) {
    this.#api = api;
    this.#objects = objects;
  }

  /** Whether they are the ones who change the API now. */
  get areActing(): boolean {
    return this.#areActing;
  }

  act(change: () => void): void {
    this.#areActing = true;
    try {
      change();
    } finally {
      this.#areActing = false;
    }
  }

  setConfig(text: string, mayRenumber: boolean): void {
    const isAllowed = mayRenumber || this.#objects?.mayRenumber;
    const metadata = { annotations: { [renumberAnnotation]: isAllowed ? "true" : null } };
    this.act(() => {
      if (this.config === undefined) this.#api.create("configmaps", namespace, { metadata: { name: "config" }, data: {} });
      const data = this.#objects === undefined ? { config: text } : { config: converted(text) ?? text, manifests: text };
      this.#api.patch("configmaps", configKey, { metadata, data });
    });
    this.#objects?.write(text, mayRenumber);
  }

  deleteConfig(): void {
    this.act(() => this.#api.remove("configmaps", configKey));
    this.#objects?.write("", false);
  }

  deleteLease(): void {
    this.act(() => this.#api.remove("leases", `${namespace}/controller`));
  }

  /** The ConfigMap's text, or the manifests; undefined where there is no ConfigMap. */
  get config(): string | undefined {
    const data = (this.#api.get("configmaps", configKey)?.data ?? {}) as Readonly<Record<string, string>>;
    return data.manifests ?? data.config;
  }

  /** Makes, changes, or, where undefined, deletes a Service and its slices. */
  setService(name: string, spec: ServiceSpec | undefined): void {
    const key = keyOf(name);
    this.act(() => {
      if (spec === undefined) {
        this.services.delete(name);
        this.#setSlices(name, new Map());
        this.#api.remove("services", key);
        return;
      }
      if (spec.kind === undefined) this.services.set(name, spec);
      else this.services.delete(name);
      const service = serviceObject(name, spec);
      if (!canBecome(this.#api.get("services", key), service)) this.#api.remove("services", key);
      if (this.#api.get("services", key) === undefined) this.#api.create("services", "default", service);
      else this.#api.patch("services", key, service);
      this.#setSlices(name, slicesOf(name, spec));
    });
  }

  /** New slices come first, and those that are left over go last. @param slices name -> object */
  #setSlices(service: string, slices: ReadonlyMap<string, JsonObject>): void {
    const own = sliceNames(service).filter((name) => name !== movingSlice || this.#ownerOf(name) === service);
    const isThere = (name: string) => this.#api.get("endpointslices", keyOf(name)) !== undefined;
    if (slices.has(movingSlice)) this.#loseMoving(service);
    const before = [...slices].filter(([name]) => isThere(name));
    for (const [name, slice] of slices) if (!isThere(name)) this.#api.create("endpointslices", "default", slice);
    for (const [name, slice] of before) this.#api.patch("endpointslices", keyOf(name), slice);
    for (const name of own) if (!slices.has(name)) this.#api.remove("endpointslices", keyOf(name));
  }

  #ownerOf(slice: string): string | undefined {
    const labels = this.#api.get("endpointslices", keyOf(slice))?.metadata.labels as Readonly<Record<string, string>> | undefined;
    return labels?.["kubernetes.io/service-name"];
  }

  /** The Service that has the slice that moves has the endpoints in it no longer. */
  #loseMoving(to: string): void {
    const name = this.#ownerOf(movingSlice);
    const spec = name === undefined || name === to ? undefined : this.services.get(name);
    if (name === undefined || spec === undefined) return;
    const isLeft = (node: number) => node % 2 === 0;
    const endpoints = spec.endpoints.filter(isLeft);
    this.services.set(name, { ...spec, endpoints, draining: (spec.draining ?? []).filter(isLeft), layout: "odd" });
  }

  /** The namespace of all Services has the label `team`. */
  setTeam(team: string | undefined): void {
    this.act(() => this.#api.patch("namespaces", "default", { metadata: { labels: { team: team ?? null } } }));
  }

  get team(): string | undefined {
    const labels = (this.#api.get("namespaces", "default")?.metadata.labels ?? {}) as Readonly<Record<string, string>>;
    return labels.team;
  }

  /** The addresses in the status of a Service. */
  status(name: string): readonly string[] {
    return ingressOf(this.#api.get("services", keyOf(name)));
  }

  /** The Services that have an address in their status. Judges ask all the time. */
  holders(address: string): readonly string[] {
    const { version, writes } = this.#api;
    if (version !== this.#heldAt.version || writes !== this.#heldAt.writes) {
      this.#holders.clear();
      this.#heldAt = { version, writes };
    }
    const holders = this.#holders.get(address) ?? [...this.services.keys()].filter((name) => this.status(name).includes(address));
    this.#holders.set(address, holders);
    return holders;
  }

  /** Everything in the API is as it was then, and so is what they want. */
  restore(backup: Backup, services: ReadonlyMap<string, ServiceSpec>, bump: boolean): void {
    this.services.clear();
    for (const [name, spec] of services) this.services.set(name, spec);
    this.#objects?.giveUp();
    this.act(() => this.#api.restore(backup, bump));
  }
}

/** The text of the ConfigMap that says the same; undefined where the manifests are refused. */
function converted(manifests: string): string | undefined {
  const { text } = convert([{ name: "manifests", text: manifests }], { namespace, prefer: undefined });
  return text && readInput(text).text;
}

/** The first family of a Service cannot change, nor the class while its type stays: people have to delete it and make another. */
function canBecome(before: KubeObject | undefined, after: JsonObject): boolean {
  const [one, other] = [before, after].map((service) => (service?.spec ?? {}) as ClassedSpec);
  const isSameClass = one?.type !== other?.type || (one?.loadBalancerClass ?? null) === (other?.loadBalancerClass ?? null);
  return isSameClass && one?.ipFamilies?.[0] === other?.ipFamilies?.[0];
}

interface ClassedSpec {
  readonly type?: string;
  readonly loadBalancerClass?: string | null;
  readonly ipFamilies?: readonly string[];
}

const ingresses = new WeakMap<KubeObject, readonly string[]>(); // Judges look at them all the time, and no object is changed in place.

/** The addresses in a Service's status. */
export function ingressOf(service: KubeObject | undefined): readonly string[] {
  if (service === undefined) return [];
  const known = ingresses.get(service);
  if (known !== undefined) return known;
  const status = (service.status ?? {}) as { readonly loadBalancer?: { readonly ingress?: readonly { readonly ip: string }[] } };
  const ingress = (status.loadBalancer?.ingress ?? []).map(({ ip }) => ip);
  ingresses.set(service, ingress);
  return ingress;
}
