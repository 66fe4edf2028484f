import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { ArpAsker, monotonicNow } from "../bench/arp-asker.ts";

/** Answers for the addresses, asked at an instant of `monotonicNow`. */
export interface ArpAnswers {
  readonly at: number;
  readonly answers: Readonly<Record<string, readonly string[]>>; // address -> MAC addresses, as twelve hexadecimal digits
}

const everyMs = 200;
// Longer than requests and answers are on the way where a cable is bad.
const waitMs = 1_000;

/** One round of questions. */
interface Round {
  readonly at: number;
  readonly requests: ReadonlyMap<number, Set<string>>; // number of a request -> MAC addresses
}

/** A process on the LAN that asks by ARP for each --address and prints who answered, a second later: whenever that changes, and every second. */
async function ask(addresses: readonly string[]): Promise<void> {
  const open: Round[] = [];
  using asker = new ArpAsker("eth0", (request, mac) => {
    for (const { requests } of open) requests.get(request)?.add(mac);
  });
  let printed = "";
  let printedAt = -Infinity;
  for (;;) {
    open.push({ at: monotonicNow(), requests: new Map(addresses.map((address) => [asker.ask(address), new Set()])) });
    await sleep(everyMs);
    asker.listen();
    asker.takeUnanswered();
    for (let [first] = open; first !== undefined && monotonicNow() - first.at > waitMs; [first] = open) {
      open.shift();
      const { at, requests } = first;
      const macs = [...requests.values()].map((each) => [...each].sort());
      const answers = Object.fromEntries(addresses.map((address, index) => [address, macs[index] ?? []]));
      const text = JSON.stringify(answers);
      if (text === printed && at - printedAt <= 1_000) continue;
      console.log(JSON.stringify({ at, answers } satisfies ArpAnswers));
      printed = text;
      printedAt = at;
    }
  }
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { address: { type: "string", multiple: true, default: [] } } });
  await ask(values.address);
}
