import type { Pool } from "#pkg/config";
import type { Link } from "#pkg/gossip";
import type { Handover } from "#pkg/handover";
import { type Address, isLinkLocal, matchesInterface, parseAddress, parsePrefix } from "#pkg/net";
import { hostInterfaces, interfacesHere } from "../interfaces/nics.ts";
import type { SpeakerState } from "../state.ts";
import { type CurrentHandover, maxMs } from "./handover-state.ts";

/** Tells the others by which addresses and interfaces they reach this node. */
export function reportLinks(state: SpeakerState): void {
  const { handovers, members } = state;
  // A process that begins knows no pools yet. The report of an earlier process holds until then.
  if (handovers.begunAt === Infinity) return;
  members.gossip?.setLinks(handovers.isWanted ? ownLinks(state).map(({ mac, addresses }) => ({ mac, addresses })) : []);
}

type Way = Omit<Handover, "address" | "until">;

/** How packets get to other nodes, at one moment. Thousands of addresses have the same way. */
export class Ways {
  readonly #state: SpeakerState;
  readonly #own: ReturnType<typeof ownLinks>;
  readonly #known = new Map<string, Way | undefined>(); // what is asked for -> the way

  constructor(state: SpeakerState) {
    this.#state = state;
    this.#own = ownLinks(state);
  }

  /** Undefined while the former owner cannot be reached on the link. */
  handoverOf(current: CurrentHandover, pool: Pool): Handover | undefined {
    const { address, from, since, successors, isAgain, beyond, failed, lingersUntil } = current;
    const key = [pool.interfaces, address.family, from, successors, isAgain, beyond, failed, lingersUntil !== undefined].join(
      " ",
    );
    if (!this.#known.has(key)) this.#known.set(key, this.#find(current, pool));
    const way = this.#known.get(key);
    return way && { ...way, address, until: since + maxMs };
  }

  #find({ address, from, successors, isAgain, beyond, failed, lingersUntil }: CurrentHandover, pool: Pool): Way | undefined {
    const lingers = lingersUntil !== undefined;
    const further = failed !== undefined && !isAgain ? from : beyond;
    const { gossip } = this.#state.members;
    if (gossip === undefined) return undefined;
    const names = interfacesHere(this.#state, pool);
    const here = this.#own.filter(({ name }) => names.length === 0 || matchesInterface(names, name));
    // A node that has it again takes nothing back that it does not know.
    const links = successors.filter((one) => one !== from).flatMap((one) => gossip.links(one));
    const macs = successors.length === 0 ? undefined : links.map(({ mac }) => mac);
    if (macs?.length === 0 && !lingers && further === undefined) return undefined;
    const reachedBy = (node: string, link: (typeof here)[number]) => reached(gossip.links(node), address, link, this.#own);
    for (const link of here) {
      const to = reachedBy(from, link);
      if (to === undefined) continue;
      const passedTo = further === undefined ? undefined : reachedBy(further, link);
      const ofFormer = gossip.links(failed ?? from).map(({ mac }) => mac);
      const passed = passedTo && { from: ofFormer, to: passedTo };
      return { to, interfaceIndex: link.index, from: macs, lingers, beyond: passed };
    }
    return undefined;
  }
}

/** The address by which a node with these links is reached on an interface of this one. */
function reached(
  links: readonly Link[],
  { family }: Address,
  { subnets }: ReturnType<typeof ownLinks>[number],
  own: ReturnType<typeof ownLinks>,
): Address | undefined {
  const isHere = (one: Address) => subnets.some((subnet) => subnet.contains(one));
  for (const { addresses } of links) {
    if (!addresses.some(isHere)) continue;
    const ofFamily = addresses.filter((one) => one.family === family);
    // This node may have an address by now that the other has left.
    const others = ofFamily.filter((one) => !own.some((link) => link.addresses.some((mine) => mine.equals(one))));
    const to = others.find(isHere) ?? others.find(isLinkLocal);
    if (to !== undefined) return to;
  }
  return undefined;
}

/**
 * The interfaces of this node that announce, with its own addresses and their subnets; those in a subnet first. Also while the speaker fails to
 * answer on them, such as while its thread begins again: the kernel goes on.
 */
export function ownLinks(state: SpeakerState) {
  const able = hostInterfaces(state, state.carriers.interfaces).filter(
    ({ status, running }) => (status === "answering" || status === "failing") && running,
  );
  return able.flatMap(({ index, name, mac, addresses: texts, unfit = [] }) => {
    const fit = texts.filter((text) => !unfit.includes(text));
    const prefixes = fit.flatMap((text) => parsePrefix(text) ?? []);
    const subnets = prefixes.filter(({ address, length }) => !isLinkLocal(address) && length < address.bits);
    const addresses = fit.flatMap((text) => parseAddress(text.slice(0, text.lastIndexOf("/"))) ?? []);
    // One that leads to Pods alone is of no use to others.
    return subnets.length === 0 ? [] : [{ index, name, mac, subnets, addresses }];
  }) satisfies readonly (Link & { readonly name: string })[];
}

export function isSame(a: Handover | undefined, b: Handover | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  const [one, other] = [a, b].map(({ to, interfaceIndex, lingers, from, beyond }) =>
    [to, interfaceIndex, lingers, from === undefined ? "all" : from, beyond?.from, beyond?.to].join(" "),
  );
  return one === other;
}
