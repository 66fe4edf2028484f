import { type AnnouncedLine, announcedConfigMaps, decodeAnnounced, subjectOf } from "#pkg/announced";
import type { Condition } from "#pkg/k8s";
import { fields } from "#pkg/untrusted";
import { keyOf, namespace } from "../api/objects.ts";
import type { SimulatedCluster } from "../simulated-cluster.ts";
import { candidatesOf } from "./ownership-sample.ts";
import { inKernels, poolOf, withoutOwners } from "./promised.ts";

/** The lines that speakers write about each Service. */
export function linesOf({ api }: SimulatedCluster): ReadonlyMap<string, AnnouncedLine> {
  const lines = new Map<string, AnnouncedLine>();
  for (const name of announcedConfigMaps) {
    const data = fields(api.get("configmaps", `${namespace}/${name}`)?.data) as Record<string, string>;
    for (const [service, line] of decodeAnnounced({ name, data }, namespace)) lines.set(service, line);
  }
  return lines;
}

/** Compares lines of speakers and conditions of Services with the real announcers. To be called when nothing has happened for long enough. */
export function wronglyTold(cluster: SimulatedCluster): string | undefined {
  const owners = cluster.owners();
  const routes = new Set([...cluster.router.routes().keys()].map((prefix) => prefix.slice(0, prefix.indexOf("/"))));
  const lines = linesOf(cluster);
  for (const [name, spec] of cluster.people.services) {
    const addresses = cluster.people.status(name);
    const object = cluster.api.get("services", keyOf(name));
    const { conditions = [] } = (object?.status ?? {}) as { readonly conditions?: readonly Condition[] };
    const uid = object?.metadata.uid ?? "";
    if (addresses.length === 0) continue;
    const line = lines.get(keyOf(name));
    // Without a ring nobody knows what the sessions and kernels of others have. A line of other addresses counts for no reader.
    const isUntold = addresses.some((address) => !cluster.hasRing && withoutOwners.has(poolOf(address)));
    const isOfThese = line?.subject === subjectOf({ uid, ingress: addresses });
    if (!isOfThese && isUntold) continue;
    if (line === undefined) return `no line tells of ${name}`;
    const said = `the line of ${name} says ${line.cause}: ${line.message}`;
    if (!isOfThese) return `${said}, which is of another Service or other addresses`;
    // Not by another one's endpoints, which shares the address.
    const isServed = (address: string) => {
      const candidates = candidatesOf(cluster, address, [spec]);
      return candidates.length > 0 && (owners.get(address)?.some((owner) => candidates.includes(owner)) ?? true);
    };
    const isAnnounced = addresses.every(
      (address) =>
        isServed(address) &&
        poolOf(address) !== "given" &&
        (owners.has(address) || routes.has(address) || inKernels.has(poolOf(address))),
    );
    if (/^announced/.test(line.cause) !== isAnnounced) return `${said}, and ${isAnnounced ? "it is announced" : "it is not"}`;
    for (const address of isAnnounced ? addresses : []) {
      if (inKernels.has(poolOf(address)) && line.message.includes(`${address} is announced by the kernels of nodes`)) continue;
      const [clause = ""] = line.message.split("; ").filter((each) => each.split(/[ ,]+/).includes(address));
      const by = /announced by (\S+)/.exec(clause)?.[1];
      if (
        by === "BGP"
          ? !routes.has(address)
          : owners
              .get(address)
              ?.map((node) => `node-${node}`)
              .join() !== by
      )
        return `${said}, and ${address} is at node-${owners.get(address)?.join()}`;
    }
    const announced = conditions.find(({ type }) => type === "ingot.dev/Announced");
    if (announced === undefined || !announced.message.startsWith(line.message))
      return `${said}, and its condition says ${announced?.reason}: ${announced?.message}`;
    if (!conditions.some(({ type, status }) => type === "ingot.dev/Assigned" && status === "True"))
      return `${name} has addresses, and its condition says that it has none`;
  }
  return undefined;
}
