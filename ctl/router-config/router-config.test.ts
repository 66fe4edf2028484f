import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { fakeApi } from "../testing/api.ts";
import { ingotctl } from "../testing/ingotctl.ts";
import { configMapPath } from "../testing/small-cluster.ts";
import { dialects } from "./router-text.ts";

const configuration = `peers:
- name: rack1
  my-asn: 64500
  peer-asn: 64501
  peer-address: 10.0.0.1
  password: correct-horse
  bfd-profile: fast
  families: [ipv4, ipv6]
  ttl-security: 1
- {name: core, my-asn: 64500, peer-asn: internal, peer-address: "fd00::1"}
- {name: far, my-asn: 64500, peer-asn: 64503, peer-address: 10.9.9.9, ebgp-multihop: true}
bfd-profiles: [{name: fast, receive-interval: 250, transmit-interval: 200, detect-multiplier: 4}]
address-pools:
- name: main
  protocol: bgp
  addresses: [198.51.100.0/24, "2001:db8:1::/64"]
  bgp-advertisements: [{}, {aggregation-length: 24, aggregation-length-v6: 64, peers: [rack1]}]
- {name: odd, protocol: bgp, addresses: [203.0.113.10-203.0.113.12]}
- {name: lan, protocol: layer2, addresses: [10.0.0.200/29]}
`;
const nodes = "--nodes=10.0.0.11,10.0.0.12,fd00::11";

const write = (args: string, stdin = configuration) => ingotctl(`router-config ${args} -`, { stdin });

