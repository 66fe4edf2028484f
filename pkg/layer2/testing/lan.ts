import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import type { Call, client } from "./client.ts";

/** A LAN of two hosts: this process, which must be in a network namespace made for it, and a client process in another. */

type Client = typeof client;

/** Runs ip(8) in this namespace. */
export function ip(command: string): string {
  return execFileSync("ip", command.split(" "), { encoding: "utf8" });
}

export class Lan implements Disposable {
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess) {
    this.#process = process;
  }

  /** The process whose network namespace is the client's. */
  get pid(): number | undefined {
    return this.#process.pid;
  }

  static async start(): Promise<Lan> {
    const file = new URL("./client.ts", import.meta.url).pathname;
    const child = spawn("unshare", ["--net", process.execPath, file], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      serialization: "advanced",
    });
    await once(child, "message"); // It is in its namespace.
    return new Lan(child);
  }

  /** Joins interface `name` here with `peer` at the client, both up; the client has the addresses, each with its prefix length. */
  async join(name: string, peer: string, ...addresses: readonly string[]): Promise<void> {
    ip(`link add ${name} type veth peer name ${peer} netns ${this.pid}`);
    ip(`address add 203.0.113.1/24 dev ${name}`); // A veth without one would be taken for a Pod's.
    ip(`link set ${name} up`);
    await this.adopt(peer, ...addresses);
  }

  /** Makes an interface of the client ready, with the addresses. */
  async adopt(peer: string, ...addresses: readonly string[]): Promise<void> {
    await this.call("setting", `net/ipv6/conf/${peer}/accept_dad`, 0);
    await this.call("setting", `net/ipv6/conf/${peer}/keep_addr_on_down`, 1);
    await this.call("run", "ip", "link", "set", peer, "up");
    for (const address of addresses) await this.call("run", "ip", "address", "add", address, "dev", peer);
    await this.call("listen", peer);
  }

  /** Calls a function of the client; calls must not overlap. */
  async call<Name extends keyof Client>(
    method: Name,
    ...parameters: Parameters<Client[Name]>
  ): Promise<Awaited<ReturnType<Client[Name]>>> {
    this.#process.send({ method, parameters } satisfies Call);
    const [message] = await once(this.#process, "message");
    if ("error" in message) throw new Error(`Cannot ${method} at the client: ${message.error}`);
    return message.value;
  }

  [Symbol.dispose](): void {
    this.#process.kill("SIGKILL");
  }
}
