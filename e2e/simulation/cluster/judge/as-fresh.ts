import type { Millis } from "#pkg/clock";
import { asked, textOf } from "#pkg/http/testing";
import { keyOf } from "../api/objects.ts";
import { fairWeather, type History } from "../history.ts";
import { startMs } from "../run.ts";
import { SimulatedCluster } from "../simulated-cluster.ts";

/** A row of `/v1/verdicts`. */
interface Said {
  readonly kind: string;
  readonly name: string;
  readonly state: string;
  readonly cause: string;
}

/** Histories of quiet edits begin this long after the start. */
export const firstActMs: Millis = 5_000;
// From the start until faults that last are told of.
const settledMs: Millis = 45_000;

/**
 * Promise 5, of verdicts: what processes find fault with in a cluster at rest, and would not in one that starts with the same objects, or the other
 * way round.
 */
export async function toldOtherwise(cluster: SimulatedCluster, history: History): Promise<string | undefined> {
  const fresh = new SimulatedCluster({ ...history, weather: { ...fairWeather }, onChange: () => {} });
  // Acts of one kind that overlap leave others than there were.
  for (const node of cluster.speakers.keys()) {
    fresh.nodes.setEdge(node, cluster.nodes.isEdge(node));
    fresh.machines.setSecondNic(node, cluster.machines.secondNics.has(node));
  }
  for (const [name, spec] of cluster.people.services) {
    fresh.people.setService(name, spec);
    const ingress = cluster.people.status(name).map((ip) => ({ ip }));
    fresh.people.act(() => fresh.api.patch("services", keyOf(name), { status: { loadBalancer: { ingress } } }));
  }
  await fresh.pass(settledMs);
  const [left, wanted] = [await sayings(cluster), await sayings(fresh)];
  const [surplus] = left.difference(wanted);
  if (surplus !== undefined) return `at rest ${surplus}, and a cluster that starts with the same objects does not say so`;
  const [missing] = wanted.difference(left);
  return missing && `a cluster that starts with the same objects says that ${missing}`;
}

/** An address of a Service that was there from the beginning and has left a node, or come to one, since acts began. */
export function movedSince({ moves, people }: SimulatedCluster, { services }: History): string | undefined {
  const own = new Set(Object.keys(services).flatMap((name) => people.status(name)));
  const moved = moves.find(({ at, address }) => at > startMs + firstActMs && own.has(address));
  return moved && `at ${moved.at} ms node-${moved.node} ${moved.on ? "begins" : "ceases"} to announce ${moved.address}`;
}

/** The faults that the processes report, and what they decide. */
async function sayings(cluster: SimulatedCluster): Promise<Set<string>> {
  return new Set([...(await faults(cluster)), ...decisions(cluster)]);
}

/** Each node's decisions, the kernels' entries and the router's routes. Owners of sticky pools are left out: they depend on the past. */
function* decisions(cluster: SimulatedCluster): Iterable<string> {
  const { speakers, router } = cluster;
  const nodes = new Map([...speakers.keys()].map((node) => [cluster.neighborOf(node), `node-${node}`])); // It may have moved to another address.
  for (const [prefix, neighbors] of router.routes()) {
    const through = neighbors.map((neighbor) => nodes.get(neighbor) ?? neighbor).sort();
    yield `the router has ${prefix} through ${through.join(" and ")}`;
  }
  for (const [neighbor, node] of nodes)
    for (const { prefix, communities, attributes } of router.pathsOf(neighbor))
      yield `the router has ${prefix} through ${node} with ${communities}, MED ${attributes?.med} and LOCAL_PREF ${attributes?.localPref}`;
  for (const [node, { state, routed }] of speakers) {
    for (const address of routed) yield `node-${node} has ${address} in its kernel`;
    for (const [address, placements] of state.placements)
      for (const { protocol, pool, candidates, verdicts } of placements) {
        const found = [...verdicts].map(([service, one]) => `${service}: ${one.announced ? "announced" : one.reason}`).sort();
        yield `node-${node} places ${address} of ${pool} by ${protocol} at ${candidates.join(" and ") || "nobody"} (${found})`;
      }
  }
}

/** The faults that the processes report. */
async function faults({ speakers, controllers }: SimulatedCluster): Promise<Set<string>> {
  const said = new Set<string>();
  const leaders = [...controllers.values()].filter(({ isLeader }) => isLeader);
  for (const { process, routes } of [...leaders, ...speakers.values()]) {
    const route = routes["/v1/verdicts"];
    const { verdicts } = JSON.parse(route === undefined ? "{}" : textOf(await route(asked()))) as {
      readonly verdicts: readonly Said[];
    };
    for (const { kind, name, state, cause } of verdicts)
      if (state === "Pending" || state === "Degraded")
        said.add(`${process.name.replace(/^controller-\d+$/, "the controller")} says that ${kind} ${name} is ${state}: ${cause}`);
  }
  return said;
}
