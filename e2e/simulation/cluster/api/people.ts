import type { Backup, JsonObject, KubeObject, LocalApi } from "#e2e/apiserver";
import { readInput } from "#pkg/config";
import { convert } from "#pkg/convert";
import { renumberAnnotation } from "#pkg/live-config";
import { type Family, families } from "#pkg/net";
import type { ConfigurationObjects } from "./configuration-objects.ts";
import { keyOf, namespace, type ServiceSpec, serviceObject, sliceNames, sliceObject } from "./objects.ts";

const configKey = `${namespace}/config`;

/** The people of a simulated cluster, who write Services and the configuration, and read addresses. */
export class People {
  readonly services = new Map<string, ServiceSpec>(); // name -> what they want
  readonly #api: LocalApi;
  readonly #objects: ConfigurationObjects | undefined;
  #areActing = false;

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
        for (const family of families) this.#setSlice(name, family, undefined);
        this.#api.remove("services", key);
        return;
      }
      this.services.set(name, spec);
      const service = serviceObject(name, spec);
      if (!hasFirstFamilyOf(this.#api.get("services", key), service)) this.#api.remove("services", key);
      if (this.#api.get("services", key) === undefined) this.#api.create("services", "default", service);
      else this.#api.patch("services", key, service);
      this.#setSlice(name, "IPv4", spec.endpoints, spec.draining);
      this.#setSlice(name, "IPv6", spec.endpointsV6);
    });
  }

  /** @param nodes those with an endpoint; undefined: there is no slice */
  #setSlice(service: string, family: Family, nodes: readonly number[] | undefined, draining: readonly number[] = []): void {
    const key = keyOf(sliceNames[family](service));
    if (nodes === undefined) this.#api.remove("endpointslices", key);
    else if (this.#api.get("endpointslices", key) === undefined)
      this.#api.create("endpointslices", "default", sliceObject(service, nodes, family, draining));
    else this.#api.patch("endpointslices", key, sliceObject(service, nodes, family, draining));
  }

  /** The addresses in the status of a Service. */
  status(name: string): readonly string[] {
    return ingressOf(this.#api.get("services", keyOf(name)));
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

/** The first family of a Service cannot change: people have to delete it and make another. */
function hasFirstFamilyOf(before: KubeObject | undefined, after: JsonObject): boolean {
  const [one, other] = [before, after].map(
    (service) => (service?.spec as { ipFamilies?: string[] } | undefined)?.ipFamilies?.[0],
  );
  return one === other;
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
