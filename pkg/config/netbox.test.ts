import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "./index.ts";

const text = (netbox: string, pool = "") => `address-pools:
- name: dc1
  protocol: layer2
  addresses: [198.51.100.0/24, 203.0.113.10-203.0.113.20]
${pool}  netbox:
    url: https://netbox.example.com
    token-secret: {name: netbox}
    tags: [k8s]
${netbox}`;

test("a pool's NetBox is read, with what it is where nothing is said", () => {
  const { config, problems } = parseConfig(text(""));
  assert.deepEqual(problems, []);
  const { ranges, ...rest } = config?.pools[0]?.netbox ?? assert.fail("there is none");
  assert.deepEqual(ranges.map(String), ["198.51.100.0-198.51.100.255", "203.0.113.10-203.0.113.20"]);
  assert.deepEqual(rest, {
    url: "https://netbox.example.com",
    token: { name: "netbox", key: "token" },
    mode: "record",
    tags: ["k8s"],
    tenant: undefined,
    role: undefined,
    onRelease: "delete",
  });
});

test("prefix names one part of the pool, which NetBox chooses from", () => {
  for (const [prefix, ranges] of [
    ["198.51.100.128/25", ["198.51.100.128-198.51.100.255"]],
    ["203.0.113.11-203.0.113.12", ["203.0.113.11-203.0.113.12"]],
  ] as const) {
    const { config, problems } = parseConfig(text(`    mode: allocate\n    prefix: ${prefix}\n`));
    assert.deepEqual(problems, []);
    assert.deepEqual(config?.pools[0]?.netbox?.ranges.map(String), ranges);
  }
});

const refused: readonly (readonly [netbox: string, pool: string, place: string, says: RegExp])[] = [
  ["    prefix: 198.51.100.0/25\n", "", "9:5", /only with "mode: allocate"/],
  [
    "    mode: allocate\n    prefix: 192.0.2.0/25\n",
    "",
    "10:13",
    /"192\.0\.2\.0\/25" is not in one entry of this pool's addresses/,
  ],
  ["    mode: allocate\n    prefix: 198.51.100.1\n", "", "10:13", /must be a CIDR or a range/],
  ["    mode: allocate\n", "  avoid-buggy-ips: true\n", "10:11", /not with avoid-buggy-ips/],
  ["    mode: allocate\n", "  reserved: [198.51.100.7]\n", "10:11", /not with reserved/],
  ["    tenant: two words\n", "", "9:13", /no slug of NetBox is "two words"/],
  ["    role: loopback\n", "", "9:11", /must be "anycast" or "vip" or/],
  ["    on-release: forget\n", "", "9:17", /must be "delete" or "deprecate" or "keep"/],
];
for (const [netbox, pool, place, says] of refused)
  test(`refused: ${netbox.trim().replace("\n", ";")} ${pool.trim()}`, () => {
    const [first, ...more] = parseConfig(text(netbox, pool)).problems;
    assert.deepEqual(more, []);
    assert.match(first?.message ?? "", says);
    assert.equal(`${first?.line}:${first?.column}`, place);
  });

const urls: readonly (readonly [url: string, says: RegExp])[] = [
  ["netbox.example.com", /must be a URL such as/],
  ["ftp://netbox.example.com", /must be a URL such as/],
  ["https://me:secret@netbox.example.com", /must not hold a password: the token is in a Secret/],
  ["ftp://me:secret@netbox.example.com", /must not hold a password: the token is in a Secret/],
  ["https://netbox.example.com/?x=1", /must end before "\?" and "#"/],
  ["https://netbox.example.com/api/", /leave out "\/api"/],
  ["http://netbox.example.com", /use https/],
];
for (const [url, says] of urls)
  test(`the URL ${url} is reported`, () => {
    const { problems } = parseConfig(text("").replace("https://netbox.example.com", url));
    assert.equal(problems.length, 1);
    assert.match(problems[0]?.message ?? "", says);
  });
