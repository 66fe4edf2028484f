import { createHmac } from "node:crypto";

/**
 * The path on which reviews are asked for, of the certificate's private key: the API server reads it in the webhook's configuration, and who
 * can read neither that nor the Secret cannot have the controller review anything.
 */
export function reviewPath(key: string): string {
  return `/validate/${createHmac("sha256", key).update("path of the webhook").digest("hex").slice(0, 32)}`;
}
