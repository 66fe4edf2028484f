import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The repository's folder. */
export const root = join(import.meta.dirname, "../..");

export interface Page {
  /** From the repository's folder. */
  readonly file: string;
  readonly text: string;
}

export interface Block {
  /** Such as `docs/bgp.md:12`. */
  readonly place: string;
  /** The word behind the fence; empty without one. */
  readonly language: string;
  readonly text: string;
}

export interface Link {
  readonly place: string;
  readonly target: string;
}

/** Every page of documentation. */
export function pages(): Page[] {
  const files = globSync(["*.md", "docs/**/*.md", "config-samples/*.md", "manifests/**/*.md", "charts/*/*.md"], {
    cwd: root,
  }).sort();
  return files.map((file) => ({ file, text: read(file) }));
}

export function page(file: string): Page {
  return { file, text: read(file) };
}

export function read(file: string): string {
  return readFileSync(join(root, file), "utf8");
}

export function blocks({ file, text }: Page): Block[] {
  const found: Block[] = [];
  let open: { line: number; language: string; lines: string[] } | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    const fence = /^```(\S*)/.exec(line);
    if (fence === null) open?.lines.push(line);
    else if (open === undefined) open = { line: index + 2, language: fence[1] ?? "", lines: [] };
    else {
      found.push({ place: `${file}:${open.line}`, language: open.language, text: `${open.lines.join("\n")}\n` });
      open = undefined;
    }
  }
  return found;
}

/** The page's lines that are outside of blocks; those inside are empty. */
export function prose({ text }: Page): string[] {
  let inside = false;
  return text.split("\n").map((line) => {
    const fence = line.startsWith("```");
    if (fence) inside = !inside;
    return inside || fence ? "" : line;
  });
}

export function links(one: Page): Link[] {
  return prose(one).flatMap((line, index) =>
    [...line.replaceAll(/`[^`]*`/g, "code").matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => ({
      place: `${one.file}:${index + 1}`,
      target,
    })),
  );
}

/** Text between backticks outside of blocks. */
export function codeSpans(one: Page): { readonly place: string; readonly text: string }[] {
  return prose(one).flatMap((line, index) =>
    [...line.matchAll(/`([^`]+)`/g)].map(([, text = ""]) => ({ place: `${one.file}:${index + 1}`, text })),
  );
}

/** The anchors that GitHub gives to the page's headings. */
export function anchors(one: Page): Set<string> {
  const seen = new Map<string, number>(); // anchor -> headings so far
  const all = new Set<string>();
  for (const line of prose(one)) {
    const heading = /^#{1,6} +(.*)$/.exec(line)?.[1];
    if (heading === undefined) continue;
    const anchor = anchorOf(heading);
    const count = seen.get(anchor) ?? 0;
    seen.set(anchor, count + 1);
    all.add(count === 0 ? anchor : `${anchor}-${count}`);
  }
  return all;
}

export function anchorOf(heading: string): string {
  const text = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
  return text.replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");
}

/** The rows of the tables below one heading, without their head: the cells of each. */
export function tableRows(one: Page, heading: string): string[][] {
  const lines = prose(one);
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, "") === heading);
  if (start < 0) throw new Error(`Cannot find the heading ${JSON.stringify(heading)} in ${one.file}`);
  const end = lines.findIndex((line, index) => index > start && /^#+ /.test(line));
  const section = lines.slice(start + 1, end < 0 ? undefined : end);
  return section.flatMap((line, index) => {
    const isHead = section[index + 1]?.startsWith("|---") || line.startsWith("|---");
    return line.startsWith("|") && !isHead
      ? [
          line
            .slice(1, -1)
            .split(/(?<!\\)\|/)
            .map((cell) => cell.trim()),
        ]
      : [];
  });
}
