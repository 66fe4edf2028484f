import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));

/**
 * The sources of a commit or tag, with the libraries of this one.
 * @returns its folder, which ends with a slash
 * @throws {Error} where git does not know it
 */
export function checkOut(commit: string): string {
  const git = (...argv: string[]) => execFileSync("git", argv, { cwd: root, maxBuffer: 1 << 30 });
  const hash = git("rev-parse", "--verify", `${commit}^{commit}`).toString().trim();
  const folder = `${root}.cache/versions/${hash}/`;
  if (existsSync(folder)) return folder;
  mkdirSync(folder, { recursive: true });
  execFileSync("tar", ["-x", "-C", folder], { input: git("archive", hash) });
  symlinkSync(`${root}node_modules`, `${folder}node_modules`);
  return folder;
}
