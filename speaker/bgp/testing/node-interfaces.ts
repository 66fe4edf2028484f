import type { TestContext } from "node:test";
import { Rtnetlink } from "#pkg/linux";
import { address } from "#pkg/net/testing";

const eth0 = { type: "interfaceSet", networkInterface: { index: 2, name: "eth0", up: true, running: true } };

function addressOf(cidr: string) {
  const [text = "", length] = cidr.split("/");
  return {
    type: "addressSet",
    address: { interfaceIndex: 2, address: address(text), prefixLength: Number(length), flags: 0x80 },
  };
}

/** In place of the node's own. */
export class NodeInterfaces {
  #cidrs: readonly string[] = [];
  readonly #asked: () => number;

  /** To the end of the test the node has one interface, without addresses so far. */
  constructor(t: TestContext) {
    const { mock } = t.mock.method(Rtnetlink.prototype, "dump", ({ type }: { type: string }) => ({
      messages: type === "interfaces" ? [eth0] : this.#cidrs.map(addressOf),
    }));
    this.#asked = () => mock.calls.filter(({ arguments: [what] }) => what.type === "addresses").length;
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
