import type { SessionSettings } from "./session/settings.ts";

/** Why a connection could not be had, or ended, in words and with what may help. */
export function connectionWords(error: unknown, { address, port, sourceAddress }: SessionSettings): string {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  switch (code) {
    case "ECONNREFUSED":
      return `connection refused: nothing accepts connections from this node on ${address} port ${port}`;
    case "EHOSTUNREACH":
      return `${address} is unreachable: it does not answer on its link, or a router or firewall on the way says so (EHOSTUNREACH)`;
    case "ENETUNREACH":
      return `there is no route to ${address} (ENETUNREACH)`;
    case "ETIMEDOUT":
      return `${address} does not answer any more (ETIMEDOUT)`;
    case "ECONNRESET":
      return "the peer reset the connection (ECONNRESET)";
    case "EPIPE":
      return "the peer closed the connection (EPIPE)";
    case "EADDRNOTAVAIL":
      return sourceAddress === undefined
        ? `this node has no address from which to reach ${address} (EADDRNOTAVAIL)`
        : `source-address ${sourceAddress} is on no interface of this node (EADDRNOTAVAIL)`;
    case "EPERM":
    case "EACCES":
      return `this node's firewall forbids connections to ${address} port ${port} (${code})`;
    case "EAFNOSUPPORT":
      return `this node has no ${address.family} (EAFNOSUPPORT)`;
    case "ENOPROTOOPT":
      return `this node's kernel cannot do what is configured, a password or ttl-security: ${message}`;
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
