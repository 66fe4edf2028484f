import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { asNumber, asObject, asText, at, type JsonObject } from "./json.ts";

/** The user of a request. */
export interface User {
  readonly name: string;
  readonly groups: readonly string[];
}

/** The user of a bearer token. `serviceAccount` is to be checked against the existing accounts. */
export interface Bearer extends User {
  readonly serviceAccount?: { readonly namespace: string; readonly name: string; readonly uid: string };
}

export const tokenAudience = "https://kubernetes.default.svc";
const header = encode({ alg: "HS256", typ: "JWT" });

/** Makes and checks bearer tokens. They look like those of Kubernetes but are signed with a secret of this process. */
export class Tokens {
  readonly #secret = randomBytes(32);

  /** `expires` in milliseconds since 1970. */
  issue({ name, groups, serviceAccount }: Bearer, issued: number, expires: number): string {
    const account =
      serviceAccount === undefined
        ? {}
        : {
            "kubernetes.io": {
              namespace: serviceAccount.namespace,
              serviceaccount: { name: serviceAccount.name, uid: serviceAccount.uid },
            },
          };
    const claims = {
      aud: [tokenAudience],
      iss: tokenAudience,
      iat: Math.floor(issued / 1000),
      exp: Math.floor(expires / 1000),
      sub: name,
      groups: [...groups],
      ...account,
    };
    const body = `${header}.${encode(claims)}`;
    return `${body}.${this.#signature(body)}`;
  }

  /** @returns undefined for a token that is not from here, or has expired */
  verify(token: string, now: number): Bearer | undefined {
    const end = token.lastIndexOf(".");
    const expected = Buffer.from(this.#signature(token.slice(0, Math.max(0, end))));
    const given = Buffer.from(token.slice(end + 1));
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
    const claims = asObject(JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()));
    if ((asNumber(claims.exp) ?? 0) * 1000 <= now) return undefined;
    const user = { name: asText(claims.sub), groups: (claims.groups ?? []) as readonly string[] };
    const account = asObject(at(claims, "kubernetes.io", "serviceaccount"));
    if (account.name === undefined) return user;
    const namespace = asText(at(claims, "kubernetes.io", "namespace"));
    return { ...user, serviceAccount: { namespace, name: asText(account.name), uid: asText(account.uid) } };
  }

  #signature(body: string): string {
    return createHmac("sha256", this.#secret).update(body).digest("base64url");
  }
}

const accountName = /^system:serviceaccount:([^:]+):([^:]+)$/;

/** The ServiceAccount that a user name stands for, if any. */
export function serviceAccountOf(userName: string): { namespace: string; name: string } | undefined {
  const [, namespace, name] = accountName.exec(userName) ?? [];
  return namespace === undefined || name === undefined ? undefined : { namespace, name };
}

/** The user that a ServiceAccount is. */
export function serviceAccountUser(namespace: string, name: string): User {
  return {
    name: `system:serviceaccount:${namespace}:${name}`,
    groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`],
  };
}

function encode(value: JsonObject): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
