import type { Verdict } from "#pkg/verdict";

// What is read of the answers under /v1; docs/openapi.yaml has all of it. A process of another version may leave fields out.

export interface VerdictAnswer extends Verdict {
  readonly since: string;
}

export interface ControllerServices {
  readonly leader: boolean;
  readonly services: readonly {
    readonly service: string;
    readonly pool: string | null;
    readonly addresses: readonly string[];
    readonly verdict: VerdictAnswer;
  }[];
}

export interface PlacedAddress {
  readonly address: string;
  readonly pool: string | null;
  readonly protocol: "layer2" | "bgp" | null;
  readonly owner: string | null;
  readonly announced: boolean;
  readonly verdict: VerdictAnswer;
}

export interface SpeakerServices {
  readonly node: string;
  readonly services: readonly {
    readonly service: string;
    readonly addresses: readonly PlacedAddress[];
    readonly verdict: VerdictAnswer;
  }[];
}

export interface PoolsAnswer {
  readonly leader?: boolean;
  readonly pools: readonly {
    readonly pool: string;
    readonly protocol: string;
    readonly total?: number;
    readonly inUse?: number;
    readonly verdict: VerdictAnswer;
  }[];
}

export interface ConfigurationAnswer {
  readonly version: string;
  readonly leader?: boolean;
  readonly hash: string | null;
  readonly verdict: VerdictAnswer;
}

export interface NodeAnswer {
  readonly node: string;
  readonly verdicts: readonly VerdictAnswer[];
}

export interface VerdictsAnswer {
  readonly node?: string;
  readonly verdicts: readonly (VerdictAnswer & { readonly kind: string; readonly name: string; readonly service?: string })[];
}

export interface MembersAnswer {
  readonly source: string;
  readonly timing?: string;
  readonly members: readonly { readonly node: string; readonly status: string; readonly active: boolean }[];
}
