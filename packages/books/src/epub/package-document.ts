import { BookError } from "../book-error.ts";
import { cleanLine } from "../clean-text.ts";
import type { ParseLimits } from "../parse-limits.ts";
import { type Element, walkMarkup } from "./walk-markup.ts";

export interface ManifestItem {
  readonly id: string;
  readonly href: string;
  readonly mediaType: string;
  readonly properties: readonly string[];
  /** The id of an item to show where this one cannot be. */
  readonly fallback: string | null;
}

export interface SpineItem {
  readonly id: string;
  /** False for what is read only when a link leads there. */
  readonly isLinear: boolean;
}

/** A place that the package's guide names by its use, as `toc` or `text`. */
interface GuideEntry {
  readonly type: string;
  readonly href: string;
}

export interface PackageDocument {
  readonly title: string | null;
  readonly authors: readonly string[];
  readonly language: string | null;
  readonly manifest: ReadonlyMap<string, ManifestItem>;
  readonly spine: readonly SpineItem[];
  /** The manifest's id of the NCX. */
  readonly ncx: string | null;
  readonly guide: readonly GuideEntry[];
}

/** A title, a creator or a language, with the metadata that refine it. */
interface Statement {
  readonly name: string;
  readonly id: string | null;
  role: string | null;
  text: string;
}

/** Elements of a package document for each entry that an archive may have. Real ones have two or three. */
const ELEMENTS_PER_ENTRY = 10;

interface Refinement {
  readonly of: string;
  readonly property: string;
  text: string;
}

export function readPackageDocument(bytes: Buffer, limits: ParseLimits): PackageDocument {
  const statements: Statement[] = [];
  const refinements: Refinement[] = [];
  const manifest = new Map<string, ManifestItem>();
  const spine: SpineItem[] = [];
  const guide: GuideEntry[] = [];
  let ncx: string | null = null;
  let filling: { text: string } | null = null;
  let elements = 0;
  walkMarkup(
    bytes,
    { syntax: "xml", depth: limits.depth },
    {
      open(element) {
        elements += 1;
        if (elements > limits.entries * ELEMENTS_PER_ENTRY) {
          throw new BookError("too_large", "The book's package document lists too much.");
        }
        filling = openStatement(element, statements) ?? openRefinement(element, refinements);
        if (element.name === "item") {
          addItem(manifest, element);
        } else if (element.name === "itemref") {
          const isLinear = element.attribute("linear")?.toLowerCase() !== "no";
          spine.push({ id: element.attribute("idref") ?? "", isLinear });
        } else if (element.name === "spine") {
          ncx = element.attribute("toc");
        } else if (element.name === "reference") {
          const type = element.attribute("type")?.toLowerCase() ?? "";
          guide.push({ type, href: element.attribute("href") ?? "" });
        }
      },
      text(text) {
        if (filling !== null) {
          filling.text += text;
        }
      },
      close() {
        filling = null;
      },
    },
  );
  return { ...describe(statements, refinements), manifest, spine, ncx, guide };
}

function openStatement(element: Element, statements: Statement[]): Statement | null {
  if (!["title", "creator", "language"].includes(element.name)) {
    return null;
  }
  const id = element.attribute("id");
  const statement = { name: element.name, id, role: element.attribute("role"), text: "" };
  statements.push(statement);
  return statement;
}

function openRefinement(element: Element, refinements: Refinement[]): Refinement | null {
  const of = element.name === "meta" ? element.attribute("refines") : null;
  const property = element.attribute("property");
  if (of === null || property === null) {
    return null;
  }
  const refinement = { of: of.replace(/^#/, ""), property, text: "" };
  refinements.push(refinement);
  return refinement;
}

function addItem(manifest: Map<string, ManifestItem>, element: Element): void {
  const id = element.attribute("id") ?? "";
  const href = element.attribute("href") ?? "";
  if (href !== "" && !manifest.has(id)) {
    manifest.set(id, {
      id,
      href,
      mediaType: (element.attribute("media-type") ?? "").toLowerCase().replace(/;.*$/s, "").trim(),
      properties: (element.attribute("properties") ?? "").split(/\s+/),
      fallback: element.attribute("fallback"),
    });
  }
}

/** The main title, those who wrote the book rather than translated or drew it, and its first language. */
function describe(
  statements: readonly Statement[],
  refinements: readonly Refinement[],
): Pick<PackageDocument, "title" | "authors" | "language"> {
  const refined = new Map(
    refinements.map(({ of, property, text }) => [`${of} ${property}`, text.trim().toLowerCase()]),
  );
  const named = (name: string) =>
    statements.filter((statement) => statement.name === name && cleanLine(statement.text) !== "");
  const titles = named("title");
  const main = titles.find(({ id }) => refined.get(`${id} title-type`) === "main") ?? titles[0];
  const creators = named("creator");
  const roles = creators.map(({ id, role }) => (refined.get(`${id} role`) ?? role ?? "aut").toLowerCase());
  const writers = creators.filter((_, index) => roles[index] === "aut");
  const authors = (writers.length > 0 ? writers : creators).map(({ text }) => cleanLine(text));
  const language = named("language")[0];
  return {
    title: main === undefined ? null : cleanLine(main.text),
    authors: [...new Set(authors)],
    language: language === undefined ? null : cleanLine(language.text),
  };
}
