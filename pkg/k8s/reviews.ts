import { type Fields, fields, list, optionalText } from "#pkg/untrusted";
import type { Request } from "./http.ts";

/** The user with a token, according to the API server (authentication.k8s.io/v1, UserInfo). */
export interface TokenUser {
  readonly user: string;
  readonly uid: string | undefined;
  readonly groups: readonly unknown[];
  readonly extra: Fields;
}

export function tokenReview(token: string): Request {
  return {
    method: "POST",
    path: "/apis/authentication.k8s.io/v1/tokenreviews",
    purpose: "review a token",
    body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token } },
  };
}

/** @returns undefined for a token of nobody */
export function reviewedUser(review: Fields): TokenUser | undefined {
  const status = fields(review.status);
  const user = fields(status.user);
  const name = optionalText(user.username);
  if (status.authenticated !== true || name === undefined || name === "") return undefined;
  return { user: name, uid: optionalText(user.uid), groups: list(user.groups), extra: fields(user.extra) };
}

export function pathReview({ user, uid, groups, extra }: TokenUser, path: string): Request {
  const spec = { user, uid, groups, extra, nonResourceAttributes: { path, verb: "get" } };
  return {
    method: "POST",
    path: "/apis/authorization.k8s.io/v1/subjectaccessreviews",
    purpose: "review access",
    body: { apiVersion: "authorization.k8s.io/v1", kind: "SubjectAccessReview", spec },
  };
}

export function isAllowed(review: Fields): boolean {
  const { allowed, denied } = fields(review.status);
  return allowed === true && denied !== true;
}
