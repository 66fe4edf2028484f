import { syncBuiltinESMExports } from "node:module";
import os from "node:os";
import type { TestContext } from "node:test";

function infoOf(cidr: string) {
  const [address = ""] = cidr.split("/");
  return { address, cidr, family: address.includes(":") ? "IPv6" : "IPv4" };
}

/** In place of the node's own. */
export class NodeInterfaces {
  #cidrs: readonly string[] = [];
  readonly #asked: () => number;

  /** To the end of the test the node has one interface, without addresses so far. */
  constructor(t: TestContext) {
    const { mock } = t.mock.method(os, "networkInterfaces", () => ({ eth0: this.#cidrs.map(infoOf) }));
    syncBuiltinESMExports();
    t.after(() => {
      t.mock.restoreAll();
      syncBuiltinESMExports();
    });
    this.#asked = () => mock.callCount();
  }

  /** How often they have been asked for. */
  get asked(): number {
    return this.#asked();
  }

  /** Resolves when who asks next is told of these: what was asked for is kept until what is being done is done. */
  async set(cidrs: readonly string[]): Promise<void> {
    this.#cidrs = cidrs;
    await new Promise(setImmediate);
  }
}
