import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { address, prefix } from "#pkg/net/testing";
import { routeProtocolFilter } from "../codec/filter.ts";
import { decodeNetlink, type NetlinkMessage } from "../codec/netlink.ts";
import type { KernelRequest } from "../codec/netlink-requests.ts";
import { interfaceIndexOf, interfaceNameOf, NetlinkGroup, NetlinkSocket } from "../netlink-socket.ts";
import { addressesByInterface, Rtnetlink } from "../rtnetlink.ts";

// Run in a network namespace of its own, by `rtnetlink.test.ts`. The kernel may have no dummies; every one has bridges.
const errno = {
  notFound: 2,
  notPermitted: 1,
  access: 13,
  exists: 17,
  noDevice: 19,
  addressMissing: 99,
  unsupported: 95,
  noRoute: 3,
};

function ip(line: string): string {
  return execFileSync("ip", line.split(" "), { encoding: "utf8" });
}

/** The index of a new interface that is up. */
function newInterface(link: Rtnetlink, name: string): number {
  assert.deepEqual(link.perform([{ type: "createInterface", name, kind: "bridge" }]), [0]);
  return interfaceIndexOf(name) ?? assert.fail(`no ${name}`);
}

const traits = { protocol: 248, validSeconds: Infinity, hasHostScope: false, noPrefixRoute: false };

test("an interface is made and turned on; one that exists is not made again, and a kind that there is not is refused", () => {
  using link = new Rtnetlink();
  const index = newInterface(link, "made0");
  assert.match(ip("link show made0"), /NOARP.*,UP/);
  ip("link set made0 down");
  assert.deepEqual(link.perform([{ type: "setInterfaceUp", interfaceIndex: index }]), [0]);
  assert.match(ip("link show made0"), /,UP/);
  assert.deepEqual(link.perform([{ type: "createInterface", name: "made0", kind: "bridge" }]), [errno.exists]);
  assert.deepEqual(link.perform([{ type: "createInterface", name: "made1", kind: "nosuchkind" }]), [errno.unsupported]);
  assert.deepEqual(link.perform([{ type: "setInterfaceUp", interfaceIndex: 9_999 }]), [errno.noDevice]);
});

test("an interface is known by its second name, too", () => {
  using link = new Rtnetlink();
  const index = newInterface(link, "one0");
  ip("link property add dev one0 altname second-name-one");
  for (const name of ["one0", "second-name-one"])
    assert.deepEqual([interfaceIndexOf(name), interfaceNameOf(name)], [index, "one0"]);
  assert.equal(interfaceNameOf("none-such0"), undefined);
});

test("addresses of both families are placed with their mark and lifetime, and found again; what is there already is refused", () => {
  using link = new Rtnetlink();
  const interfaceIndex = newInterface(link, "addr0");
  const v4 = { interfaceIndex, address: address("192.0.2.1"), prefixLength: 32 };
  const v6 = { interfaceIndex, address: address("2001:db8::1"), prefixLength: 64 };
  const set = (one: typeof v4, more = {}): KernelRequest => ({ type: "setAddress", replaces: false, ...one, ...traits, ...more });
  assert.deepEqual(link.perform([set(v4), set(v6, { validSeconds: 300, hasHostScope: true, noPrefixRoute: true })]), [0, 0]);
  assert.match(ip("-6 addr show addr0"), /2001:db8::1\/64 scope global nodad deprecated dynamic noprefixroute/);
  const found = () =>
    link.dump({ type: "addresses" }).messages.flatMap((one) => (one.type === "addressSet" ? [one.address] : []));
  const [first, second] = found().filter((one) => one.interfaceIndex === interfaceIndex && one.protocol === 248);
  assert.deepEqual([first?.address.toString(), first?.prefixLength, first?.validSeconds], ["192.0.2.1", 32, Infinity]);
  assert.ok(second && second.validSeconds <= 300 && second.validSeconds > 250);
  assert.deepEqual(link.perform([set(v4), set(v4, { replaces: true, validSeconds: 60 })]), [errno.exists, 0]);
  assert.match(ip("addr show addr0"), /192\.0\.2\.1\/32 .*\n +valid_lft (60|59)sec/);
  const remove = { type: "deleteAddress", ...v4 } as const;
  assert.deepEqual(link.perform([remove, remove, { type: "deleteAddress", ...v6 }]), [0, errno.addressMissing, 0]);
});

