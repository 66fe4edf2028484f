import { parseAddress } from "#pkg/net";
import { UsageError } from "../command.ts";

/**
 * Reads `svc/NAME`, `svc/NAMESPACE/NAME` or an address.
 * @param refusal how the message about any other subject begins
 * @returns an address, or a Service as `namespace/name`
 * @throws {UsageError} for any other subject
 */
export function readSubject(subject: string, namespace: string, refusal: string): string {
  const [, name] = /^(?:svc|services?)\/(.+)$/.exec(subject) ?? [];
  if (name !== undefined) return name.includes("/") ? name : `${namespace}/${name}`;
  const address = parseAddress(subject);
  if (address === undefined) throw new UsageError(`${refusal} ${JSON.stringify(subject)}: it is no IP address, nor svc/NAME`);
  return address.toString();
}
