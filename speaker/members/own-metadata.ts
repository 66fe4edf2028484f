import { isDeepStrictEqual } from "node:util";
import type { InterfaceState } from "#pkg/layer2";
import { type MemberlistThread, type MetadataFields, MetadataKey } from "#pkg/memberlist";
import { macsOf } from "./macs.ts";

/** What this node's member says about itself with each of its announcements in the ring. */
export class OwnMetadata {
  readonly #memberlist: Pick<MemberlistThread, "running" | "setMetadata">;
  #fields: MetadataFields;
  #published: MetadataFields;

  /** @param first with which the member was made */
  constructor(memberlist: Pick<MemberlistThread, "running" | "setMetadata">, first: MetadataFields) {
    this.#memberlist = memberlist;
    this.#fields = this.#published = first;
  }

  setInterfaces(interfaces: readonly InterfaceState[]): void {
    this.#fields = new Map([...this.#fields, [MetadataKey.macs, macsOf(interfaces)]]);
    this.publish();
  }

  /** The node announces what it is to. */
  started(): void {
    this.#fields = new Map([...this.#fields].filter(([key]) => key !== MetadataKey.starting));
    this.publish();
  }

  /** To be called when this node is on the network, too. */
  publish(): void {
    if (isDeepStrictEqual(this.#fields, this.#published) || !this.#memberlist.running) return;
    this.#published = this.#fields;
    this.#memberlist.setMetadata(this.#fields);
  }
}
