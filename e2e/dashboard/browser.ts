import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import type { AxeResults } from "axe-core";
import { type Browser, chromium, type Page } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

function chromiumPath(): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return folders.map((folder) => join(folder, "chromium")).find((file) => existsSync(file));
}

/** Why there is no browser here, and what to do; false where there is one. */
export function chromiumRefusal(): string | false {
  return chromiumPath() === undefined && "chromium is not installed: on Debian and Ubuntu, apt-get install chromium";
}

/** For actions of a page or the cluster behind it: only a failure takes as long, on a machine of any speed. */
export const patience = { timeout: 120_000 };

export interface ViewerOptions {
  readonly width?: number;
  readonly height?: number;
  readonly colorScheme?: "light" | "dark";
  /** Names and their addresses; other names resolve as everywhere. */
  readonly names?: Readonly<Record<string, string>>;
}

/** One person's browser with one page. */
export class Viewer implements AsyncDisposable {
  readonly page: Page;
  readonly #browser: Browser;
  readonly #complaints: string[] = [];

  private constructor(browser: Browser, page: Page) {
    this.#browser = browser;
    this.page = page;
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") this.#complaints.push(message.text());
    });
    page.on("pageerror", (error) => this.#complaints.push(`${error.stack}`));
    page.on("dialog", (dialog) => {
      this.#complaints.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("request", (request) => {
      if (new URL(request.url()).hostname !== "127.0.0.1") this.#complaints.push(`request for ${request.url()}`);
    });
  }

  static async start({ width = 1280, height = 800, colorScheme = "light", names = {} }: ViewerOptions = {}): Promise<Viewer> {
    const executablePath = chromiumPath();
    if (executablePath === undefined) throw new Error(`Cannot start a browser: ${chromiumRefusal()}`);
    // Its sandbox takes namespaces, which root has no need of.
    const rights = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
    const rules = Object.entries(names).map(([name, address]) => `MAP ${name} ${address}`);
    const args = [...rights, "--disable-lcd-text", `--host-resolver-rules=${rules.join(",")}`];
    const browser = await chromium.launch({ executablePath, args });
    const page = await browser.newPage({ viewport: { width, height }, colorScheme });
    page.setDefaultTimeout(patience.timeout);
    return new Viewer(browser, page);
  }

  /** Messages of the console, and errors in the page; and requests for other hosts. */
  get complaints(): readonly string[] {
    return this.#complaints;
  }

  /** Finds what keeps people from using the page: https://github.com/dequelabs/axe-core. */
  async assertAccessible(what: string): Promise<void> {
    if (await this.page.evaluate("globalThis.axe === undefined")) await this.page.evaluate(axe);
    const { violations } = await this.page.evaluate<AxeResults>("axe.run()");
    const found = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(" ")}`);
    assert.deepEqual(found, [], what);
  }

  /** Nothing is wider than the page. */
  async assertFits(what: string): Promise<void> {
    const beyond = await this.page.evaluate<number>("document.documentElement.scrollWidth - innerWidth");
    assert.ok(beyond <= 0, `${what} is ${beyond} pixels wider than the page`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
  }
}
