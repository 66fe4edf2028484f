/** Which Service holds which address. */
export type { Allocation, Claim, ClaimedPort, Refusal } from "./types.ts";
