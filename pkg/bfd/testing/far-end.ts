/** The other end of a session, in a network of its own. Run by `netns-scenarios.ts`. */
import { parseConfig } from "#pkg/config";
import { silentLog } from "#pkg/log/testing";
import { address } from "#pkg/net/testing";
import { Bfd } from "../index.ts";

const [fields = "", local = "", peer = "", device = ""] = process.argv.slice(2);
const profile = parseConfig(`bfd-profiles: [{name: p, ${fields}}]`).config?.bfdProfiles.get("p");
if (profile === undefined) throw new Error("no profile");
const bfd = new Bfd({ log: silentLog, date: () => new Date() });
const ends = { peer: address(peer), local: address(local), interface: device || undefined, multihop: false };
bfd.watch(ends, profile, () => {});
