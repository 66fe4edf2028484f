import { type Fields, fields, list, text } from "#pkg/untrusted";
import { ApiError, isExpired } from "./errors.ts";

// A page of kubectl's 500 lives long enough to be moved among V8's old objects, which takes 12 MB more at 10,000 Services.
const pageSize = 200;
// Far above such a page. But 200 objects may have 300 MB, if somebody wants to stop processes that list them.
const maxPageBytes = 8 << 20;

/** Gets a page. @throws {ApiError} `TooLarge` where it has more than `maxBytes` */
type GetPage = (query: Readonly<Record<string, string>>, maxBytes: number | undefined) => Promise<Fields>;

/**
 * Lists objects in pages of up to 200, fewer where objects are large. Yields the items of each page; `again` where the pages took longer than the
 * server keeps versions. The list then begins from the start, in one piece, which cannot expire.
 * @returns the version of the whole list @throws {ApiError}
 */
export async function* listPages(plural: string, get: GetPage): AsyncGenerator<readonly unknown[] | "again", string> {
  let limit: number | undefined = pageSize;
  let largest = pageSize; // Large objects may be few.
  let next = "";
  for (;;) {
    let page: Fields;
    try {
      const maxBytes = limit === undefined || limit === 1 ? undefined : maxPageBytes;
      page = await get({ ...(limit && { limit: `${limit}` }), ...(next && { continue: next }) }, maxBytes);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (limit !== undefined && limit > 1 && error.reason === "TooLarge") {
        largest = Math.ceil(limit / 2);
        limit = Math.ceil(limit / 8);
        continue;
      }
      if (!isExpired(error) || next === "") throw error;
      yield "again";
      [limit, next] = [undefined, ""];
      continue;
    }
    const { resourceVersion, continue: more } = fields(page.metadata);
    yield itemsOf(page, plural);
    largest = Math.min(largest + 1, pageSize);
    if (limit !== undefined) limit = Math.min(2 * limit, largest);
    next = text(more);
    if (next === "") return text(resourceVersion);
  }
}

/** A proxy may answer in the server's place: that is no empty list. @throws {ApiError} */
export function itemsOf({ items, metadata }: Fields, plural: string): readonly unknown[] {
  if ((items !== null && !Array.isArray(items)) || text(fields(metadata).resourceVersion) === "")
    throw new ApiError(`Cannot list ${plural}: the answer is not a list`, 200, "Malformed");
  return list(items);
}

/** Parameters of a watch that begins with all objects: the first time as any member of the API has them, later as they are (KEP-3157). */
export function streamedList(isSynced: boolean): Readonly<Record<string, string>> {
  const old = isSynced ? {} : { resourceVersion: "0" };
  return { sendInitialEvents: "true", resourceVersionMatch: "NotOlderThan", ...old };
}
