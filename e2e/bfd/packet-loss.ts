import { accessSync, constants } from "node:fs";
import type { Host } from "#e2e/lab";
import { routerRefusal } from "#e2e/routers";

/** Loses packets on a host, those of BFD unless other matches are given, in some directions: a path that fails without a link going down. */
export async function losePackets(
  host: Host,
  directions: readonly ("input" | "output" | "forward")[],
  matches = "udp dport { 3784, 3785, 4784 }",
): Promise<AsyncDisposable> {
  const chains = directions.map((hook) => `chain ${hook} { type filter hook ${hook} priority 0; ${matches} drop; };`);
  await host.output(["nft", "-f", "-"], { input: `table inet lost {\n${chains.join("\n")}\n}\n` });
  return {
    [Symbol.asyncDispose]: async () => {
      await host.output(["nft", "delete", "table", "inet", "lost"]);
    },
  };
}

/** Like `routerRefusal`, for what also loses packets on purpose. */
export async function bfdRefusal(...kinds: readonly ("frr" | "bird")[]): Promise<string | false> {
  try {
    accessSync("/usr/sbin/nft", constants.X_OK);
  } catch {
    return "Cannot lose packets: /usr/sbin/nft is missing: install the Debian package nftables";
  }
  return routerRefusal(...kinds);
}
