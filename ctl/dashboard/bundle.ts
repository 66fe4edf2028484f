import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Plugin } from "esbuild";

/** A file of the page, as it is sent. */
interface PageFile {
  readonly contentType: string;
  readonly body: string;
}

export type PageFiles = ReadonlyMap<string, PageFile>; // path -> file

const folder = join(import.meta.dirname ?? "", "page");

/** Bundles the page from its sources. A program that is a bundle itself has the result inside: see `embedPage`. */
export async function pageFiles(): Promise<PageFiles> {
  const esbuild = await import("esbuild");
  const { outputFiles } = await esbuild.build({
    entryPoints: [join(folder, "main.tsx")],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2023",
    jsx: "automatic",
    jsxImportSource: "preact",
    minify: true,
    charset: "ascii",
    legalComments: "none",
    logLevel: "warning",
  });
  const read = (name: string) => readFile(join(folder, name), "utf8");
  return new Map([
    ["/", { contentType: "text/html", body: await read("index.html") }],
    ["/app.js", { contentType: "text/javascript", body: outputFiles[0]?.text ?? "" }],
    ["/app.css", { contentType: "text/css", body: await read("style.css") }],
    ["/icon.svg", { contentType: "image/svg+xml", body: await read("icon.svg") }],
  ]);
}

/** For bundles of the program: puts the page's files in the place of this module, which could not make them there. */
export const embedPage: Plugin = {
  name: "embed the page of the dashboard",
  setup(build) {
    build.onLoad({ filter: /ctl\/dashboard\/bundle\.ts$/ }, async () => {
      const files = JSON.stringify([...(await pageFiles())]);
      return { contents: `export const pageFiles = async () => new Map(${files});`, loader: "js" };
    });
  },
};
