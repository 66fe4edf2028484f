import type { Millis } from "#pkg/clock";
import type { Address } from "#pkg/net";
import { type AddressPlacement, type BgpRoute, isByBgp } from "#pkg/placement";
import { list } from "#pkg/text";
import { type Dated, type Fact, type Verdict, verdict, worst } from "#pkg/verdict";
import { conflictsOf } from "../conflicts/conflict-defense.ts";
import { conflictVerdict, occupiedVerdict } from "../conflicts/conflict-reports.ts";
import { type NotHere, whyNotHere } from "../nodes.ts";
import { addressesOf, whyWithoutAddresses } from "../services.ts";
import type { DefendedAddress, SpeakerState } from "../state.ts";
import { refusalVerdict } from "./refusals.ts";

export interface SessionState {
  readonly established: boolean;
  /** Since when it is in its state. */
  readonly since: Millis;
}

/** The sessions of this node: key of the peer -> session. */
export type Sessions = ReadonlyMap<string, SessionState>;

/** One address of a Service, as this node sees it. */
export interface AddressView {
  readonly address: Address;
  /** Where it is placed; undefined until it is. */
  readonly placement: AddressPlacement | undefined;
  readonly verdict: Verdict;
  readonly since: Millis;
}

/** A Service, as this node sees it; its verdict is that on the worst of its addresses. */
export interface ServiceView extends Dated<Millis> {
  readonly addresses: readonly AddressView[];
}

/** Undefined where there is no such Service. @param began when this process did */
export function serviceView(state: SpeakerState, key: string, sessions: Sessions, began: Millis): ServiceView | undefined {
  const why = whyWithoutAddresses(state.services, key);
  if (why === "serviceDeleted") return undefined;
  const placedSince = state.status.since.get(key)?.at ?? began;
  if (why !== undefined) return { addresses: [], verdict: verdict("service", why), since: placedSince };
  const addresses = addressesOf(state.services, key).map((address): AddressView => {
    const placement = state.placements.get(address.toString());
    const found = addressVerdict(state, key, address, placement, sessions);
    return { address, placement, verdict: found, since: sinceOf(state, address, placement, found, sessions) ?? placedSince };
  });
  const [first, ...rest] = addresses;
  if (first === undefined) return { addresses, verdict: notPlaced, since: placedSince };
  const verdictOfWorst = worst([first.verdict, ...rest.map((one) => one.verdict)]);
  const { since } = addresses.find((one) => one.verdict === verdictOfWorst) ?? first;
  return { addresses, verdict: verdictOfWorst, since };
}

/** Since when, where that is not since the address was placed as it is. */
function sinceOf(
  { conflicts }: SpeakerState,
  address: Address,
  placement: AddressPlacement | undefined,
  { cause }: Verdict,
  sessions: Sessions,
): Millis | undefined {
  if (cause === "noSession" || cause === "someSessionsDown") {
    const routes = placement !== undefined && isByBgp(placement) ? placement.routes : [];
    const down = routes
      .flatMap(({ via }) => via.peers[address.family])
      .flatMap((peer) => sessions.get(peer) ?? [])
      .filter(({ established }) => !established);
    return down.length === 0 ? undefined : Math.max(...down.map(({ since }) => since));
  }
  const rivals = [...(conflicts.defended.get(address.toString())?.defense.rivals.values() ?? [])].filter(
    ({ reported }) => reported,
  );
  return rivals.length === 0 ? undefined : Math.min(...rivals.map(({ since }) => since));
}

const notPlaced = verdict("service", "notPlaced");

function addressVerdict(
  state: SpeakerState,
  key: string,
  address: Address,
  placement: AddressPlacement | undefined,
  sessions: Sessions,
): Verdict {
  const found = placement?.verdicts.get(key);
  if (placement === undefined || found === undefined) return notPlaced;
  const policy = state.services.rows.get(key)?.service.externalTrafficPolicy ?? "Cluster";
  if (!found.announced) return refusalVerdict(placement, found, policy, state.node);
  if (isByBgp(placement)) return routesVerdict(state, placement, sessions);
  if (placement.owner === undefined)
    return verdict("service", "unsettled", { message: `the owner of ${address} is about to be settled` });
  return placement.owner === state.node ? ownVerdict(state, placement) : elsewhere(state, placement, placement.owner);
}

