import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { ArpAsker, monotonicNow } from "../bench/arp-asker.ts";

/** Who answered for the addresses, asked at an instant of `monotonicNow`. */
export interface Asked {
  readonly at: number;
  readonly answers: Readonly<Record<string, readonly string[]>>; // address -> MAC addresses, as twelve hexadecimal digits
}

const everyMs = 200;
const waitMs = 150;

/** A process on the LAN that asks by ARP for each --address and prints who answers: whenever that changes, and every second. */
async function ask(addresses: readonly string[]): Promise<void> {
  const requests = new Map<number, string>(); // number of a request -> address
  let found = new Map<string, Set<string>>(); // address -> MAC addresses
  using asker = new ArpAsker("eth0", (request, mac) => found.get(requests.get(request) ?? "")?.add(mac));
  let printed = "";
  let printedAt = -Infinity;
  for (;;) {
    const at = monotonicNow();
    found = new Map(addresses.map((address) => [address, new Set<string>()]));
    requests.clear();
    for (const address of addresses) requests.set(asker.ask(address), address);
    await sleep(waitMs);
    asker.listen();
    asker.takeUnanswered();
    const answers = Object.fromEntries([...found].map(([address, macs]) => [address, [...macs].sort()]));
    const text = JSON.stringify(answers);
    if (text !== printed || at - printedAt > 1_000) {
      console.log(JSON.stringify({ at, answers } satisfies Asked));
      printed = text;
      printedAt = at;
    }
    await sleep(everyMs - waitMs);
  }
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { address: { type: "string", multiple: true, default: [] } } });
  await ask(values.address);
}
