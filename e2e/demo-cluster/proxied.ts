import type { ObjectMeta, Resource } from "#pkg/k8s";
import { resources } from "#pkg/k8s";
import type { ProxiedService, ProxiedSlice } from "./forwarding.ts";

// Read from a server of the tests' own, which has checked what it stores.
interface RawSlice {
  readonly metadata: { readonly labels?: Readonly<Record<string, string>> };
  readonly ports?: readonly { readonly name?: string; readonly protocol?: string; readonly port?: number }[] | null;
  readonly endpoints?:
    | readonly {
        readonly addresses: readonly string[];
        readonly nodeName?: string;
        readonly conditions?: { readonly ready?: boolean };
      }[]
    | null;
}

export const proxiedServices: Resource<ObjectMeta & ProxiedService> = {
  ...resources.services,
  project(raw, meta) {
    const { type, externalTrafficPolicy, ingress, ports } = resources.services.project(raw, meta);
    return { ...meta, local: externalTrafficPolicy === "Local", ingress: type === "LoadBalancer" ? ingress : [], ports };
  },
};

/** Unlike `resources.endpointSlices`, with the ports, which nobody else needs. */
export const proxiedSlices: Resource<ObjectMeta & ProxiedSlice> = {
  ...resources.endpointSlices,
  project(raw, meta) {
    const { metadata, ports, endpoints } = raw as unknown as RawSlice;
    return {
      ...meta,
      service: `${meta.namespace}/${metadata.labels?.["kubernetes.io/service-name"]}`,
      ports: (ports ?? []).flatMap(({ name = "", protocol = "TCP", port }) =>
        port === undefined ? [] : [{ name, protocol, port }],
      ),
      endpoints: (endpoints ?? [])
        .filter(({ conditions }) => conditions?.ready !== false)
        .flatMap(({ addresses, nodeName }) => addresses.slice(0, 1).map((address) => ({ address, nodeName }))),
    };
  },
};
