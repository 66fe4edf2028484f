/**
 * Keeps addresses in a kernel, and does nothing else: `interface-keeper.ts COUNT IDLE-SECONDS ROUTES`. Prints lines of JSON: when COUNT
 * addresses of an interface were wanted and were there, the time of one more and one less, and the CPU time of an idle while. Then it
 * prints the same of ROUTES in a table of its own, and the cost of addresses of the NIC nic0, which have a lifetime. It keeps all but these
 * until it is ended.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { SystemClock } from "#pkg/clock";
import { type Item, KernelKeeper } from "#pkg/kernel";
import { decodeNetlink, interfaceIndexOf, NetlinkGroup, NetlinkSocket, Rtnetlink } from "#pkg/linux";
import { silentLog } from "#pkg/log/testing";
import { parseAddress, parsePrefix } from "#pkg/net";

export type Line =
  | { readonly type: "placed"; readonly began: number; readonly milliseconds: number }
  | { readonly type: "oneMore" | "oneLess"; readonly milliseconds: number }
  | { readonly type: "idle"; readonly seconds: number; readonly cpuMilliseconds: number }
  | { readonly type: "routed"; readonly milliseconds: number }
  /** What `count` addresses on a NIC cost, which are renewed all the time. */
  | { readonly type: "renewed"; readonly count: number; readonly seconds: number; readonly cpuMilliseconds: number };

const mark = 248;
const onNics = [100, 1_000];
const renewedSeconds = 30; // Three lifetimes, or one of the longer ones.

if (import.meta.main) {
  const [count = 0, idleSeconds = 0, routes = 0] = process.argv.slice(2).map(Number);
  const options = { node: "bench", folder: "/run/ingot", log: silentLog, clock: new SystemClock() };
  const keeper = new KernelKeeper({ ...options, onDisturbance: () => {}, onProblems: () => {} });
  const print = (line: Line): void => console.log(JSON.stringify(line));
  const took = async (change: () => void, isDone: () => boolean): Promise<number> => {
    const from = performance.now();
    change();
    while (!isDone()) await sleep(1);
    return performance.now() - from;
  };
  const placed = (owner: string) => keeper.statusOf(owner).every(({ place }) => place === "placed");

  const began = Date.now();
  const owners = Array.from({ length: count }, (_, i) => `10.77.${i >> 8}.${i & 255}`);
  const all = (): void => {
    for (const owner of owners) keeper.want(owner, [itemOf(owner)]);
    keeper.complete();
  };
  print({ type: "placed", began, milliseconds: await took(all, () => placed(owners.at(-1) ?? "") && owners.every(placed)) });
  await sleep(2_000);
  const more = "10.78.0.1";
  const oneMore = await took(
    () => keeper.want(more, [itemOf(more)]),
    () => placed(more),
  );
  print({ type: "oneMore", milliseconds: oneMore });
  using changes = NetlinkSocket.open({ groups: [NetlinkGroup.ipv4Address] });
  const oneLess = await took(
    () => keeper.want(more, []),
    () => {
      const told = changes.receive();
      return told !== undefined && decodeNetlink(told).some(({ type }) => type === "addressDeleted");
    },
  );
  print({ type: "oneLess", milliseconds: oneLess });
  const before = process.cpuUsage();
  await sleep(idleSeconds * 1_000);
  const { user, system } = process.cpuUsage(before);
  print({ type: "idle", seconds: idleSeconds, cpuMilliseconds: (user + system) / 1_000 });
  const prefixes = Array.from({ length: routes }, (_, i) => `10.80.${i >> 8}.${i & 255}/32`);
  const routed = await took(
    () => void prefixes.forEach((text) => void keeper.want(text, [routeOf(text)])),
    () => prefixes.every(placed),
  );
  print({ type: "routed", milliseconds: routed });
  for (const wanted of onNics) {
    const texts = Array.from({ length: wanted }, (_, i) => `10.81.${i >> 8}.${i & 255}`);
    await took(
      () => void texts.forEach((text) => void keeper.want(`nic ${text}`, [itemOf(text, true)])),
      () => texts.every((text) => placed(`nic ${text}`)),
    );
    await sleep(renewedSeconds * 1_000); // By then the first addresses have the lifetime that their number requires.
    const cpu = process.cpuUsage();
    await sleep(renewedSeconds * 1_000);
    const used = process.cpuUsage(cpu);
    for (const text of texts) keeper.want(`nic ${text}`, []);
    while (countOnNic() > 0) await sleep(100); // Nobody else listens to the kernel's messages yet.
    print({ type: "renewed", count: wanted, seconds: renewedSeconds, cpuMilliseconds: (used.user + used.system) / 1_000 });
  }
}

function countOnNic(): number {
  const index = interfaceIndexOf("nic0");
  using link = new Rtnetlink();
  const { messages } = link.dump({ type: "addresses" });
  return messages.filter(
    (one) => one.type === "addressSet" && one.address.interfaceIndex === index && one.address.protocol === mark,
  ).length;
}

function routeOf(text: string): Item {
  const prefix = parsePrefix(text);
  if (prefix === undefined) throw new RangeError(`Cannot want ${text}: no prefix`);
  return { type: "route", interface: "kube-lb0", prefix, table: 198, protocol: mark };
}

function itemOf(text: string, isOnLan = false): Item {
  const address = parseAddress(text);
  if (address === undefined) throw new RangeError(`Cannot want ${text}: no address`);
  const place = isOnLan ? { interface: "nic0", prefixLength: 16 } : { interface: "kube-lb0", prefixLength: 32 };
  return { type: "address", ...place, address, protocol: mark, lifetimeSeconds: isOnLan ? undefined : Infinity, isOnLan };
}
