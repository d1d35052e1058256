import { BookError } from "../book-error.ts";
import type { ParseLimits } from "../parse-limits.ts";
import type { BookWarningCode } from "../parsed-file.ts";
import type { Archive } from "./archive.ts";
import { resolveHref } from "./resolve-href.ts";
import { walkMarkup } from "./walk-markup.ts";

/** The name of the package document: the first that the container names, or else the outermost file that looks like one. */
export async function findPackageDocument(
  archive: Archive,
  limits: ParseLimits,
  warnings: Set<BookWarningCode>,
): Promise<string> {
  const container = await archive.read("META-INF/container.xml");
  const named = container === null ? [] : readRootFiles(container, limits);
  for (const path of named) {
    const target = resolveHref(archive, "container", path);
    if (target !== null) {
      return target.name;
    }
  }
  const candidates = archive.names.filter((name) => /\.opf$/i.test(name));
  const outermost = candidates.toSorted((a, b) => a.split("/").length - b.split("/").length)[0];
  if (outermost === undefined) {
    throw new BookError("no_package_document", "The archive holds no book: it has no package document.");
  }
  warnings.add("container_repaired");
  return outermost;
}

function readRootFiles(container: Buffer, limits: ParseLimits): string[] {
  const packages: string[] = [];
  const others: string[] = [];
  walkMarkup(
    container,
    { syntax: "xml", depth: limits.depth },
    {
      open(element) {
        const path = element.name === "rootfile" ? element.attribute("full-path") : null;
        if (path !== null && path !== "") {
          const isPackage = element.attribute("media-type") === "application/oebps-package+xml";
          (isPackage ? packages : others).push(path);
        }
      },
    },
  );
  return [...packages, ...others];
}
