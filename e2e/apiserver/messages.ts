import type { IncomingMessage, ServerResponse } from "node:http";
import { ApiError, unsupportedMediaType } from "./api-error.ts";
import { at, type Json } from "./json.ts";
import { parseJson, parseYaml } from "./patch-body.ts";
import { decodeProtobuf, protobufMediaType } from "./protobuf.ts";

const maximumBodyOctets = 3 * 1024 * 1024; // The real API's limit.

export function mediaType(request: IncomingMessage): string {
  return (request.headers["content-type"] ?? "").split(";")[0]?.trim() ?? "";
}

async function readOctets(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let octets = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    octets += chunk.length;
    if (octets > maximumBodyOctets)
      throw new ApiError(413, "RequestEntityTooLarge", `Request entity too large: limit is ${maximumBodyOctets}`, {});
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export async function readText(request: IncomingMessage): Promise<string> {
  return (await readOctets(request)).toString();
}

/** The object in the body of a request. @throws {ApiError} 400, 413 or 415 */
export async function readObject(request: IncomingMessage): Promise<Json> {
  switch (mediaType(request)) {
    case "":
    case "application/json":
      return parseJson(await readText(request), "the object provided is unrecognized");
    case "application/yaml":
      return parseYaml(await readText(request));
    case protobufMediaType:
      return decodeProtobuf(await readOctets(request));
    default:
      throw unsupportedMediaType(
        `the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, ${protobufMediaType}`,
      );
  }
}

export function send(response: ServerResponse, code: number, body: string | Uint8Array, contentType = "application/json"): void {
  const content = typeof body === "string" ? Buffer.from(body) : body;
  response.writeHead(code, {
    "content-type": contentType,
    "content-length": content.length,
    "cache-control": "no-cache, private",
  });
  response.end(content);
}

/** Answers with a Status; an error that is no `ApiError` is an internal error, with its stack. */
export function sendError(response: ServerResponse, error: unknown): void {
  const apiError =
    error instanceof ApiError
      ? error
      : new ApiError(500, "InternalError", `Internal error occurred: ${(error as Error).stack}`, {});
  const retryAfter = at(apiError.details, "retryAfterSeconds");
  if (retryAfter !== undefined) response.setHeader("retry-after", String(retryAfter));
  send(response, apiError.code, JSON.stringify(apiError.status));
}
