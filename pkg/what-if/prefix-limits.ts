import { families } from "#pkg/net";
import { placeAll } from "./place-all.ts";
import { peersOf, type Route } from "./place-by-bgp.ts";
import type { ClusterState } from "./state.ts";

/** Sessions that a router would end, because they carry more prefixes than `maximum-prefix` of the peer, in sentences. */
export function overPrefixLimits(state: ClusterState): readonly string[] {
  const { config, central } = state;
  if (config.peers.every(({ maximumPrefix }) => maximumPrefix === undefined)) return [];
  const routes = [...placeAll(state).routes.values()];
  const found = new Set<string>();
  for (const [speaker, peers] of peersOf(state))
    for (const { key, peer } of peers) {
      const limit = peer.maximumPrefix ?? Infinity;
      const isCentral = central.includes(speaker);
      const carried = routes.filter((route) => route.peer === key && (isCentral || route.nodes.has(speaker)));
      for (const family of families) {
        const ofFamily = carried.filter(({ prefix }) => prefix.includes(":") === (family === "IPv6"));
        const byPrefix = [...Map.groupBy(ofFamily, ({ prefix }) => prefix).values()];
        // To a router each path counts (RFC 7911).
        const hasPaths = peer.addPath && (isCentral || ofFamily.some(({ slots }) => slots > 0));
        const count = hasPaths ? byPrefix.reduce((sum, same) => sum + pathsOf(same, central, isCentral), 0) : byPrefix.length;
        const what = `${count} ${family} ${hasPaths ? "paths" : "prefixes"}`;
        if (count > limit) found.add(`${key} would get ${what} and takes ${limit} (maximum-prefix): it would end the session`);
      }
    }
  return [...found];
}

/**
 * The number of a speaker's paths to one prefix. A central speaker has one to each node, to each slot, or to the next hop that an advertisement
 * has in the place of nodes. Two nodes have a path to each slot, so that one of them has at least so many.
 */
function pathsOf(routes: readonly Route[], central: readonly string[], isCentral: boolean): number {
  const [{ slots, nodes } = { slots: 0, nodes: new Set() }] = routes;
  if (!isCentral) return slots === 0 ? 1 : Math.min(slots, Math.ceil((2 * slots) / nodes.size));
  return (
    slots || Math.max(1, new Set(routes.flatMap((route) => [...route.nodes].filter((node) => !central.includes(node)))).size)
  );
}
