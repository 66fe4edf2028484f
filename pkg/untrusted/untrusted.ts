export type Fields = Readonly<Record<string, unknown>>;

const noFields: Fields = Object.freeze({});
const nothing: readonly unknown[] = Object.freeze([]);

export function fields(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : noFields;
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : nothing;
}

export function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** Undefined also for the empty text, which Kubernetes uses for unset. */
export function optionalText(value: unknown): string | undefined {
  return text(value) || undefined;
}

/** Whether there is anything within more than `depth` objects or lists. */
export function isDeeper(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return depth === 0 || Object.values(value).some((each) => isDeeper(each, depth - 1));
}

/** @returns undefined where the text is not JSON */
export function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** The whole stream; undefined where it has more octets than that. The rest of a longer stream is not read. @throws what the stream throws */
export async function octetsUpTo(stream: AsyncIterable<Uint8Array>, most: number): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let octets = 0;
  for await (const chunk of stream) {
    octets += chunk.length;
    if (octets > most) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, octets);
}
