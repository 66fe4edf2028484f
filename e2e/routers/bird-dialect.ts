import type { Family } from "#pkg/net";
import { familiesOf, familyOf, holdTimeOf, type Neighbor, quoted, type RouterConfiguration, scoped } from "./configuration.ts";
import { float32, isLinkBandwidth, type NeighborStatus, originOf, type Route, sessionState } from "./router.ts";

/** The name of BIRD's protocol for the neighbor at this index, spelled as in the captures in testdata/. */
export function birdProtocol(index: number): string {
  return `neighbour${index + 1}`;
}

const channels: Readonly<Record<Family, string>> = { IPv4: "ipv4", IPv6: "ipv6" };

/** `bird.conf` of BIRD 2. BGP's routes go to the kernel; the kernel's own ones resolve next hops behind routers. */
export function birdConfiguration(configuration: RouterConfiguration): string {
  const { routerId, neighbors, kernel = true, multipath = 1, networks = [] } = configuration;
  const kernelTable = (family: Family): string => `protocol kernel {
  learn;
  merge paths on limit ${multipath};
  ${channels[family]} { import all; export where source = RTS_BGP; };
}`;
  const own = (family: Family): string => {
    const routes = networks.filter((prefix) => familyOf(prefix) === family);
    return `protocol static networks_${channels[family]} {
  ${channels[family]};
${routes.map((prefix) => `  route ${prefix} blackhole;\n`).join("")}}`;
  };
  const parts = [
    "log stderr all;",
    `router id ${routerId};`,
    "protocol device { scan time 1; }",
    "protocol direct { ipv4; ipv6; }",
    ...(kernel ? [kernelTable("IPv4"), kernelTable("IPv6")] : []),
    own("IPv4"),
    own("IPv6"),
    "protocol bfd {}",
    ...neighbors.map((neighbor, index) => protocol(neighbor, birdProtocol(index), configuration)),
  ];
  return `${parts.join("\n")}\n`;
}

function protocol(neighbor: Neighbor, name: string, { asn: ownAsn, confederation }: RouterConfiguration): string {
  const { address, asn, passive, multihop, ttlSecurityHops, password, extendedNextHop, fourOctetAsn = true, bfd } = neighbor;
  const { ip, interfaceName } = scoped(address);
  const { hold, keepalive } = holdTimeOf(neighbor);
  const { gracefulRestart = true, maxPrefixes, errorWaitSeconds = 1, accepts = true } = neighbor;
  // BIRD counts in hops what others count in TTL, and with TTL security the hops are those.
  const hops = ttlSecurityHops ?? multihop;
  const lines = [
    `local as ${ownAsn}`,
    confederation !== undefined && `confederation ${confederation.asn}`,
    confederation?.members.includes(asn) && "confederation member yes",
    `neighbor ${ip} as ${asn}`,
    interfaceName !== undefined && `interface ${quoted(interfaceName)}`,
    hops === undefined || hops === 1 ? "direct" : `multihop ${hops}`,
    ttlSecurityHops !== undefined && "ttl security on",
    passive && "passive on",
    password !== undefined && `password ${quoted(password)}`,
    `hold time ${hold}`,
    `keepalive time ${keepalive}`,
    // Most tests do not wait for the minute that BIRD gives a neighbor to think about its errors.
    ...["connect delay time 1", "connect retry time 1", `error wait time ${errorWaitSeconds}, ${errorWaitSeconds}`],
    `graceful restart ${gracefulRestart ? "on" : "off"}`,
    neighbor.role !== undefined && `local role ${neighbor.role.own}`,
    neighbor.role?.strict && "require roles on",
    neighbor.longLived && "long lived graceful restart on",
    !fourOctetAsn && "enable as4 off",
    bfd !== undefined && `bfd { interval ${bfd.intervalMs} ms; multiplier ${bfd.multiplier}; }`,
    ...familiesOf(neighbor).map((family) => {
      const next = extendedNextHop && family === "IPv4" ? " extended next hop on;" : "";
      const limit = maxPrefixes === undefined ? "" : ` import limit ${maxPrefixes} action disable;`;
      const paths = neighbor.addPath ? " add paths rx;" : "";
      return `${channels[family]} { import ${accepts ? "all" : "none"};${limit} export where proto = "networks_${channels[family]}";${next}${paths} }`;
    }),
  ];
  const text = lines.filter((line) => typeof line === "string").map((line) => `  ${line};\n`);
  return `protocol bgp ${name} {\n${text.join("")}}`;
}

/** One BGP protocol as BIRD prints it, under its name there. */
export interface BirdProtocol extends Omit<NeighborStatus, "address"> {
  readonly name: string;
  /** The neighbor is away and its routes are kept. */
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
      lastError: [field(/^ +Last error: +(.+)/m), field(/^ +Message: +(.+)/m)].filter(Boolean).join(": ") || undefined,
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
