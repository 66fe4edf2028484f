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
  if (address === undefined) throw unknownSubject(refusal, subject, "svc/NAME");
  return address.toString();
}

/** @param forms of other subjects than addresses. People write a Service's namespace and name as tables have them. */
export function unknownSubject(refusal: string, subject: string, forms: string): UsageError {
  const hint = /^[a-z0-9-]+\/[a-z0-9-]+$/.test(subject) ? `; did you mean svc/${subject}?` : "";
  return new UsageError(`${refusal} ${JSON.stringify(subject)}: it is no IP address, nor ${forms}${hint}`);
}
