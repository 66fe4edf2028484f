import { type Fields, fields, parsed, text } from "#pkg/untrusted";

/** A request for admission of a ConfigMap (admission.k8s.io/v1), as far as it is looked at. */
export interface AdmissionRequest {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** The ConfigMap's data as it is to be; undefined where it is to be gone. */
  readonly data: Fields | undefined;
  /** Its annotations, as they are to be. */
  readonly annotations: Fields;
  /** The present data; undefined if the object does not exist. */
  readonly before: Fields | undefined;
}

export interface AdmissionVerdict {
  readonly allowed: boolean;
  /** Why it is not. */
  readonly message?: string;
  /** Warnings that kubectl shows all the same. */
  readonly warnings: readonly string[];
}

// The API server cuts each after 256 characters, and drops what is beyond 4096 of all together.
const maxWarningLength = 250;
const maxWarnings = 12;
const maxMessageLength = 8_000;

/** @returns undefined for what is no AdmissionReview with a request */
export function readReview(body: string): AdmissionRequest | undefined {
  const review = fields(parsed(body));
  const { uid, namespace, name, object, oldObject } = fields(review.request);
  if (review.kind !== "AdmissionReview" || typeof uid !== "string") return undefined;
  const metadata = fields(fields(object).metadata);
  return {
    uid,
    namespace: text(namespace),
    name: text(name) || text(metadata.name),
    data: dataOf(object),
    annotations: fields(metadata.annotations),
    before: dataOf(oldObject),
  };
}

export function answerReview(uid: string, { allowed, message, warnings }: AdmissionVerdict): string {
  const shown = warnings.slice(0, maxWarnings).map((warning) => cut(warning, maxWarningLength));
  const status = message === undefined ? undefined : { code: 422, reason: "Invalid", message: cut(message, maxMessageLength) };
  const response = { uid, allowed, warnings: shown, status };
  return JSON.stringify({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", response });
}

function dataOf(object: unknown): AdmissionRequest["data"] {
  return typeof object === "object" && object !== null ? fields(fields(object).data) : undefined;
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
