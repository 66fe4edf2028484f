import { accessSync, constants } from "node:fs";
import { routerRefusal } from "#e2e/routers";

/** Like `routerRefusal`, for what also loses packets on purpose. */
export async function bfdRefusal(...kinds: readonly ("frr" | "bird")[]): Promise<string | false> {
  try {
    accessSync("/usr/sbin/nft", constants.X_OK);
  } catch {
    return "Cannot lose packets: /usr/sbin/nft is missing: install the Debian package nftables";
  }
  return routerRefusal(...kinds);
}
