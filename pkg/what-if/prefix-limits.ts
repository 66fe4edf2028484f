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
      const carried = routes.filter((route) => route.peer === key && (central.includes(speaker) || route.nodes.has(speaker)));
      for (const family of families) {
        const ofFamily = carried.filter(({ prefix }) => prefix.includes(":") === (family === "IPv6"));
        const byPrefix = [...Map.groupBy(ofFamily, ({ prefix }) => prefix).values()];
        // To a router each path counts (RFC 7911).
        const hasPaths = peer.addPath && central.includes(speaker);
        const count = hasPaths ? byPrefix.reduce((sum, same) => sum + pathsOf(same, central), 0) : byPrefix.length;
        const what = `${count} ${family} ${hasPaths ? "paths" : "prefixes"}`;
        if (count > limit) found.add(`${key} would get ${what} and takes ${limit} (maximum-prefix): it would end the session`);
      }
    }
  return [...found];
}

/** The number of a central speaker's paths to one prefix: to each node, or to the next hop that an advertisement has in the place of nodes. */
function pathsOf(routes: readonly Route[], central: readonly string[]): number {
  return Math.max(1, new Set(routes.flatMap(({ nodes }) => [...nodes].filter((node) => !central.includes(node)))).size);
}
