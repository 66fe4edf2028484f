/** Shared by the tests of the codec: octets as people write them, and the sessions that most tests mean. */
import type { UpdateSession } from "../attribute-rules.ts";
import type { NotificationError } from "../notification-error.ts";

/** From hexadecimal digits; blanks are for the eye. */
export function octets(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"));
}

export function hex(octetsOfAnything: Uint8Array): string {
  return Buffer.from(octetsOfAnything).toString("hex");
}

/** With a peer of another AS, and everything agreed on. */
export const external: UpdateSession = {
  internal: false,
  families: new Set(["IPv4", "IPv6"]),
  fourOctetAsn: true,
  extendedNextHop: true,
};
export const internal: UpdateSession = { ...external, internal: true };

/** A message: its header, and the body in hexadecimal. */
export function message(type: number, body: string): Uint8Array {
  const length = (19 + octets(body).length).toString(16).padStart(4, "0");
  return octets(`${"ff".repeat(16)}${length}${type.toString(16).padStart(2, "0")}${body}`);
}

/** The body of an UPDATE, from its fields in hexadecimal. */
export function updateBody({
  withdrawn = "",
  attributes = "",
  nlri = "",
}: Partial<Record<"withdrawn" | "attributes" | "nlri", string>>) {
  const field = (text: string) => octets(text).length.toString(16).padStart(4, "0") + text;
  return octets(field(withdrawn) + field(attributes) + nlri);
}

/** The attributes that an UPDATE with an NLRI field must have. */
export const mandatory = { origin: "40010100", asPath: "40020602010000fde9", nextHop: "400304c0000201" } as const;

/** For `assert.throws`: a NotificationError of `code/subcode`, with this data. */
export function notification(codes: string, data = ""): (error: unknown) => boolean {
  return (error) => {
    const { name, code, subcode, data: found } = error as NotificationError;
    const shown = (all: unknown[]) => all.join(" ");
    const actual = shown([name, `${code}/${subcode}`, found && hex(found)]);
    const wanted = shown(["NotificationError", codes, data.replaceAll(" ", "")]);
    if (actual !== wanted) throw new Error(`wanted ${wanted}, got ${actual}: ${error}`, { cause: error });
    return true;
  };
}
