/**
 * A speaker of BGP alone, for `add-path.test.ts`: announces one IPv4 and one IPv6 address by way of three hosts, .101 to .103, each with its own
 * path identifier, to the peers of a configuration; or by way of some of them. On SIGUSR2 the second path goes. `node path-announcer.ts CONFIG [1,3]`
 */
import { PeerSession, type RouteAttributes, RoutesOut, tcpTransport } from "#pkg/bgp";
import { Portions, SystemClock, systemRandom } from "#pkg/clock";
import { parseConfig, sessionSettings } from "#pkg/config";
import { reached } from "#pkg/config/testing";
import { createLog } from "#pkg/log";
import { type Address, parseAddress, parsePrefix } from "#pkg/net";

const clock = new SystemClock();
const log = createLog("info");
const all = { "198.51.100.1/32": "10.0.0.10", "2001:db8:1::1/128": "fd00::10" } as const; // prefix -> its next hops but for the last digit

/** One object for each next hop: routes with the same one travel together. */
const attributes = new Map<string, RouteAttributes>();

function via(text: string): RouteAttributes {
  const nextHop: Address | undefined = parseAddress(text);
  const found = attributes.get(text) ?? {
    localPref: undefined,
    med: undefined,
    asPathPrepend: 0,
    communities: [],
    largeCommunities: [],
    linkBandwidth: undefined,
    nextHop,
  };
  attributes.set(text, found);
  return found;
}

function announce(routes: RoutesOut, paths: readonly number[]): void {
  for (const [text, hop] of Object.entries(all)) {
    const prefix = parsePrefix(text);
    if (prefix !== undefined) routes.advertisePaths(prefix, new Map(paths.map((path) => [path, via(`${hop}${path}`)])));
  }
}

const [, , text = "", paths = "1,2,3"] = process.argv;
const { config } = parseConfig(text);
for (const peer of config?.peers ?? []) {
  const routes = new RoutesOut();
  announce(routes, paths.split(",").map(Number));
  const session = new PeerSession({
    settings: sessionSettings(reached(peer), undefined),
    routes,
    node: "announcer",
    restarting: false,
    forwardingPreserved: true,
    transport: tcpTransport,
    portions: new Portions(clock, 4),
    clock,
    random: systemRandom,
    log: log.with({ peer: `${peer.address}` }),
  });
  session.start();
  process.on("SIGUSR2", () => {
    announce(routes, [1, 3]);
    session.routesChanged();
  });
}
