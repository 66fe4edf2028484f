/**
 * A session of `pkg/bgp` alone, for `paths.bench.ts`: announces addresses from 10.1.0.0 on, each by way of some hosts, to the peers of a
 * configuration. `node paths-sender.ts CONFIG ADDRESSES PATHS`
 */
import { PeerSession, type RouteAttributes, RoutesOut, tcpTransport } from "#pkg/bgp";
import { Portions, SystemClock, systemRandom } from "#pkg/clock";
import { parseConfig, sessionSettings } from "#pkg/config";
import { reached } from "#pkg/config/testing";
import { createLog } from "#pkg/log";
import { Address, Prefix, parseAddress } from "#pkg/net";

const [, , text = "", addresses = "0", count = "0"] = process.argv;
const paths = new Map<number, RouteAttributes>();
for (let path = 1; path <= Number(count); path++)
  paths.set(path, {
    localPref: undefined,
    med: undefined,
    asPathPrepend: 0,
    communities: [],
    largeCommunities: [],
    linkBandwidth: undefined,
    nextHop: parseAddress(`172.30.2.${path}`),
  });
const clock = new SystemClock();
const routes = new RoutesOut();
const first = parseAddress("10.1.0.0")?.value ?? 0n;
for (let index = 0; index < Number(addresses); index++)
  routes.advertisePaths(new Prefix(new Address("IPv4", first + BigInt(index)), 32), paths);
for (const peer of parseConfig(text).config?.peers ?? [])
  new PeerSession({
    settings: sessionSettings(reached(peer), undefined),
    routes,
    node: "sender",
    restarting: false,
    forwardingPreserved: true,
    transport: tcpTransport,
    portions: new Portions(clock, 4),
    clock,
    random: systemRandom,
    log: createLog("info"),
  }).start();
