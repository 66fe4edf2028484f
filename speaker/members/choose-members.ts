import { wallClock } from "#pkg/clock";
import type { FlagValues } from "#pkg/flags";
import { encodeOffer, GossipState } from "#pkg/gossip";
import { MemberlistThread, MetadataKey, metallbKey } from "#pkg/memberlist";
import type { flags } from "../flags.ts";
import { MacTable } from "./mac-table.ts";
import type { Members } from "./members.ts";
import { PodMembers } from "./pod-members.ts";
import { RingMembers, type RingMembersOptions } from "./ring-members.ts";

export interface MembersChoice extends Omit<RingMembersOptions, "memberlist" | "gossipState" | "labels"> {
  readonly values: Pick<FlagValues<typeof flags>, "ml-bindaddr" | "ml-bindport" | "ml-labels" | "ml-secret-key" | "ml-timing">;
  /** Whether this node can answer on layer 2. One that cannot is no member, because the others would leave addresses to it. */
  readonly canAnnounce: boolean;
  /** See `macsOf`. */
  readonly macs: Uint8Array;
}

/** The speakers' ring where there is a key for it, else the readiness of their Pods. */
export function chooseMembers(choice: MembersChoice): { members: Members; memberlist?: MemberlistThread; macTable?: MacTable } {
  const { values, cluster, namespace, node, canAnnounce, macs, changed, gossipChanged, reclaim, log, clock, random } = choice;
  const secret = values["ml-secret-key"];
  const bind = { address: values["ml-bindaddr"], port: values["ml-bindport"] };
  const labels = values["ml-labels"];
  const without = reasonWithout(secret, bind.address, canAnnounce);
  if (without !== undefined) {
    log.info("speakers are counted by their ready Pods", { op: "startup", reason: without });
    return { members: new PodMembers({ cluster, namespace, labels, changed }) };
  }
  const gossipState = new GossipState(node);
  const metadata = new Map([
    [MetadataKey.gossip, encodeOffer(wallClock().getTime())],
    [MetadataKey.macs, macs],
  ]);
  const memberlist = new MemberlistThread({
    name: node,
    bind,
    keys: [metallbKey(secret)],
    metadata,
    timing: values["ml-timing"],
    log,
  });
  const options = {
    memberlist,
    gossipState,
    cluster,
    namespace,
    labels,
    node,
    changed,
    gossipChanged,
    reclaim,
    log,
    clock,
    random,
  };
  return { memberlist, macTable: new MacTable(memberlist, metadata), members: new RingMembers(options) };
}

function reasonWithout(secret: string, address: string, canAnnounce: boolean): string | undefined {
  if (secret === "") return "there is no memberlist secret (--ml-secret-key, METALLB_ML_SECRET_KEY)";
  if (address === "") return "there is no address for the ring (--ml-bindaddr, METALLB_ML_BIND_ADDR)";
  return canAnnounce ? undefined : "this node cannot answer on layer 2";
}
