import { isDeepStrictEqual } from "node:util";
import type { KernelKeeper } from "#pkg/kernel";
import type { InterfaceState } from "#pkg/layer2";
import { matchesInterface, serviceHolders } from "#pkg/net";

type Tell = (interfaces: readonly InterfaceState[]) => void;

/**
 * Tells the core of the interfaces of this node, without what comes and goes with Services and Pods: the addresses that are kept on interfaces
 * that layer 2 does not announce on (this process and kube-proxy or kube-router keep thousands), and interfaces that lead to Pods, of which there may be
 * hundreds. One of these is told of where the configuration names it, and for as long as it is there where it was told of before. Interfaces
 * that are wholly as before are told again: a change of theirs was taken back.
 */
export class ToldInterfaces {
  readonly #keeper: Pick<KernelKeeper, "interfaces">;
  readonly #tell: Tell;
  #names: readonly string[] = [];
  #all: readonly InterfaceState[] | undefined;
  #told: readonly InterfaceState[] | undefined;

  constructor(keeper: Pick<KernelKeeper, "interfaces">, tell: Tell) {
    this.#keeper = keeper;
    this.#tell = tell;
  }

  /** The configuration names these, as patterns for `matchesInterface`, and no others. */
  name(names: readonly string[]): void {
    this.#names = names;
    if (this.#all !== undefined) this.#tellChanges(this.#all);
  }

  /** Usable as a callback. @param interfaces all of them */
  readonly update: Tell = (interfaces) => {
    const isTakenBack = isDeepStrictEqual(interfaces, this.#all);
    this.#all = interfaces;
    if (isTakenBack && this.#told !== undefined) this.#tell(this.#told);
    else this.#tellChanges(interfaces);
  };

  #tellChanges(interfaces: readonly InterfaceState[]): void {
    const kept = new Set([...serviceHolders, ...this.#keeper.interfaces().map(({ name }) => name)]);
    const known = new Set(this.#told?.map(({ index }) => index));
    const isKept = ({ name, status }: InterfaceState) => kept.has(name) && status !== "answering";
    const isOfUse = ({ index, name, leadsToPod }: InterfaceState) =>
      !leadsToPod || known.has(index) || (this.#names.length > 0 && matchesInterface(this.#names, name));
    const left = interfaces.filter(isOfUse).map((one) => (isKept(one) ? { ...one, addresses: [], unfit: [] } : one));
    if (isDeepStrictEqual(left, this.#told)) return;
    this.#told = left;
    this.#tell(left);
  }
}
