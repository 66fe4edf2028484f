import type { ApiError } from "./errors.ts";

/** Why the API cannot be used, and the remedy; empty where the words of the error do not tell it. */
export interface ApiProblem {
  readonly why: string;
  readonly next: string;
}

const remedies: readonly (readonly [RegExp, string])[] = [
  [
    /ENOTFOUND|EAI_AGAIN/,
    "correct the name of the API server, in KUBERNETES_SERVICE_HOST or the kubeconfig, or the node's /etc/resolv.conf",
  ],
  [
    /certificate|CERT_|altname/i,
    "see whether the node's clock is right (timedatectl), and whether the API server's certificate is valid and signed by the CA that the process has",
  ],
  [
    /\b401\b/,
    "see whether the node's clock is right (timedatectl); a Pod that is deleted comes back with a new token: kubectl -n metallb-system delete pod and its name",
  ],
  [
    /\b403\b/,
    "apply the manifests again, or upgrade the Helm release, for their roles; kubectl -n metallb-system auth can-i --list --as=system:serviceaccount:metallb-system:speaker shows what there is",
  ],
];

const maxProblem = 300; // In characters.

export function problemOf({ message, status, cause }: ApiError): ApiProblem {
  const why = `${message}${cause instanceof Error ? `: ${cause.message}` : ""}`.slice(0, maxProblem);
  const [account] = /system:serviceaccount:[a-z\d-]+:[a-z\d.-]+/.exec(why) ?? []; // Helm gives it another name.
  const next = remedies.find(([words]) => words.test(`${status} ${why}`))?.[1] ?? "";
  return { why, next: account === undefined ? next : next.replace("system:serviceaccount:metallb-system:speaker", account) };
}