test("routes go to a table of their own; a route of somebody else is neither replaced nor deleted", () => {
  using link = new Rtnetlink();
  const interfaceIndex = newInterface(link, "route0");
  const own = { prefix: prefix("198.51.100.1/32"), interfaceIndex, table: 198, protocol: 248, gateway: undefined };
  const own6 = { ...own, prefix: prefix("2001:db8:1::/64"), table: 70_000 };
  const routes = (family: "IPv4" | "IPv6", table: number) =>
    link
      .dump({ type: "routes", family, table, protocol: 248 })
      .messages.flatMap((one) => (one.type === "routeSet" ? [one.route] : []));
  assert.deepEqual(routes("IPv4", 198), []); // There is no such table yet.
  assert.deepEqual(
    link.perform([
      { type: "addRoute", ...own },
      { type: "addRoute", ...own6 },
    ]),
    [0, 0],
  );
  assert.deepEqual(routes("IPv4", 198), [own]);
  assert.deepEqual(routes("IPv6", 70_000), [own6]);
  ip("route add 198.51.100.2/32 dev route0 table 198 proto static");
  const foreign = { ...own, prefix: prefix("198.51.100.2/32") };
  const results = link.perform([
    { type: "addRoute", ...foreign },
    { type: "deleteRoute", ...foreign },
  ]);
  assert.deepEqual(results, [errno.exists, errno.noRoute]);
  assert.deepEqual(
    link.perform([
      { type: "deleteRoute", ...own },
      { type: "deleteRoute", ...own6 },
    ]),
    [0, 0],
  );
  assert.deepEqual(ip("route show table 198").trim(), "198.51.100.2 dev route0 proto static scope link");
});

test("secondaries outlive the first address of their subnet where they are promoted", () => {
  using link = new Rtnetlink();
  const interfaceIndex = newInterface(link, "prom0");
  assert.deepEqual(link.perform([{ type: "promoteSecondaries", interfaceIndex }]), [0]);
  const [first, second] = ["192.0.2.1", "192.0.2.2"].map((text) => ({
    interfaceIndex,
    address: address(text),
    prefixLength: 24,
  }));
  assert.ok(first && second);
  const set = [first, second].map((one): KernelRequest => ({ type: "setAddress", replaces: false, ...one, ...traits }));
  assert.deepEqual(link.perform([...set, { type: "deleteAddress", ...first }]), [0, 0, 0]);
  assert.match(ip("addr show prom0"), /192\.0\.2\.2\/24/);
});

