import { isDeepStrictEqual } from "node:util";
import { Alarm, type Clock, type Millis } from "#pkg/clock";
import type { Layer2 } from "#pkg/layer2";
import { interfaceIndexOf, NetlinkError, Rtnetlink, SystemCallError } from "#pkg/linux";
import type { Log } from "#pkg/log";
import type { Address, Family } from "#pkg/net";
import type { DefaultGateway, Surroundings } from "#pkg/placement";
import type { SpeakerEffect, SpeakerEvent } from "./core/index.ts";

export interface FollowedRoutesOptions {
  readonly layer2: Pick<Layer2, "interfaces">;
  readonly emit: (event: SpeakerEvent) => void;
  readonly clock: Clock;
  readonly log: Log;
}

// The kernel is asked again and again, because rules of policy routing, too, decide on a route, and no notification tells of all of that.
const everyMs: Millis = 1_000;

/**
 * For pools that name an interface by an address or by a second name (altname): tells which interface leads there, or has that name. For peers
 * that are gateways: tells the next hops of this node's default routes. Opens nothing before a pool or a peer asks for that.
 */
export class FollowedRoutes implements Disposable {
  readonly #options: FollowedRoutesOptions;
  readonly #alarm: Alarm;
  #addresses: readonly Address[] = [];
  #secondNames: readonly string[] = [];
  #followsGateways = false;
  #gateways: Surroundings["gateways"] = { IPv4: [], IPv6: [] };
  #told: ReadonlyMap<string, string> = new Map(); // address or second name -> name of an interface
  #kernel: Rtnetlink | undefined;
  #isFailing = false;

  constructor(options: FollowedRoutesOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.clock, "followed routes", () => this.#turn());
  }

  /** These, and no others. Tells at once: until then this node has no interface for a pool that names it so, and leaves its addresses to others. */
  follow({ addresses, names, gateways }: Omit<Extract<SpeakerEffect, { type: "followRoutes" }>, "type">): void {
    this.#addresses = addresses;
    this.#secondNames = names;
    this.#followsGateways = gateways;
    if (this.#hasWork || this.#told.size > 0) this.#turn();
  }

  [Symbol.dispose](): void {
    this.#alarm[Symbol.dispose]();
    this.#kernel?.[Symbol.dispose]();
  }

  #turn(): void {
    const { emit, clock, log } = this.#options;
    let [found, gateways] = [this.#told, this.#gateways];
    try {
      found = this.#find();
      gateways = this.#findGateways();
      this.#isFailing = false;
    } catch (error) {
      if (!(error instanceof SystemCallError) && !(error instanceof NetlinkError)) throw error;
      if (!this.#isFailing) log.error("the kernel does not say which routes it takes, retrying", { op: "routes", error });
      this.#isFailing = true;
    }
    if (!isDeepStrictEqual(found, this.#told)) {
      this.#told = found;
      emit({ type: "routes", interfaces: found });
    }
    if (!isDeepStrictEqual(gateways, this.#gateways)) {
      this.#gateways = gateways;
      emit({ type: "gateways", gateways });
    }
    if (this.#hasWork) this.#alarm.set(clock.now() + everyMs);
  }

  get #hasWork(): boolean {
    return this.#addresses.length + this.#secondNames.length > 0 || this.#followsGateways;
  }

  #findGateways(): Surroundings["gateways"] {
    if (!this.#followsGateways) return { IPv4: [], IPv6: [] };
    const names = this.#names();
    this.#kernel ??= new Rtnetlink();
    const kernel = this.#kernel;
    const of = (family: Family): readonly DefaultGateway[] =>
      kernel.gateways(family).flatMap(({ address, interfaceIndex, metric }) => {
        const name = names.get(interfaceIndex);
        return name === undefined ? [] : [{ address, interface: name, metric }];
      });
    return { IPv4: of("IPv4"), IPv6: of("IPv6") };
  }

  #find(): ReadonlyMap<string, string> {
    const names = this.#names();
    const found = new Map<string, string>();
    for (const address of this.#addresses) {
      this.#kernel ??= new Rtnetlink();
      const name = names.get(this.#kernel.interfaceTo(address) ?? 0);
      if (name !== undefined) found.set(address.toString(), name);
    }
    for (const second of this.#secondNames) {
      const name = names.get(interfaceIndexOf(second) ?? 0);
      if (name !== undefined && name !== second) found.set(second, name);
    }
    return found;
  }

  #names(): ReadonlyMap<number, string> {
    return new Map(this.#options.layer2.interfaces().map(({ index, name }) => [index, name]));
  }
}
