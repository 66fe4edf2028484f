/**
 * The client of `failover-many.ts`, a process on a host of its lab. It receives announcements of IPv4 addresses, and asks by ARP for the
 * addresses that it has received, one each millisecond. Prints what is new as lines of JSON.
 */
import { ArpAsker, monotonicNow } from "./arp-asker.ts";

/** Instants are those of `monotonicNow`. */
export type Line =
  /** Addresses that came to another MAC address: hexadecimal, without colons. */
  | { readonly type: "moved"; readonly at: number; readonly mac: string; readonly addresses: readonly string[] }
  /** When ARP was asked in vain. */
  | { readonly type: "unanswered"; readonly at: readonly number[] };

if (import.meta.main) {
  const asker = new ArpAsker("eth0");
  const received = new Map<string, string>(); // address -> MAC address
  let tick = 0;
  const print = (line: Line): void => console.log(JSON.stringify(line));
  setInterval(() => {
    const at = monotonicNow();
    const moved = asker.listen().filter(({ address, mac }) => received.get(address) !== mac);
    for (const { address, mac } of moved) received.set(address, mac);
    for (const [mac, addresses] of Map.groupBy(moved, ({ mac }) => mac))
      print({ type: "moved", at, mac, addresses: addresses.map(({ address }) => address) });
    const unanswered = asker.takeUnanswered();
    if (unanswered.length > 0) print({ type: "unanswered", at: unanswered });
    const address = [...received.keys()][tick++ % received.size]; // None before the first.
    if (address !== undefined) asker.ask(address);
  }, 1);
}