function elsewhere(state: SpeakerState, { address, candidates }: AddressPlacement, owner: string): Verdict {
  const pool = state.config?.pools.find(address);
  const evidence: Fact[] = [
    { name: "owner", value: owner, source: "placement" },
    { name: "candidates", value: list(candidates), source: "placement" },
  ];
  if (pool !== undefined)
    evidence.push({ name: state.node, value: notHere[whyNotHere(state, pool, address)], source: "placement" });
  return verdict("service", "notOwner", { message: `${owner} announces ${address}`, evidence });
}

const notHere: Readonly<Record<NotHere, string>> = {
  notOwner: "it could announce the address, and is not its owner",
  nodeExcluded: "it is excluded from load balancers by its label",
  nodeOutOfService: "it has the taint of a node that is out of service",
  nodeNotSelected: "the pool's node-selectors do not match it",
  noInterface: "it has no interface for the pool that is up and has a carrier",
  notInSubnet: "it has no address in the subnet",
};

/** Of an address that this node is to announce. */
function ownVerdict(state: SpeakerState, { address, pool, candidates }: AddressPlacement): Verdict {
  const entry = state.conflicts.defended.get(address.toString());
  const evidence: Fact[] = [
    { name: "owner", value: state.node, source: "placement" },
    { name: "candidates", value: list(candidates), source: "placement" },
  ];
  if (entry === undefined) return notPlaced;
  const conflict = conflictOf(state, entry);
  if (conflict !== undefined) return conflict;
  if (entry.defense.stage === "probing")
    return verdict("service", "probing", {
      message: `before ${state.node} announces ${address}, it asks whether another host has it`,
    });
  return verdict("service", "announced", { message: `${state.node} announces ${address} of pool ${pool} by layer 2`, evidence });
}

function conflictOf(state: SpeakerState, { address, defense }: DefendedAddress): Verdict | undefined {
  const [first, ...rest] = conflictsOf(defense).map((rival) => conflictVerdict(state, { ...rival, address }));
  if (defense.stage === "occupied") {
    const mac = defense.occupiedBy ?? "unknown";
    const interfaces = state.conflicts.occupants.get(address.toString())?.interface ?? "the network";
    return occupiedVerdict(state, { address, mac, interface: interfaces });
  }
  return first === undefined ? undefined : worst([first, ...rest]);
}

function routesVerdict(
  { node }: SpeakerState,
  { address, pool, routes }: AddressPlacement & { readonly routes: readonly BgpRoute[] },
  sessions: Sessions,
): Verdict {
  const peers = [...new Set(routes.flatMap(({ via }) => via.peers[address.family]))];
  const up = peers.filter((peer) => sessions.get(peer)?.established);
  const evidence: Fact[] = [
    { name: "prefixes", value: list([...new Set(routes.map(({ prefix }) => prefix.toString()))]), source: "placement" },
    { name: "peers with a session", value: list(up), source: "BGP sessions" },
  ];
  if (up.length < peers.length) {
    const down = peers.filter((peer) => !up.includes(peer));
    evidence.push({ name: "peers without a session", value: list(down), source: "BGP sessions" });
    if (up.length === 0)
      return verdict("service", "noSession", {
        message: `${node} has a route for ${address}, and no session with ${list(down)}`,
        evidence,
      });
    const message = `${node} announces ${address} of pool ${pool} by BGP to ${list(up)}, and not to ${list(down)}`;
    return verdict("service", "someSessionsDown", { message, evidence });
  }
  return verdict("service", "announced", {
    message: `${node} announces ${address} of pool ${pool} by BGP to ${list(up)}`,
    evidence,
  });
}

/** Notes what the placement of the Service's first address says: owner or reason, and since when. */
export function noteSince(state: SpeakerState, key: string, now: Millis): void {
  const { since } = state.status;
  const code = codeOf(state, key);
  if (code === undefined) since.delete(key);
  else if (since.get(key)?.code !== code) since.set(key, { code, at: now });
}

/** The owner or the reason; no new text for any of thousands of Services. */
function codeOf({ services, placements, node }: SpeakerState, key: string): string | undefined {
  const why = whyWithoutAddresses(services, key);
  if (why === "serviceDeleted") return undefined;
  if (why !== undefined) return why;
  const [first] = addressesOf(services, key);
  const placement = first && placements.get(first.toString());
  const found = placement?.verdicts.get(key);
  if (placement === undefined || found === undefined) return "notPlaced";
  return found.announced ? (placement.owner ?? node) : found.reason;
}
