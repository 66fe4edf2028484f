import { type BfdProfile, needsRestart, type Peer, sessionSettings } from "#pkg/config";
import { changedFields } from "./changed-fields.ts";
import { peersOf } from "./place-by-bgp.ts";
import type { ClusterState } from "./state.ts";

/** The effect on sessions with one peer, of BGP or BFD. */
export interface SessionChange {
  readonly peer: string;
  /**
   * `may restart`: its password is in another Secret or under another key, or values of nodes are in other labels, and may be the same; or
   * it has no BFD any more, or between other ends, which restarts it where that was up. `changes`: the session goes on with other settings.
   */
  readonly change: "starts" | "ends" | "restarts" | "may restart" | "changes";
  /** Settings that change. For a BGP session that restarts, settings that take a new session. */
  readonly because: readonly string[];
  readonly nodes: readonly string[];
}

type Kind = Pick<SessionChange, "change" | "because">;

/** BGP sessions that start, end or restart. */
export function sessionChanges(before: ClusterState, after: ClusterState): SessionChange[] {
  return compare(before, after, (was, is) => {
    if (was === undefined) return { change: "starts", because: [] };
    if (is === undefined) return { change: "ends", because: [] };
    const because = changedSettings(sessionSettings(was, undefined), sessionSettings(is, undefined));
    if (because.length > 0) return { change: "restarts", because };
    const doubtful = changedFields(elsewhere(was), elsewhere(is));
    if (was.bfdProfile !== undefined)
      doubtful.push(...(is.bfdProfile === undefined ? ["bfdProfile"] : changedFields(endsOf(was), endsOf(is))));
    if (doubtful.length > 0) return { change: "may restart", because: doubtful };
    const others = changedFields(was, is).filter((name) => !shownElsewhere.includes(name));
    return others.length > 0 ? { change: "changes", because: others } : undefined;
  });
}

/** Fields of a peer whose effects are other changes: of BFD, of nodes, or of prefixes. */
const shownElsewhere: readonly string[] = ["name", "nodeSelectors", "bfdProfile"] satisfies (keyof Peer)[];

/** Where values are that are not in the configuration itself. */
function elsewhere({ passwordSecret, fromNode }: Peer): object {
  return { passwordSecret, fromNode: fromNode && [...fromNode.values].sort() };
}

/** BFD sessions that start, end, restart between other ends, or go on with other settings. */
export function bfdChanges(before: ClusterState, after: ClusterState): SessionChange[] {
  return compare(before, after, (was, is) => {
    const [old, current] = [profileOf(before, was), profileOf(after, is)];
    if (old === undefined || current === undefined) {
      if (old === current) return undefined;
      return { change: old === undefined ? "starts" : "ends", because: [] };
    }
    const ends = changedFields(endsOf(was as Peer), endsOf(is as Peer));
    if (ends.length > 0) return { change: "restarts", because: ends };
    const because = changedFields(settingsOf(old), settingsOf(current));
    return because.length > 0 ? { change: "changes", because } : undefined;
  });
}

/** Compares the peers of each speaker, and counts equal changes of several nodes as one. */
function compare(
  before: ClusterState,
  after: ClusterState,
  judge: (was: Peer | undefined, is: Peer | undefined) => Kind | undefined,
): SessionChange[] {
  const found = new Map<string, SessionChange & { readonly nodes: string[] }>();
  const [earlier, later] = [peersOf(before), peersOf(after)];
  for (const node of earlier.keys()) {
    const was = new Map(earlier.get(node)?.map(({ key, peer }) => [key, peer]));
    const is = new Map(later.get(node)?.map(({ key, peer }) => [key, peer]));
    for (const peer of new Set([...was.keys(), ...is.keys()])) {
      const kind = judge(was.get(peer), is.get(peer));
      if (kind === undefined) continue;
      const key = `${peer} ${kind.change} ${kind.because}`;
      const known = found.get(key) ?? { peer, ...kind, nodes: [] };
      known.nodes.push(node);
      found.set(key, known);
    }
  }
  return [...found.values()].sort((a, b) => (`${a.peer} ${a.change}` < `${b.peer} ${b.change}` ? -1 : 1));
}

type Settings = Parameters<typeof needsRestart>[0];

/** Names of those that take a new session. */
function changedSettings(before: Settings, after: Settings): string[] {
  const names = Object.keys(after) as (keyof Settings)[];
  return names.filter((name) => needsRestart(before, { ...before, [name]: after[name] }));
}

function profileOf({ config }: ClusterState, peer: Peer | undefined): BfdProfile | undefined {
  return peer?.bfdProfile === undefined ? undefined : config.bfdProfiles.get(peer.bfdProfile);
}

/** The configured part that decides the ends of a BFD session. */
function endsOf({ address, sourceAddress, interface: device, ebgpMultihop, ttlSecurityHops, myAsn, peerAsn }: Peer): object {
  return { address, sourceAddress, interface: device, ebgpMultihop, ttlSecurityHops, isInternal: myAsn === peerAsn };
}

/** Settings that the session runs with. */
function settingsOf({ name: _, hasReceiveInterval: __, ...settings }: BfdProfile): object {
  return settings;
}
