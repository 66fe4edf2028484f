import type { MemberParts } from "../member-parts.ts";

export const silentRingLog: MemberParts["log"] = { refused() {}, notSent() {}, flooded() {}, evicted() {} };
