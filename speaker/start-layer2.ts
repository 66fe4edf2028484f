import { type Layer2, Layer2Error } from "#pkg/layer2";
import type { Log } from "#pkg/log";

/** @returns why this node cannot announce on layer 2: other protocols do without it, and this node is no candidate */
export async function startLayer2(layer2: Pick<Layer2, "start">, log: Log): Promise<string | undefined> {
  try {
    await layer2.start();
    return undefined;
  } catch (error) {
    if (!(error instanceof Layer2Error)) throw error;
    log.error("layer 2 is not available on this node", { op: "startup", error });
    return error.message;
  }
}
