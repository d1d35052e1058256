import { BookError } from "../book-error.ts";
import type { ParseLimits } from "../parse-limits.ts";
import type { Archive } from "./archive.ts";
import { walkMarkup } from "./walk-markup.ts";

/** Obfuscated fonts can be read by everyone and are no text: https://www.w3.org/TR/epub-33/#sec-font-obfuscation */
const FONT_OBFUSCATION = new Set(["http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"]);

/** Refuses books whose contents are encrypted: what a reader without the key sees is noise. */
export async function refuseProtected(archive: Archive, limits: ParseLimits): Promise<void> {
  const licence = ["META-INF/license.lcpl", "META-INF/sinf.xml"].find((name) => archive.find(name) !== null);
  const encryption = await archive.read("META-INF/encryption.xml");
  const algorithms = encryption === null ? [] : readAlgorithms(encryption, limits);
  if (licence !== undefined || algorithms.some((algorithm) => !FONT_OBFUSCATION.has(algorithm))) {
    throw new BookError("drm_protected", "The book is protected by DRM, so its text cannot be read.");
  }
}

/** How each encrypted file was encrypted; empty where that is not said. Keys have algorithms of their own. */
function readAlgorithms(encryption: Buffer, limits: ParseLimits): string[] {
  const algorithms: string[] = [];
  const path: string[] = [];
  walkMarkup(
    encryption,
    { syntax: "xml", depth: limits.depth },
    {
      open(element) {
        if (element.name === "encrypteddata") {
          algorithms.push("");
        } else if (element.name === "encryptionmethod" && path.at(-1) === "encrypteddata") {
          algorithms[algorithms.length - 1] = element.attribute("algorithm") ?? "";
        }
        path.push(element.name);
      },
      close() {
        path.pop();
      },
    },
  );
  return algorithms;
}
