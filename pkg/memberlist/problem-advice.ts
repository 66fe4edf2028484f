import type { MemberlistProblem } from "./memberlist-error.ts";

const foreign = "look at what runs there: it does not speak like a speaker";

/** What to do about an address that sends such things. */
export const problemAdvice: Readonly<Record<MemberlistProblem, string>> = {
  label: "give all speakers of one cluster the same label, and none to those of another",
  plaintext: "give the sender the memberlist secret that this speaker has",
  encrypted: "give this speaker the memberlist secret that the sender has",
  wrongKey: "give both speakers the same memberlist secret; they read it when they start",
  unknownVersion: foreign,
  checksum: "look for damage in the network between the two nodes",
  unsupported: foreign,
  tooLarge: foreign,
  malformed: foreign,
};
