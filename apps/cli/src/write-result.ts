import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Client, MarkdownFile } from "./client.ts";
import type { WireBook, WireResult, WireRun } from "./wire.ts";

/** What `--json` prints: the API's result with the chapters of all pages, and its run. */
export type WholeResult = WireResult & { readonly run: WireRun };

const NAME_LENGTH = 60;
/** Names that Windows keeps for devices. */
const DEVICES = /^(?:con|prn|aux|nul|com\d|lpt\d)$/;

export async function readWholeResult(
  client: Client,
  run: WireRun,
  recipe: string | null,
): Promise<WholeResult> {
  const result = await client.result(run.id, recipe, null);
  for (const [name, part] of Object.entries(result.recipes)) {
    let { next } = part;
    while (next !== null) {
      const more: WireResult["recipes"][string] | undefined = (await client.result(run.id, name, next))
        .recipes[name];
      part.chapters.push(...(more?.chapters ?? []));
      next = more?.next ?? null;
    }
    part.next = null;
  }
  return { ...result, run };
}

/** Writes the files of a result into `directory/<book>/` and answers their paths. `result.json` says of which file it is. */
export async function writeResult(
  client: Client,
  whole: WholeResult,
  directory: string,
): Promise<readonly string[]> {
  const files: MarkdownFile[] = [];
  for (const recipe of whole.run.recipes) files.push(await client.markdown(whole.run.id, recipe));
  const book = await client.book(whole.run.book_id);
  const folder = await folderFor(book, directory);
  await mkdir(folder, { recursive: true });
  const file = { name: book.file_name, sha256: book.sha256 };
  const contents = [
    ...files.map((file) => ({ name: file.fileName, content: file.markdown })),
    { name: "result.json", content: `${JSON.stringify({ file, ...whole }, null, 2)}\n` },
  ];
  for (const { name, content } of contents) await writeWhole(join(folder, name), content);
  return contents.map(({ name }) => join(folder, name));
}

/** The file's own folder, whichever store it went through; another file of the same title gets another one. */
async function folderFor(book: WireBook, directory: string): Promise<string> {
  const plain = join(directory, folderName(book));
  const owner = await ownerOf(join(plain, "result.json"));
  return owner === null || owner === book.sha256 ? plain : `${plain}-${book.sha256.slice(0, 6)}`;
}

/** Digest of the file of which a result is. */
async function ownerOf(path: string): Promise<string | null> {
  try {
    const shape = z.object({ file: z.object({ sha256: z.string() }) });
    return shape.parse(JSON.parse(await readFile(path, "utf8"))).file.sha256;
  } catch {
    // Not there, or not one of ours: then it belongs to no other file.
    return null;
  }
}

/** The book's title as a folder's name that every system takes. */
export function folderName(book: Pick<WireBook, "id" | "title" | "file_name">): string {
  const title = book.title ?? book.file_name?.replace(/\.[^.]*$/, "") ?? "";
  const name = title
    .normalize("NFKD")
    .replace(/(\p{Script=Latin})[\u0300-\u036f]+/gu, "$1")
    .normalize("NFC")
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}]+/gu, "-");
  const short = [...name]
    .slice(0, NAME_LENGTH)
    .join("")
    .replace(/^-+|-+$/g, "");
  if (short === "") return book.id;
  return DEVICES.test(short) ? `${short}-book` : short;
}

/** Writes beside and renames, so that whoever looks finds the old file or the new one, never half of it. */
async function writeWhole(path: string, content: string): Promise<void> {
  const half = `${path}.${process.pid}.part`;
  await writeFile(half, content);
  await rename(half, path);
}