suite("router-config", () => {
  for (const name of Object.keys(dialects))
    test(`${name}: is written as the example in testdata`, async () => {
      const { status, out, err } = await write(`--for=${name} ${nodes}`);
      const isLossy = ["junos", "mikrotik"].includes(name); // They have no ttl-security.
      assert.deepEqual([status, err === ""], [isLossy ? 3 : 0, !isLossy]);
      assert.ok(!out.includes("correct-horse"));
      assert.equal(out, readFileSync(new URL(`./testdata/${name}.txt`, import.meta.url), "utf8"));
    });

  test("one peer alone, by its name or address", async () => {
    for (const peer of ["far", "10.9.9.9"]) {
      const { out } = await write(`--for=junos --peer=${peer} ${nodes}`);
      assert.match(out, /peer-as 64500/);
      assert.match(out, /autonomous-system 64503/);
      assert.doesNotMatch(out, /rack1|core/);
    }
  });

  const peer = (fields: string) => `peers: [{my-asn: 64500, peer-address: 10.0.0.1, ${fields}}]\n`;
  const cases: readonly { text: string; args?: string; status: number; says: RegExp }[] = [
    { text: "{}", status: 2, says: /the configuration has no peers/ },
    { text: configuration, args: "--peer=rack9", status: 2, says: /no peer "rack9"; there are rack1, core, far/ },
    { text: "peers: 5", status: 1, says: /the configuration is not valid; "ingotctl validate -" says why/ },
    { text: configuration, args: "--asn=0", status: 2, says: /--asn "0" is no AS number/ },
    { text: peer("peer-asn: external"), status: 3, says: /peer 10\.0\.0\.1: .*give the router's AS number with --asn/ },
    { text: peer("peer-asn: external"), args: "--asn=64999", status: 0, says: /^$/ },
    { text: peer("peer-asn: 64501, disabled: true"), status: 3, says: /it is disabled/ },
    {
      text: peer("peer-asn: 64501, node-selectors: [{match-labels: {rack: a}}]"),
      status: 3,
      says: /the labels of its node-selectors are not known of addresses in --nodes/,
    },
    { text: peer("peer-asn: 64501, source-interface: eth1"), status: 3, says: /addresses on eth1 are not known here/ },
  ];
  for (const { text, args = "", status, says } of cases)
    test(`${JSON.stringify(text === configuration ? args : text)}: ${status}, ${says.source}`, async () => {
      const printed = await write(`--for=frr ${nodes} ${args}`.trim(), text);
      assert.equal(printed.status, status, printed.err);
      assert.match(printed.err, says);
      if (status === 3) assert.match(printed.out, /^! Left out: /m);
    });

  test("with central speakers the neighbors are their nodes, and an address has a path to each node by each of them", async () => {
    const pod = (component: string, nodeName: string, announceFor: string, phase = "Running") => ({
      metadata: { name: `${component}-${nodeName}`, labels: { app: "metallb", component } },
      spec: { nodeName, containers: [{ name: "speaker", args: [`--announce-for=${announceFor}`] }] },
      status: { phase },
    });
    const names = Array.from({ length: 8 }, (_, index) => `n${index + 1}`);
    const central = [
      ...["n2", "n7"].map((node) => pod("central-speaker", node, "all")),
      pod("central-speaker", "n4", "all", "Failed"),
    ];
    const ofNodes = names.map((node) => pod("speaker", node, "node-without-bgp"));
    const config = `peers:
- {my-asn: 64500, peer-asn: 64501, peer-address: 10.0.0.1, add-path: true}
- {name: rack, my-asn: 64500, peer-asn: 64502, peer-address: 10.0.0.2, node-selectors: [{match-labels: {rack: a}}]}
`;
    const stored = {
      [configMapPath]: { metadata: { name: "config" }, data: { config } },
      "/api/v1/nodes": names.map((name, index) => ({
        metadata: { name, labels: { rack: index < 3 ? "a" : "b" } },
        status: { addresses: [{ type: "InternalIP", address: `10.0.0.1${index + 1}` }] },
      })),
    };
    for (const pods of [[...central, ...ofNodes], central]) {
      const api = fakeApi({ ...stored, "/api/v1/namespaces/metallb-system/pods": pods });
      const { out, err, status } = await ingotctl("router-config --for=frr", { api });
      assert.deepEqual([status, err], [0, ""]);
      const neighbors = [...out.matchAll(/neighbor (\S+) description (\S+)/g)].map(([, address, name]) => `${name} ${address}`);
      assert.deepEqual(neighbors, ["n2 10.0.0.12", "n7 10.0.0.17", "n2 10.0.0.12", "n7 10.0.0.17"]);
      assert.deepEqual(new Set(out.match(/maximum-paths \d+/g)), new Set(["maximum-paths 16", "maximum-paths 6"]));
      assert.match(out, /! Its neighbors are the nodes on which central speakers run now/);
    }
  });

  test("add-path: the router takes several paths in one session, or the text says that this is left out", async () => {
    const text = peer("peer-asn: 64501, add-path: true");
    const lines: Readonly<Record<string, RegExp>> = {
      bird: /^ {2}ipv4 \{ add paths rx; import filter /m,
      openbgpd: /^ {2}announce add-path recv yes$/m,
      gobgp: /^\[neighbors\.add-paths\.config\]\nreceive = true$/m,
    };
    const byItself = ["frr", "openwrt", "vyos", "unifi", "opnsense", "pfsense"];
    for (const router of Object.keys(dialects)) {
      const { out, err, status } = await write(`--for=${router} ${nodes}`, text);
      const isWritten = lines[router] !== undefined || byItself.includes(router);
      assert.equal(status, isWritten ? 0 : 3, router);
      assert.match(isWritten ? out : err, lines[router] ?? (isWritten ? /./ : /several paths to an address in one session/));
    }
  });

  test("ttl-security: the router has it, too, or the text says that this is left out", async () => {
    const upTo: Readonly<Record<string, number>> = { junos: 0, mikrotik: 0, openbgpd: 1 };
    for (const router of Object.keys(dialects))
      for (const hops of [1, 3]) {
        const { out, err, status } = await write(`--for=${router} ${nodes}`, peer(`peer-asn: 64501, ttl-security: ${hops}`));
        const isWritten = hops <= (upTo[router] ?? 254);
        assert.equal(status, isWritten ? 0 : 3, router);
        assert.match(isWritten ? out : err, isWritten ? /ttl[ -]security/ : /ttl-security: without it the nodes drop/);
      }
  });

  test("more nodes than the router takes paths: it gets as many as it takes, which the text says", async () => {
    const many = `--nodes=${Array.from({ length: 300 }, (_, index) => `10.0.${index >> 8}.${index & 255}`).join()}`;
    const most: Readonly<Record<string, number>> = { frr: 256, bird: 255, ios: 32, vyos: 256, eos: 300 };
    for (const [router, paths] of Object.entries(most)) {
      const { out, err, status } = await write(`--for=${router} ${many}`, peer("peer-asn: 64501"));
      assert.match(out, new RegExp(`(maximum-paths (ebgp )?|limit )${paths}\\b`));
      assert.equal(status, paths < 300 ? 3 : 0, router);
      assert.equal(err.includes(`300 paths to an address, of which the router takes ${paths}`), paths < 300);
    }
  });

  test("routes of a family without pools stay out: no list, which is not there, is asked", async () => {
    const text = `${peer("peer-asn: 64501, name: tor")}address-pools: [{name: a, protocol: bgp, addresses: [198.51.100.0/24]}]\n`;
    const lines: Readonly<Record<string, RegExp>> = {
      ios: /^route-map ingot-tor-ipv6 deny 10$/m,
      eos: /^route-map ingot-tor-ipv6 deny 10$/m,
      frr: /^route-map ingot-tor-ipv6 deny 10$/m,
      gobgp:
        /^neighbor-set = "ingot-tor"\n.*bgp-conditions\]\nafi-safi-in-list = \["ipv6-unicast"\]\n.*\nroute-disposition = "reject-route"$/m,
    };
    for (const router of Object.keys(dialects)) {
      const { out } = await write(`--for=${router} ${nodes}`, text);
      assert.doesNotMatch(out, /prefix-list6? ingot-tor-ipv6|prefix-set(-name)? = "ingot-tor-ipv6"/, router);
      assert.match(out, lines[router] ?? /198\.51\.100\.0/);
      const none = (await write(`--for=${router} ${nodes}`, peer("peer-asn: 64501, name: tor"))).out;
      if (/vyos|edgeos/.test(router)) assert.match(none, /route-map ingot-tor-in rule 10 action deny/);
    }
  });

  test("BIRD with BFD: over several hops it has its own address, and iBGP is over one hop", async () => {
    const cases: readonly [string, RegExp][] = [
      ["peer-asn: 64501, ebgp-multihop: true", /^ {2}local 10\.0\.0\.1 as 64501;\n {2}multihop 255;$/m],
      ["peer-asn: 64501, ttl-security: 3", /^ {2}local 10\.0\.0\.1 as 64501;\n {2}multihop 3;$/m],
      ["peer-asn: 64500", /^ {2}local as 64500;\n {2}# For nodes .*\n {2}direct;$/m],
      ["peer-asn: 64501", /^ {2}local as 64501;\n {2}direct;$/m],
    ];
    for (const [fields, lines] of cases)
      assert.match(
        (await write(`--for=bird ${nodes}`, `${peer(`${fields}, bfd-profile: f`)}bfd-profiles: [{name: f}]\n`)).out,
        lines,
      );
  });

  test("a role of the nodes needs one of the router, which the text says", async () => {
    const { err, status } = await write(`--for=frr ${nodes}`, peer("peer-asn: 64501, role: customer, role-strict: true"));
    assert.equal(status, 3);
    assert.match(err, /peer 10\.0\.0\.1: the router's role, provider \(RFC 9234\)/);
  });

  test("with add-path a router takes each next-hop slot", async () => {
    const pools = "address-pools: [{name: a, protocol: bgp, addresses: [198.51.100.0/24], next-hop-slots: 10.0.0.192/27}]\n";
    const paths = async (fields: string) =>
      /maximum-paths \d+/.exec((await write(`--for=frr ${nodes}`, peer(`peer-asn: 64501, ${fields}`) + pools)).out)?.[0];
    assert.deepEqual([await paths("add-path: true"), await paths("add-path: false")], ["maximum-paths 32", "maximum-paths 2"]);
  });

  test("what lets in an aggregate with addresses beside a range is no narrower than the aggregate", async () => {
    const pools =
      "address-pools: [{name: a, protocol: bgp, addresses: [198.51.100.1-198.51.100.6], bgp-advertisements: [{aggregation-length: 31}]}]\n";
    const { out } = await write(`--for=frr ${nodes}`, peer("peer-asn: 64501") + pools);
    assert.deepEqual(out.match(/permit .*$/gm)?.slice(0, 4), [
      "permit 198.51.100.0/31",
      "permit 198.51.100.2/31",
      "permit 198.51.100.4/31",
      "permit 198.51.100.6/31",
    ]);
  });

  test("arguments that do not go together", async () => {
    assert.match((await write(nodes)).err, /name the router with --for, one of frr, bird/);
    assert.match((await write("--for=frr")).err, /name the nodes' addresses with --nodes/);
    assert.match((await write("--for=frr --nodes=10.0.0.300")).err, /--nodes: "10\.0\.0\.300" is no address/);
  });

  test("names of peers reach the router as plain words, and no two as the same one", async () => {
    const names = ["rack-2", "Rack", "rack", 'x\\" }\\nneighbor 0.0.0.0', "!", "?"];
    const peers = names.map(
      (name, index) => `- {name: "${name}", my-asn: 64500, peer-asn: 64501, peer-address: 10.0.1.${index + 1}}`,
    );
    for (const router of Object.keys(dialects)) {
      const { out } = await write(`--for=${router} ${nodes}`, `peers:\n${peers.join("\n")}\n`);
      const titles = out.split("\n").flatMap((line) => /^[#!] (ingot-\S+): the router with/.exec(line)?.[1] ?? []);
      assert.equal(new Set(titles).size, names.length, titles.join());
      for (const title of titles) assert.match(title, /^ingot-[a-z0-9-]+$/);
      assert.doesNotMatch(out, /0\.0\.0\.0/);
    }
  });
});
