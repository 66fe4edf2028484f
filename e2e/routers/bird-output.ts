import { float32, isLinkBandwidth, originOf } from "./communities.ts";
import type { NeighbourStatus, Route } from "./router.ts";
import { sessionState } from "./session-state.ts";

/** What BIRD says of one BGP protocol, under its name there. */
export interface BirdProtocol extends Omit<NeighbourStatus, "address"> {
  readonly name: string;
  /** The neighbour is away and its routes are kept. */
  readonly restarting: boolean;
}

export type BirdRoute = Omit<Route, "from" | "stale"> & { readonly protocol: string };

/** The BGP protocols in `show protocols all`. */
export function parseBirdProtocols(text: string): BirdProtocol[] {
  const blocks = text.split(/\n\n/).filter((block) => /^\S+ +BGP /.test(block));
  return blocks.map((block) => {
    const field = (pattern: RegExp): string | undefined => pattern.exec(block)?.[1];
    const imported = [...block.matchAll(/^ +Routes: +(\d+) imported/gm)];
    return {
      name: field(/^(\S+)/) ?? "",
      state: sessionState(field(/^ +BGP state: +(\S+)/m) ?? ""),
      seconds: undefined, // It prints the time of day, of a clock that is not ours.
      lastError: field(/^ +Last error: +(.+)/m),
      prefixes: imported.reduce((sum, [, count]) => sum + Number(count), 0),
      restarting: block.includes("Neighbor graceful restart active"),
    };
  });
}

/** The routes of BGP in `show route all`. */
export function parseBirdRoutes(text: string): BirdRoute[] {
  const routes: BirdRoute[] = [];
  let prefix = "";
  for (const block of text.split(/\n(?=\S+ +\w+ +\[| +\w+ +\[)/)) {
    const header = /^(\S*) +\w+ +\[(\S+) [^\]]*\] *(\*)?/.exec(block);
    if (header === null) continue;
    const [, named, protocol = "", star] = header;
    prefix = named || prefix; // Further routes to a prefix do not name it again.
    if (!block.includes("Type: BGP ")) continue;
    routes.push({ prefix, protocol, best: star !== undefined, ...attributes(block) });
  }
  return routes;
}

function attributes(block: string): Omit<BirdRoute, "prefix" | "protocol" | "best"> {
  const field = (name: string): string | undefined => new RegExp(`^\\s+BGP\\.${name}: *(.*)$`, "m").exec(block)?.[1];
  const number = (name: string): number | undefined => (field(name) === undefined ? undefined : Number(field(name)));
  const tuples = (name: string): string[][] =>
    [...(field(name) ?? "").matchAll(/\(([^)]*)\)/g)].map(([, inside = ""]) => inside.split(/, */));
  const bandwidth = tuples("ext_community").find(([kind]) => isLinkBandwidth(extendedType(kind)));
  return {
    nextHops: (field("next_hop") ?? "").split(" ").filter((address) => address !== ""),
    asPath: (field("as_path") ?? "")
      .split(" ")
      .filter((asn) => asn !== "")
      .map(Number),
    origin: originOf(field("origin") ?? ""),
    med: number("med"),
    localPref: number("local_pref"),
    communities: tuples("community").map((parts) => parts.join(":")),
    largeCommunities: tuples("large_community").map((parts) => parts.join(":")),
    linkBandwidth: bandwidth === undefined ? undefined : float32(Number(bandwidth[2])),
  };
}

/** BIRD prints extended communities that it does not know as `(unknown 0x4004, 65009, 1290693416)`. */
function extendedType(kind = ""): number {
  return Number(/^unknown (0x[0-9a-f]+)$/.exec(kind)?.[1]);
}
