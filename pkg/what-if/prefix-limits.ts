import { families } from "#pkg/net";
import { placeAll } from "./place-all.ts";
import { peersOf } from "./place-by-bgp.ts";
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
        const prefixes = new Set(carried.flatMap(({ prefix }) => (prefix.includes(":") === (family === "IPv6") ? [prefix] : [])));
        if (prefixes.size > limit)
          found.add(
            `${key} would get ${prefixes.size} ${family} prefixes and takes ${limit} (maximum-prefix): it would end the session`,
          );
      }
    }
  return [...found];
}
