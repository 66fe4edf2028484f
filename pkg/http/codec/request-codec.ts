export interface Request {
  readonly type: "request";
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** Behind the question mark; empty without one. */
  readonly query: string;
  /** The header `Host`; empty without one. */
  readonly host: string;
  /** The header `Authorization`; empty without one. */
  readonly authorization: string;
  /** The client may send another request on this connection. */
  readonly keepAlive: boolean;
  /** Its length in bytes; what follows is the next request. */
  readonly length: number;
}

/** A request that is not answered as asked; the connection cannot go on. */
export interface RequestRefusal {
  readonly type: "refused";
  readonly status: 400 | 413 | 431 | 505;
}

const maxHeadBytes = 8 << 10;
const maxHeaders = 64;

/**
 * Reads the head of an HTTP/1.x request (RFC 9112, sections 2 to 5) from the beginning of `bytes`. Requests with a body are refused,
 * because nothing here takes one. @returns undefined while it is incomplete
 */
export function decodeRequest(bytes: Buffer): Request | RequestRefusal | undefined {
  // A client may send an empty line before a request (section 2.2).
  const start = bytes[0] === 0x0d && bytes[1] === 0x0a ? 2 : 0;
  const end = bytes.subarray(start, start + maxHeadBytes).indexOf("\r\n\r\n");
  if (end === -1) return bytes.length - start >= maxHeadBytes ? { type: "refused", status: 431 } : undefined;
  const [requestLine = "", ...lines] = bytes.toString("latin1", start, start + end).split("\r\n");
  const [, method, target, version] = /^([A-Z]{1,16}) ([!-~]+) HTTP\/(\d\.\d)$/.exec(requestLine) ?? [];
  if (method === undefined || target === undefined || version === undefined) return { type: "refused", status: 400 };
  if (!version.startsWith("1.")) return { type: "refused", status: 505 };
  if (lines.length > maxHeaders) return { type: "refused", status: 431 };
  const headers = new Map<string, string>(); // name in small letters -> value
  for (const line of lines) {
    const [, name, value] = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t -~\x80-\xff]*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) return { type: "refused", status: 400 };
    const key = name.toLowerCase();
    const before = headers.get(key);
    if (before !== undefined && (key === "host" || key === "content-length" || key === "authorization"))
      return { type: "refused", status: 400 };
    headers.set(key, before === undefined ? value.trim() : `${before}, ${value.trim()}`);
  }
  if (version !== "1.0" && !headers.has("host")) return { type: "refused", status: 400 }; // Section 3.2.
  if (headers.has("transfer-encoding") || (headers.get("content-length") ?? "0") !== "0") return { type: "refused", status: 413 };
  const connection = (headers.get("connection") ?? "").toLowerCase();
  const keepAlive = version === "1.0" ? /\bkeep-alive\b/.test(connection) : !/\bclose\b/.test(connection);
  const { path, query } = readTarget(target);
  const [host = "", authorization = ""] = [headers.get("host"), headers.get("authorization")];
  return { type: "request", method, path, query, host, authorization, keepAlive, length: start + end + 4 };
}

/** A target in origin form, or in the absolute form that servers have to take (section 3.2.2). */
function readTarget(target: string): Pick<Request, "path" | "query"> {
  const [path = "", ...query] = target.replace(/^https?:\/\/[^/?]*/i, "").split("?");
  return { path: path || "/", query: query.join("?") };
}
