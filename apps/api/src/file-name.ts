/** Longer names are cut. In UTF-16 code units. */
const MOST_LENGTH = 255;
/** Control characters, and those that turn the direction of writing around so that a name looks like another. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** What people may be shown as the name of an uploaded file, or null. It never becomes a path. */
export function plainFileName(name: string | null | undefined): string | null {
  const last = (name ?? "").split(/[/\\]/).at(-1) ?? "";
  const plain = last.normalize("NFC").replace(INVISIBLE, "").trim();
  const short = plain.slice(0, MOST_LENGTH).replace(/[\uD800-\uDBFF]$/, "");
  return short === "" || short === "." || short === ".." ? null : short;
}

/** The file name of a Content-Disposition header (RFC 6266), or null. */
export function fileNameOfDisposition(header: string | undefined): string | null {
  const extended = /;\s*filename\*\s*=\s*utf-8''([^;\s]+)/i.exec(header ?? "")?.[1];
  if (extended !== undefined) {
    try {
      return decodeURIComponent(extended);
    } catch {
      // Then the plain one, if there is one.
    }
  }
  const [, quoted, bare] = /;\s*filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))/i.exec(header ?? "") ?? [];
  const name = quoted?.replace(/\\(.)/g, "$1") ?? bare;
  if (name === undefined) return null;
  // Header bytes arrive as Latin-1 characters; most clients send UTF-8.
  const text = Buffer.from(name, "latin1").toString("utf8");
  return text.includes("\uFFFD") ? name : text;
}
