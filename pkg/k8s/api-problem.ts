import type { ApiError } from "./errors.ts";

/** Why the API cannot be used, and the remedy; empty where the words of the error do not tell it. */
export interface ApiProblem {
  readonly why: string;
  readonly next: string;
}

/** Status, words, remedy. Without an answer the status is 0: words in one are about what the API server itself asks, such as a webhook. */
const remedies: readonly (readonly [number, RegExp, string])[] = [
  [
    0,
    /ENOTFOUND|EAI_AGAIN/,
    "correct the name of the API server, in KUBERNETES_SERVICE_HOST or the kubeconfig, or the node's /etc/resolv.conf",
  ],
  [
    0,
    /certificate|CERT_|altname/i,
    "see whether the node's clock is right (timedatectl), and whether the API server's certificate is valid and signed by the CA that the process has",
  ],
  [
    401,
    /^/,
    "see whether the node's clock is right (timedatectl); a Pod that is deleted comes back with a new token: kubectl -n metallb-system delete pod and its name",
  ],
  [
    403,
    /^/,
    "apply the manifests again, or upgrade the Helm release, for their roles; kubectl -n metallb-system auth can-i --list --as=system:serviceaccount:metallb-system:speaker shows what there is",
  ],
];

const maxProblem = 300; // In characters.

export function problemOf({ message, status, cause }: ApiError): ApiProblem {
  const why = `${message}${cause instanceof Error ? `: ${cause.message}` : ""}`.slice(0, maxProblem);
  const [account] = /system:serviceaccount:[a-z\d-]+:[a-z\d.-]+/.exec(why) ?? []; // Helm gives it another name.
  const next = remedies.find(([of, words]) => of === status && words.test(why))?.[2] ?? "";
  return { why, next: account === undefined ? next : next.replace("system:serviceaccount:metallb-system:speaker", account) };
}
