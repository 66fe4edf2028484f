import { isProblem, verdict, worst } from "#pkg/verdict";
import type { ControllerServices, PlacedAddress, SpeakerServices, VerdictAnswer } from "./answers.ts";
import type { Answer } from "./processes.ts";

/** One address of a Service, by all that were asked. */
export interface MergedAddress {
  readonly address: string;
  readonly pool: string | null;
  readonly protocol: string | null;
  /** Nodes that announce it. */
  readonly nodes: readonly string[];
  readonly verdict: VerdictAnswer;
}

export interface MergedService {
  readonly service: string;
  readonly addresses: readonly MergedAddress[];
  readonly verdict: VerdictAnswer;
}

export interface ServiceAnswers {
  readonly controllers: readonly Answer<ControllerServices>[];
  /** All that they know. */
  readonly whole: readonly Answer<SpeakerServices>[];
  /** Their problems alone: what they leave out is well there. */
  readonly problems: readonly Answer<SpeakerServices>[];
}

interface Said extends PlacedAddress {
  readonly by: string; // node
}

/** What speakers say of one Service. */
interface SaidOfService {
  readonly addresses: Map<string, Said[]>; // address -> what each says
  readonly nodes: Set<string>; // who lists it
  without: VerdictAnswer | undefined; // why it has no address
}

/**
 * One verdict on each Service. What the controller refuses comes first: a Service without an address is announced by nobody. On an address by
 * layer 2 its owner's word counts, by BGP that of any node which announces it. Sorted by key.
 */
export function mergeServices({ controllers, whole, problems }: ServiceAnswers): MergedService[] {
  const ofController = new Map(controllers.flatMap(({ body }) => body.services.map((one) => [one.service, one])));
  const said = new Map<string, SaidOfService>();
  for (const { body } of [...whole, ...problems])
    for (const { service, addresses, verdict } of body.services) {
      const known = said.get(service) ?? { addresses: new Map<string, Said[]>(), nodes: new Set<string>(), without: undefined };
      said.set(service, known);
      known.nodes.add(body.node);
      if (addresses.length === 0) known.without = verdict;
      for (const one of addresses)
        known.addresses.set(one.address, [...(known.addresses.get(one.address) ?? []), { ...one, by: body.node }]);
    }
  const quiet = problems.map(({ body }) => body.node);
  const keys = new Set([...ofController.keys(), ...said.keys()]);
  return [...keys].sort().map((service) => {
    const decided = ofController.get(service);
    const known = said.get(service);
    const well = quiet.filter((node) => known?.nodes.has(node) !== true);
    const addresses = [...(known?.addresses.values() ?? [])].map((all) => mergeAddress(all, well));
    const verdict = mergeVerdict(decided?.verdict, addresses, known?.without);
    return { service, addresses: addresses.length > 0 ? addresses : unplaced(decided), verdict };
  });
}

function mergeVerdict(
  decided: VerdictAnswer | undefined,
  addresses: readonly MergedAddress[],
  without: VerdictAnswer | undefined,
): VerdictAnswer {
  const [first, ...rest] = addresses.map((one) => one.verdict);
  if (decided !== undefined && (decided.state === "Pending" || decided.state === "NotOurs" || first === undefined))
    return decided;
  const announced = first === undefined ? without : worst([first, ...rest]);
  if (announced === undefined) return decided as VerdictAnswer; // One of the two has it.
  return decided !== undefined && isProblem(decided) ? worst([decided, announced]) : announced;
}

/** What the controller alone knows of. */
function unplaced(decided: ControllerServices["services"][number] | undefined): MergedAddress[] {
  if (decided === undefined) return [];
  return decided.addresses.map((address) => ({
    address,
    pool: decided.pool,
    protocol: null,
    nodes: [],
    verdict: decided.verdict,
  }));
}

/** @param well nodes where nothing is wrong with the Service */
function mergeAddress(all: readonly Said[], well: readonly string[]): MergedAddress {
  const best = all.find(({ owner, by }) => owner === by) ?? all.reduce((one, other) => (rank(other) < rank(one) ? other : one));
  const { address, pool, protocol, owner } = best;
  const announcing = all.filter(({ announced, verdict: { cause } }) => announced && cause !== "noSession").map(({ by }) => by);
  if (protocol !== "bgp") {
    const nodes = owner === null || best.verdict.state === "Pending" ? [] : [owner];
    // Nothing is wrong with it at its owner: it announces the address.
    const isOwners = owner !== null && best.verdict.cause === "notOwner" && well.includes(owner);
    return { address, pool, protocol, nodes, verdict: isOwners ? { ...best.verdict, cause: "announced" } : best.verdict };
  }
  const nodes = [...announcing, ...well].sort();
  if (nodes.length === 0 || !isProblem(best.verdict)) return { address, pool, protocol, nodes, verdict: best.verdict };
  if (announcing.includes(best.by)) return { address, pool, protocol, nodes, verdict: best.verdict };
  const message = `${nodes.length === 1 ? "1 node announces" : `${nodes.length} nodes announce`} ${address} of pool ${pool} by BGP`;
  const announced = { ...verdict("service", "announced", { message }), since: best.verdict.since };
  return { address, pool, protocol, nodes, verdict: announced };
}

function rank({ verdict: { state } }: Said): number {
  return state === "Announced" ? 0 : state === "Degraded" ? 1 : 2;
}
