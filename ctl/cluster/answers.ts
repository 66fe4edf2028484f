import type { PoolFacts } from "#pkg/allocator";
import type { Protocol } from "#pkg/config";
import type { BriefVerdict, VerdictAnswer, VerdictEntry } from "#pkg/verdict";
import type { Unreachable } from "./processes.ts";

// The fields of the answers under /v1 that are read; docs/openapi.yaml has all fields. A process of another version may
// leave fields out.

/** @template V what of each verdict was asked for */
export interface ControllerServices<V extends BriefVerdict = VerdictAnswer> {
  readonly leader: boolean;
  readonly services: readonly {
    readonly service: string;
    readonly pool: string | null;
    readonly addresses: readonly string[];
    readonly verdict: V;
  }[];
}

export interface PlacedAddress<V extends BriefVerdict = VerdictAnswer> {
  readonly address: string;
  readonly pool: string | null;
  readonly protocol: Protocol | null;
  readonly owner: string | null;
  readonly announced: boolean;
  readonly verdict: V;
}

export interface SpeakerServices<V extends BriefVerdict = VerdictAnswer> {
  readonly node: string;
  /** Resources that it has to see before it announces anything; undefined in answers of earlier versions. */
  readonly missing?: readonly string[];
  readonly services: readonly {
    readonly service: string;
    readonly addresses: readonly PlacedAddress<V>[];
    /** Undefined in answers about several Services, and of earlier versions. */
    readonly endpoints?: readonly EndpointsOnNode[];
    readonly verdict: V;
  }[];
}

/** How many endpoints of a Service there are on one node. */
export interface EndpointsOnNode {
  /** Undefined where the API has none. */
  readonly nodeName?: string;
  readonly ready: number;
  readonly draining: number;
}

/** Speakers say only of some facts what they are. */
export interface PoolAnswer extends Pick<PoolFacts, "pool" | "protocol">, Partial<Omit<PoolFacts, "pool" | "protocol">> {
  readonly verdict: VerdictAnswer;
  /** Its next-hop slots that nodes answer for; undefined where it has none, and of the controller. */
  readonly slots?: readonly { readonly address: string; readonly node: string }[];
}

/** How one node found an address on the wire and on itself, or why it did not try. */
export interface ProbeAnswer {
  readonly node: string;
  readonly why?: string;
  readonly attempts?: readonly ProbeAttempt[];
  /** Whether the node announces it. */
  readonly isHere?: boolean;
  /** The findings of an announcing node about itself; null where it has nothing to connect to. */
  readonly own?: {
    readonly service: string;
    readonly port: number;
    readonly connection: Connected;
    /** Absent where the API does not say them. */
    readonly endpoints?: readonly {
      readonly address: string;
      readonly port: number;
      readonly node?: string;
      readonly connection: Connected;
    }[];
  } | null;
}

type Connected = "accepts" | "refuses" | "unreachable" | "silent";

/** An attempt at one address through the node that announces it. */
export interface ProbeAttempt {
  readonly owner: string;
  /** Why there was none; all other fields are absent then. */
  readonly why?: string;
  readonly address?: string;
  /** The node passes packets on that come to an address of its own, as a router sends them. */
  readonly isRouted?: boolean;
  readonly interface?: string;
  readonly port?: number | null;
  readonly answeredBy?: readonly { readonly mac: string; readonly node: string | null }[];
  readonly connection?: Connected | null;
  readonly largest?: { readonly octets: number; readonly arrives: boolean } | null;
  /** Null where nothing is wrong. */
  readonly verdict?: VerdictAnswer | null;
}

/** A part of a round through all addresses that one node is to try. */
export interface ProbeRoundAnswer {
  readonly node: string;
  readonly why?: string;
  readonly tried?: number;
  readonly faults?: readonly ProbeAttempt[];
  /** Null at the end. */
  readonly next?: number | null;
}

export interface PoolsAnswer {
  readonly leader?: boolean;
  readonly pools: readonly PoolAnswer[];
}

export interface ConfigurationAnswer {
  readonly version: string;
  readonly leader?: boolean;
  readonly hash: string | null;
  /** Both undefined in answers of earlier versions. */
  readonly inForceSince?: string | null;
  readonly seen?: string | null;
  readonly verdict: VerdictAnswer;
}

export interface NodeAnswer {
  readonly node: string;
  /** Where the node can announce addresses that have one owner; null where it reports that to nobody. */
  readonly reachability?: Reachability | null;
  readonly verdicts: readonly VerdictAnswer[];
}

interface Reachability {
  readonly answers: boolean;
  /** Undefined in answers of earlier versions. */
  readonly hasKernelAccess?: boolean;
  readonly interfaces: Readonly<Record<string, readonly string[]>>; // name -> subnets
}

export interface VerdictsAnswer {
  readonly version?: string;
  readonly node?: string;
  /** How often the speaker tried an address on the wire. Controllers and earlier versions do not say it. */
  readonly selfTested?: number;
  readonly verdicts: readonly VerdictEntry[];
}

/** The name for people, such as `tor-a (10.0.0.1:179)` for a peer that has a name. */
export function titleOf({ name, peerName }: Pick<VerdictEntry, "name" | "peerName">): string {
  return peerName === undefined ? name : `${peerName} (${name})`;
}

export interface MembersAnswer {
  readonly source: string;
  readonly timing?: string;
  readonly members: readonly {
    readonly node: string;
    readonly status: string;
    readonly active: boolean;
    readonly roundTripMs?: number;
  }[];
}

export type PeersAnswer = readonly {
  readonly peer: string;
  readonly name?: string;
  readonly state?: string;
  readonly prefixesWanted: number;
  readonly prefixesAnnounced?: number;
  readonly flaps?: number;
}[];

export type BfdSessionsAnswer = readonly {
  readonly peer: string;
  readonly local?: string;
  readonly interface?: string;
  readonly profile: string;
  readonly verdict: string;
  readonly reason: string;
  readonly since?: string;
  readonly session?: { readonly detectionMs: number; readonly echoRoundTripMs?: number };
}[];

export interface ConflictsAnswer {
  readonly occupied: readonly {
    readonly address: string;
    readonly mac: string;
    readonly node: string;
    readonly since: string;
  }[];
}

export interface HandoversAnswer {
  /** To whom the node hands packets of connections that it does not know. */
  readonly current: readonly { readonly address: string; readonly from: string; readonly until: string }[];
  /** Open connections to addresses that another node owns now; null until they have been counted. */
  readonly served: readonly { readonly address: string; readonly connections: number | null; readonly until: string }[];
}

/** A verdict, and on what. */
export interface Explained {
  readonly about: string;
  readonly verdict: VerdictAnswer;
}

export interface UnusedAddress {
  /** `foreign`: in no pool; `occupied`: another host has it; `avoided`: never given, because of avoid-buggy-ips. */
  readonly is: "free" | "reserved" | "occupied" | "avoided" | "slot" | "foreign";
  readonly pool: string | null;
}

/** All verdicts on one subject. */
export interface Explanation {
  readonly explained: readonly Explained[];
  readonly unreachable: readonly Unreachable[];
  /** The text if there are no verdicts. */
  readonly none: string;
  /** An address that no Service has, and why. */
  readonly address?: UnusedAddress;
  /** The endpoints of the Service, where a speaker says them. */
  readonly endpoints?: readonly EndpointsOnNode[] | undefined;
}
