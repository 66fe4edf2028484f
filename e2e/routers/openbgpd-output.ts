import { communityText, originOf } from "./communities.ts";
import type { NeighbourStatus, Route } from "./router.ts";
import { sessionState } from "./session-state.ts";

interface OpenbgpdPath {
  readonly prefix: string;
  readonly aspath: string;
  readonly exit_nexthop: string;
  readonly neighbor: { readonly remote_addr: string };
  readonly best?: boolean;
  readonly stale?: boolean;
  readonly origin: string;
  readonly metric: number;
  readonly localpref: number;
  readonly communities?: readonly string[];
  readonly extended_communities?: readonly string[];
  readonly large_communities?: readonly string[];
}

/** `bgpctl -j show rib detail`; of own networks nothing. */
export function parseOpenbgpdRoutes(json: string): Route[] {
  const { rib = [] } = JSON.parse(json) as { rib?: OpenbgpdPath[] };
  return rib.filter(({ neighbor }) => neighbor.remote_addr !== "???").map(route);
}

function route(path: OpenbgpdPath): Route {
  const { prefix, neighbor, aspath, localpref, metric } = path;
  return {
    prefix,
    from: neighbor.remote_addr,
    nextHops: [path.exit_nexthop],
    asPath: aspath === "" ? [] : aspath.split(" ").map(Number),
    origin: originOf(path.origin),
    med: metric === 0 ? undefined : metric, // It does not tell 0 from none.
    localPref: localpref,
    communities: (path.communities ?? []).map(communityText),
    largeCommunities: path.large_communities ?? [],
    linkBandwidth: undefined,
    best: path.best ?? false,
    stale: path.stale ?? false,
  };
}

interface OpenbgpdNeighbour {
  readonly remote_addr: string;
  readonly state: string;
  readonly last_updown_sec: number;
  readonly last_error?: string;
  readonly last_shutdown_reason?: string;
  readonly stats: { readonly prefixes: { readonly received: number } };
}

/** `bgpctl -j show neighbor` */
export function parseOpenbgpdNeighbours(json: string): NeighbourStatus[] {
  const { neighbors = [] } = JSON.parse(json) as { neighbors?: OpenbgpdNeighbour[] };
  return neighbors.map(({ remote_addr, state, last_updown_sec, last_error, last_shutdown_reason, stats }) => ({
    address: remote_addr,
    state: sessionState(state),
    seconds: last_updown_sec < 0 ? undefined : last_updown_sec,
    lastError: last_shutdown_reason ?? last_error,
    prefixes: stats.prefixes.received,
  }));
}
