import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { ArpAsker, monotonicNow } from "./arp-asker.ts";

/** What a process on the LAN that asks by ARP for each --address prints; instants are those of `monotonicNow`. */
export type Line =
  | { readonly type: "asking" }
  /** From the first question in a row that two hosts answered to the last. */
  | { readonly type: "double"; readonly address: string; readonly at: number; readonly ms: number };

const everyMs = 10;
// An answer that is later came from a host that stood still.
const waitMs = 200;

interface Question {
  readonly at: number;
  readonly address: string;
  readonly macs: Set<string>;
}

async function ask(addresses: readonly string[]): Promise<never> {
  const open = new Map<number, Question>(); // number of the request -> question
  const doubles = new Map<string, { readonly from: number; readonly to: number }>(); // address -> questions that two hosts answered
  using asker = new ArpAsker("eth0", (request, mac) => void open.get(request)?.macs.add(mac));
  const print = (line: Line) => console.log(JSON.stringify(line));
  for (let isFirst = true; ; isFirst = false) {
    for (const address of addresses) open.set(asker.ask(address), { at: monotonicNow(), address, macs: new Set() });
    await sleep(everyMs);
    asker.listen();
    asker.takeUnanswered();
    if (isFirst) print({ type: "asking" });
    for (const [request, { at, address, macs }] of open) {
      if (monotonicNow() - at <= waitMs) break;
      open.delete(request);
      const before = doubles.get(address);
      if (macs.size > 1) doubles.set(address, { from: before?.from ?? at, to: at });
      else if (before !== undefined && doubles.delete(address))
        print({ type: "double", address, at: before.from, ms: Math.round(before.to - before.from + everyMs) });
    }
  }
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { address: { type: "string", multiple: true, default: [] } } });
  await ask(values.address);
}