test("some thousand changes are answered one by one, and a dump has them all", () => {
  using link = new Rtnetlink();
  const interfaceIndex = newInterface(link, "many0");
  const places = Array.from({ length: 3_000 }, (_, i) => ({
    interfaceIndex,
    address: address(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`),
    prefixLength: 32,
  }));
  const set = places.map((place): KernelRequest => ({ type: "setAddress", replaces: false, ...place, ...traits }));
  assert.ok(link.perform(set).every((result) => result === 0));
  const { messages, complete } = link.dump({ type: "addresses" });
  const found = messages.filter((one) => one.type === "addressSet" && one.address.interfaceIndex === interfaceIndex);
  assert.equal(found.filter((one) => one.type === "addressSet" && one.address.address.family === "IPv4").length, 3_000);
  assert.ok(complete);
});

test("the interface of the route to an address is found, and none where there is none", () => {
  using link = new Rtnetlink();
  const interfaceIndex = newInterface(link, "via0");
  ip("addr add 203.0.113.1/24 dev via0");
  ip("-6 addr add 2001:db8:7::1/64 dev via0 nodad");
  assert.equal(link.interfaceTo(address("203.0.113.9")), interfaceIndex);
  assert.equal(link.interfaceTo(address("2001:db8:7::9")), interfaceIndex);
  assert.equal(link.interfaceTo(address("198.18.0.1")), undefined);
  ip("route add 198.18.0.0/24 via 203.0.113.9 dev via0");
  assert.equal(link.interfaceTo(address("198.18.0.1")), interfaceIndex);
});

test("a network has a route while one of its length leads to it, and not a default route alone", () => {
  using link = new Rtnetlink();
  newInterface(link, "via1");
  ip("addr add 203.0.112.1/24 dev via1");
  ip("-6 addr add 2001:db8:6::1/64 dev via1 nodad");
  const connected = ["203.0.112.0/24", "2001:db8:6::/64"];
  const has = (text: string) => link.hasRouteTo(prefix(text));
  assert.deepEqual(connected.map(has), [true, true]);
  assert.equal(has("198.19.0.0/24"), false);
  ip("route add default nexthop via 203.0.112.7 dev via1 nexthop via 203.0.112.8 dev via1");
  ip("-6 route add default via 2001:db8:6::8 dev via1");
  assert.deepEqual(["198.19.0.0/24", "2001:db8:8::/64"].map(has), [false, false]);
  ip("route add 198.19.0.0/24 dev via1");
  assert.deepEqual(["198.19.0.0/24", "198.19.0.0/16"].map(has), [true, false]);
  ip("link set via1 down"); // It keeps its IPv4 address, and with it the route to that alone.
  assert.equal(link.interfaceTo(address("203.0.112.1")) !== undefined, true);
  assert.deepEqual([...connected, "198.19.0.0/24"].map(has), [false, false, false]);
  ip("link set via1 up");
  assert.equal(has("203.0.112.0/24"), true);
});

test("a route to a part of a network, or by way of another host, is none to the network of this node's Pods", () => {
  using link = new Rtnetlink();
  newInterface(link, "part0");
  ip("addr add 203.0.111.1/24 dev part0");
  const has = (text: string) => link.hasRouteTo(prefix(text));
  ip("route add 198.18.4.0/32 dev part0"); // A Pod of Calico may have the first address of a block.
  ip("route add 198.18.5.0/26 dev part0");
  ip("route add blackhole 198.18.6.0/24");
  ip("route add 198.18.8.0/24 via 203.0.111.7"); // Cilium may have given the network to another node.
  assert.deepEqual(
    [4, 5, 6, 8].filter((third) => has(`198.18.${third}.0/24`)),
    [],
  );
  ip("addr add 198.18.7.0/32 dev part0"); // As flannel has it on its own interface.
  ip("-6 addr add 2001:db8:5::/128 dev part0 nodad");
  const networks = ["198.18.7.0/24", "2001:db8:5::/64"];
  assert.deepEqual(networks.map(has), [false, false]);
  for (const network of networks) ip(`route add ${network} dev part0`);
  assert.deepEqual(networks.map(has), [true, true]);
  for (const network of networks) ip(`route del ${network} dev part0`);
  assert.deepEqual(networks.map(has), [false, false]);
  ip("addr add 198.18.9.1/32 dev part0");
  ip("route add 198.18.9.0/24 via 198.18.9.1 dev part0"); // As Cilium leads to its Pods.
  ip("route add 198.18.10.9/32 dev part0");
  assert.deepEqual(["198.18.9.0/24", "198.18.10.9/32", "198.18.10.8/31"].map(has), [true, true, false]);
});

test("a group tells of changes, of routes only those of the protocols that were asked for", () => {
  using link = new Rtnetlink();
  const groups = [NetlinkGroup.ipv4Address, NetlinkGroup.ipv4Route];
  const interfaceIndex = newInterface(link, "told0");
  using socket = NetlinkSocket.open({ groups, filter: routeProtocolFilter([248]), receiveBuffer: 1 << 22 });
  ip("addr add 192.0.2.9/32 dev told0"); // The kernel makes a local route of it, which is not told.
  ip("route add 198.51.100.9/32 dev told0 table 199 proto static");
  link.perform([{ type: "addRoute", prefix: prefix("198.51.100.8/32"), interfaceIndex, table: 199, protocol: 248 }]);
  ip("route flush table 199");
  const told: NetlinkMessage[] = [];
  for (let one = socket.receive(); one !== undefined; one = socket.receive()) told.push(...decodeNetlink(one));
  const texts = told.map((one) => {
    if ("address" in one) return `${one.type} ${one.address.address}`;
    return "route" in one ? `${one.type} ${one.route.prefix}` : one.type;
  });
  assert.deepEqual(texts, ["addressSet 192.0.2.9", "routeSet 198.51.100.8/32", "routeDeleted 198.51.100.8/32"]);
});

test("the addresses of interfaces that are up and running are found by name, whatever the name and the address's label", () => {
  for (const name of ["constructor", "__proto__", "toString"]) {
    ip(`link add ${name} type veth peer name end-${name.replaceAll("_", "")}`);
    ip(`link set end-${name.replaceAll("_", "")} up`);
    ip(`link set ${name} up`);
    ip(`address add 192.0.2.20/24 dev ${name} label ${name}:1`);
    ip(`address add 192.0.2.21/24 dev ${name}`);
    const found = addressesByInterface()
      .get(name)
      ?.filter(({ address }) => address.family === "IPv4");
    assert.deepEqual(
      found?.map(({ address, prefixLength }) => `${address}/${prefixLength}`),
      ["192.0.2.20/24", "192.0.2.21/24"],
    );
    ip(`link set ${name} down`);
    assert.equal(addressesByInterface().get(name), undefined);
    ip(`link delete ${name}`);
  }
});

test("without the capability NET_ADMIN every change is refused, and a dump is not", () => {
  const script = `import(${JSON.stringify(new URL("../rtnetlink.ts", import.meta.url).href)}).then(({ Rtnetlink }) => {
    const link = new Rtnetlink();
    const [result] = link.perform([{ type: "createInterface", name: "no0", kind: "bridge" }]);
    console.log(result, link.dump({ type: "interfaces" }).messages.length > 0);
  })`;
  const without = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin", process.execPath, "--eval", script];
  const [program = "", ...rest] = without;
  assert.equal(execFileSync(program, rest, { encoding: "utf8" }).trim(), `${errno.notPermitted} true`);
});
