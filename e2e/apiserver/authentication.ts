import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import { badRequest, unauthorized } from "./api-error.ts";
import type { Action } from "./rbac.ts";
import type { Registry } from "./registry.ts";
import { serviceAccounts } from "./resources.ts";
import { serviceAccountOf, serviceAccountUser, type Tokens, type User } from "./tokens.ts";

export interface AuthenticatorOptions {
  readonly registry: Registry;
  readonly tokens: Tokens;
  readonly now: () => Date;
}

export const anonymous: User = { name: "system:anonymous", groups: ["system:unauthenticated"] };

/** Finds out who makes a request: from a bearer token, else from the client's certificate. */
export class Authenticator {
  readonly #options: AuthenticatorOptions;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /** @returns `anonymous` where there are no credentials @throws {ApiError} 401 for a token that is not valid */
  authenticate(request: IncomingMessage): User {
    const { authorization } = request.headers;
    if (authorization !== undefined) return this.#bearer(authorization.replace(/^Bearer /i, ""));
    const socket = request.socket as TLSSocket;
    const subject = socket.authorized ? socket.getPeerCertificate().subject : undefined;
    if (subject === undefined) return anonymous;
    return known({ name: [subject.CN].flat()[0] ?? "", groups: [subject.O ?? []].flat() });
  }

  #bearer(token: string): User {
    const { registry, tokens, now } = this.#options;
    const bearer = tokens.verify(token, now().getTime());
    if (bearer === undefined) throw unauthorized();
    const account = bearer.serviceAccount;
    if (account === undefined) return known(bearer);
    const existing = registry.find(serviceAccounts, account.namespace, account.name);
    if (existing?.metadata.uid !== account.uid) throw unauthorized();
    return known(bearer);
  }
}

/** The user that a request impersonates, and the rights that this takes. @throws {ApiError} 400 */
export function impersonation({ headersDistinct: headers }: IncomingMessage): { user: User; actions: Action[] } | undefined {
  const name = headers["impersonate-user"]?.[0];
  const groups = headers["impersonate-group"] ?? [];
  if (name === undefined) {
    if (groups.length > 0) throw badRequest("requested groups to impersonate, but no user");
    return undefined;
  }
  const account = serviceAccountOf(name);
  const action = { type: "resource", verb: "impersonate", group: "", subresource: "", namespace: "" } as const;
  const own = account === undefined ? [] : serviceAccountUser(account.namespace, account.name).groups;
  return {
    user: known({ name, groups: groups.length > 0 ? groups : own }),
    actions: [
      account === undefined ? { ...action, resource: "users", name } : { ...action, resource: "serviceaccounts", ...account },
      ...groups.map((group) => ({ ...action, resource: "groups", name: group })),
    ],
  };
}

function known({ name, groups }: User): User {
  return { name, groups: [...groups, "system:authenticated"] };
}
