import type { BfdVerdict } from "#pkg/bfd";
import type { Address } from "#pkg/net";
import { type AddressPlacement, isByBgp } from "#pkg/placement";
import { digest, labelValue, type StatusObject } from "#pkg/status-objects";

/**
 * The owner of an address has one object for it, whose name follows from Service and address: the next owner takes the object over.
 * @param interfacesOf those of a pool that is not for all
 */
export function layer2Objects(
  node: string,
  service: string,
  placements: readonly AddressPlacement[],
  interfacesOf: (address: Address) => readonly string[],
): readonly StatusObject[] {
  return placements.flatMap(({ address, isOwned }) => {
    if (!isOwned) return [];
    const interfaces = interfacesOf(address).map((name) => ({ name }));
    const more = interfaces.length > 0 ? { interfaces } : {};
    return [{ ...ofService(node, service, `l2-${digest(service, `${address}`)}`, more), address: `${address}` }];
  });
}

/** Each node that advertises a Service says to which peers. @param nameOf a peer, by its key */
export function bgpObject(
  node: string,
  service: string,
  placements: readonly AddressPlacement[],
  nameOf: (peer: string) => string,
): StatusObject | undefined {
  const routes = placements.filter(isByBgp).flatMap((placement) => placement.routes);
  const peers = [...new Set(routes.flatMap(({ prefix, via }) => via.peers[prefix.family]).map(nameOf))].sort();
  return peers.length === 0 ? undefined : ofService(node, service, `bgp-${digest(service, node)}`, { peers });
}

/** In words of FRR, as frr-k8s has them. @param path undefined where it is not watched */
export function sessionObject(
  node: string,
  key: string,
  { router, state, path }: { readonly router: Address | string; readonly state: string; readonly path: BfdVerdict | undefined },
): StatusObject {
  const peer = typeof router === "string" ? router : peerText(router);
  const labels = { "frrk8s.metallb.io/node": labelValue(node), "frrk8s.metallb.io/peer": peer, "frrk8s.metallb.io/vrf": "" };
  const bgpStatus = state.charAt(0).toUpperCase() + state.slice(1);
  const bfdStatus = path === undefined ? "N/A" : path === "up" ? "up" : "down";
  return { name: `session-${digest(node, key)}`, labels, status: { node, peer, vrf: "", bgpStatus, bfdStatus } };
}

function peerText(address: Address): string {
  const hex = Buffer.from(address.toBytes()).toString("hex");
  return address.family === "IPv4" ? `${address}` : hex.replace(/.{4}(?!$)/g, "$&-");
}

function ofService(node: string, service: string, name: string, more: object): StatusObject {
  const [serviceNamespace = "", serviceName = ""] = service.split("/");
  const own = { "metallb.io/service-name": serviceName, "metallb.io/service-namespace": serviceNamespace };
  return {
    name,
    labels: { "metallb.io/node": labelValue(node), ...own },
    status: { node, serviceName, serviceNamespace, ...more },
  };
}
