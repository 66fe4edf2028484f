import { members, nameOf } from "#pkg/memberlist/testing";
import { candidatesOf } from "../simulation/cluster/invariants.ts";
import type { ServiceSpec } from "../simulation/cluster/objects.ts";
import type { SimulatedCluster } from "../simulation/cluster/simulated-cluster.ts";
import type { Sample } from "./sample.ts";

/**
 * What a simulated cluster is like at this moment. A node may announce what the API says that it may, once it knows so itself: one that has lost the
 * API knows neither what is new nor what is over.
 */
export function sampleOf(cluster: SimulatedCluster): Sample {
  const { ring, now, withoutCarrier } = cluster;
  const running = [...cluster.speakers].filter(
    ([node, { process }]) => process.isRunning && !process.isStalled && ring.running.includes(node),
  );
  const isOnLan = (node: number) => !withoutCarrier.has(node);
  const reaches = (a: number, b: number) => ring.reaches(a, b) && ring.reaches(b, a);
  const known = new Map<string, readonly number[]>(); // address -> nodes that may announce it, as the API has it
  const mayAnnounce = (address: string): readonly number[] => {
    const found = known.get(address) ?? candidatesOf(cluster, servicesOn(cluster, address));
    known.set(address, found);
    return found;
  };
  const hears = new Map<string, string[]>();
  const ringMembers = new Map<string, string[]>();
  const owners = new Map<string, Map<string, string | undefined>>();
  const candidates = new Map<string, string[]>();
  for (const [node, { state }] of running) {
    const name = nameOf(node);
    hears.set(
      name,
      running.flatMap(([other]) => (other !== node && reaches(node, other) ? [nameOf(other)] : [])),
    );
    ringMembers.set(
      name,
      members(ring.ring(node))
        .filter(({ status }) => status === "alive")
        .map((member) => member.node),
    );
    const views = new Map<string, string | undefined>();
    for (const [address, placements] of state.placements)
      for (const placement of placements) {
        if (placement.protocol !== "layer2" || placement.candidates.length === 0) continue;
        views.set(address, placement.owner);
        if (placement.candidates.includes(name) && isOnLan(node) && mayAnnounce(address).includes(node))
          candidates.set(address, [...(candidates.get(address) ?? []), name]);
      }
    owners.set(name, views);
  }
  const answers = new Map([...cluster.owners()].map(([address, nodes]) => [address, nodes.map(nameOf)] as const));
  return { at: now, answers, candidates, hears, members: ringMembers, owners };
}

function servicesOn(cluster: SimulatedCluster, address: string): ServiceSpec[] {
  return [...cluster.services].flatMap(([name, spec]) => (cluster.status(name).includes(address) ? [spec] : []));
}
