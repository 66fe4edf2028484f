import assert from "node:assert/strict";
import { test } from "node:test";
import { birdConfiguration } from "./bird-dialect.ts";
import type { Neighbor, RouterConfiguration } from "./configuration.ts";
import { frrConfiguration } from "./frr-dialect.ts";
import { gobgpConfiguration } from "./gobgp-dialect.ts";
import { openbgpdConfiguration } from "./openbgpd-dialect.ts";

const dialects: Readonly<Record<string, (configuration: RouterConfiguration) => string>> = {
  FRR: frrConfiguration,
  BIRD: birdConfiguration,
  GoBGP: gobgpConfiguration,
  OpenBGPD: (configuration) => openbgpdConfiguration(configuration, "/run/socket"),
};

const withNeighbor = (neighbor: Partial<Neighbor>): RouterConfiguration => ({
  asn: 65000,
  routerId: "10.0.0.1",
  neighbors: [{ address: "10.0.0.2", asn: 65001, ...neighbor }],
});

const renderings: readonly {
  what: string;
  neighbor: Partial<Neighbor>;
  lines: Readonly<Record<string, readonly string[] | RegExp>>;
}[] = [
  {
    what: "a password, a short hold time and no connecting",
    neighbor: { password: "a-b", holdTimeSeconds: 3, passive: true },
    lines: {
      FRR: ["password a-b", "timers 1 3", "neighbor 10.0.0.2 passive"],
      BIRD: ['password "a-b";', "hold time 3;", "keepalive time 1;", "passive on;"],
      GoBGP: ['auth-password = "a-b"', "hold-time = 3", "keepalive-interval = 1", "passive-mode = true"],
      OpenBGPD: ['tcp md5sig password "a-b"', "holdtime 3", "passive"],
    },
  },
  {
    what: "TTL security for a neighbor on the link",
    neighbor: { ttlSecurityHops: 1 },
    lines: {
      FRR: ["ttl-security hops 1"],
      BIRD: ["direct;", "ttl security on;"],
      GoBGP: ["[neighbors.ttl-security.config]", "ttl-min = 255"],
      OpenBGPD: ["ttl-security yes"],
    },
  },
  {
    what: "TTL security over two hops",
    neighbor: { ttlSecurityHops: 2 },
    lines: {
      FRR: ["ttl-security hops 2"],
      BIRD: ["multihop 2;", "ttl security on;"],
      GoBGP: ["ttl-min = 254"],
      OpenBGPD: /one hop only/,
    },
  },
  {
    what: "a neighbor behind routers, of both families",
    neighbor: { multihop: 4, families: ["IPv4", "IPv6"] },
    lines: {
      FRR: ["ebgp-multihop 4", "address-family ipv6 unicast\n  neighbor 10.0.0.2 activate"],
      BIRD: ["multihop 4;", "ipv4 { import all;", "ipv6 { import all;"],
      GoBGP: ["multihop-ttl = 4", '"ipv4-unicast"', '"ipv6-unicast"'],
      OpenBGPD: ["multihop 4", "announce IPv4 unicast", "announce IPv6 unicast"],
    },
  },
  {
    what: "IPv6 next hops for IPv4",
    neighbor: { address: "fe80::2%eth0", families: ["IPv4"], extendedNextHop: true },
    lines: {
      FRR: ["neighbor fe80::2 interface eth0", "neighbor fe80::2 capability extended-nexthop"],
      BIRD: ["neighbor fe80::2 as 65001;", 'interface "eth0";', "extended next hop on;"],
      GoBGP: ['neighbor-address = "fe80::2%eth0"', '"ipv4-unicast"'],
      OpenBGPD: /no IPv6 next hops/,
    },
  },
  {
    what: "AS numbers of two octets only, and no graceful restart",
    neighbor: { fourOctetAsn: false, gracefulRestart: false },
    lines: {
      FRR: /four octets/,
      BIRD: ["enable as4 off;", "graceful restart off;"],
      GoBGP: /four octets/,
      OpenBGPD: ["announce as-4byte no", "announce restart no"],
    },
  },
  {
    what: "a limit of prefixes",
    neighbor: { maxPrefixes: 2 },
    lines: {
      FRR: ["neighbor 10.0.0.2 maximum-prefix 2"],
      BIRD: ["import limit 2 action disable;"],
      GoBGP: /limit of prefixes/,
      OpenBGPD: ["max-prefix 2"],
    },
  },
  {
    what: "several paths to a prefix",
    neighbor: { addPath: true },
    lines: { FRR: [], BIRD: ["add paths rx;"], GoBGP: ["receive = true"], OpenBGPD: ["announce add-path recv yes"] },
  },
  {
    what: "one path to a prefix",
    neighbor: { addPath: false },
    lines: { FRR: ["disable-addpath-rx"], BIRD: [], GoBGP: [], OpenBGPD: [] },
  },
  {
    what: "BFD",
    neighbor: { bfd: { intervalMs: 50, multiplier: 3 } },
    lines: { FRR: ["bfd 3 50 50"], BIRD: ["bfd { interval 50 ms; multiplier 3; };"], GoBGP: /no BFD/, OpenBGPD: /no BFD/ },
  },
];
for (const { what, neighbor, lines } of renderings)
  for (const [dialect, expected] of Object.entries(lines))
    test(`${dialect} is configured with ${what}, or that is refused`, () => {
      const render = () => dialects[dialect]?.(withNeighbor(neighbor)) ?? "";
      if (expected instanceof RegExp) assert.throws(render, expected);
      else for (const part of expected) assert.ok(render().includes(part), `${part} in:\n${render()}`);
    });

test("a password that a dialect cannot write is refused", () => {
  assert.throws(() => dialects.FRR?.(withNeighbor({ password: "a b" })), /no blanks/);
  for (const dialect of ["BIRD", "GoBGP", "OpenBGPD"])
    assert.throws(() => dialects[dialect]?.(withNeighbor({ password: 'a"b' })), /Cannot quote/);
});

test("all but OpenBGPD are part of a confederation", () => {
  const configuration = { ...withNeighbor({}), confederation: { asn: 64999, members: [65001, 65002] } };
  assert.match(gobgpConfiguration(configuration), /identifier = 64999\nmember-as-list = \[65001, 65002\]/);
  assert.match(frrConfiguration(configuration), / bgp confederation identifier 64999\n bgp confederation peers 65001 65002\n/);
  assert.match(birdConfiguration(configuration), / confederation 64999;\n +confederation member yes;/);
  assert.throws(() => dialects.OpenBGPD?.(configuration), /OpenBGPD has no confederations/);
});

test("networks are announced, and the kernel uses as many routes as asked", () => {
  const configuration = { ...withNeighbor({}), multipath: 3, networks: ["192.0.2.0/24", "2001:db8::/32"] };
  assert.match(frrConfiguration(configuration), /ipv4 unicast\n {2}maximum-paths 3\n {2}maximum-paths ibgp 3\n {2}network 192/);
  assert.match(
    birdConfiguration(configuration),
    /merge paths on limit 3;.*route 192.0.2.0\/24 blackhole;.*route 2001:db8::\/32/s,
  );
  assert.match(openbgpdConfiguration(configuration, "/run/socket"), /network 192.0.2.0\/24\nnetwork 2001:db8::\/32/);
});
