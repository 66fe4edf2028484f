/**
 * Asks by ARP and neighbor discovery who answers for addresses, over and over, from eth0: `ask-who.ts MAC ADDRESS/LENGTH,… ADDRESS…`. Prints a line for
 * each round: when it began, in milliseconds, and what answered.
 */
import { SystemClock, systemRandom } from "#pkg/clock";
import { Asker } from "#pkg/layer2";
import { interfaceIndexOf } from "#pkg/linux";
import { parseAddress } from "#pkg/net";

/** One round. */
export interface Answered {
  readonly at: number;
  readonly macs: Readonly<Record<string, readonly string[]>>; // address -> MAC addresses that answered
}

if (import.meta.main) {
  const [mac = "", own = "", ...texts] = process.argv.slice(2);
  const index = interfaceIndexOf("eth0");
  const questions = texts.flatMap((text) => parseAddress(text) ?? []).map((address) => ({ address, port: undefined }));
  if (index === undefined || questions.length !== texts.length) throw new Error("Cannot ask: eth0 and addresses needed");
  const link = { index, name: "eth0", mac, status: "answering", running: true, addresses: own.split(",") } as const;
  const asker = new Asker(new SystemClock(), systemRandom);
  for (;;) {
    const at = performance.now();
    const answers = await asker.ask(link, questions);
    const macs = Object.fromEntries([...answers].map(([{ address }, { macs }]) => [address.toString(), macs]));
    console.log(JSON.stringify({ at, macs } satisfies Answered));
  }
}
