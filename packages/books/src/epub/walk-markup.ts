import { Parser } from "htmlparser2";
import { BookError } from "../book-error.ts";
import { decodeDocument } from "./decode-document.ts";

/** An element that was opened. Names are in lower case and without namespace prefix. */
export interface Element {
  readonly name: string;
  /** An attribute by its local name, in lower case. */
  attribute(name: string): string | null;
  /** What the element is for: the words of `epub:type` and, without `doc-`, of `role`. */
  readonly types: readonly string[];
}

export interface MarkupVisitor {
  open?(element: Element): void;
  text?(text: string): void;
  /** Called once for every `open`, innermost first. */
  close?(name: string): void;
}

/** `xml` for the book's own files; `html` for its documents, also where they are XHTML: it knows their named entities. */
export interface MarkupRules {
  readonly syntax: "xml" | "html";
  /** Most elements inside each other. */
  readonly depth: number;
}

/**
 * Walks XML or HTML in one pass, forgiving all faults. Entities that a document declares itself are never expanded and nothing
 * is fetched. More than `depth` elements inside each other are refused, as the parser's time grows with the square of that.
 */
export function walkMarkup(bytes: Buffer, rules: MarkupRules, visitor: MarkupVisitor): void {
  let open = 0;
  const parser = new Parser(
    {
      onopentag(name, attributes) {
        open += 1;
        if (open > rules.depth) {
          throw new BookError("too_large", `A document nests more than ${rules.depth} elements.`);
        }
        visitor.open?.(createElement(localName(name), attributes));
      },
      ontext: (text) => visitor.text?.(text),
      onclosetag(name) {
        open -= 1;
        visitor.close?.(localName(name));
      },
    },
    { xmlMode: rules.syntax === "xml", recognizeSelfClosing: true, recognizeCDATA: true },
  );
  for (const piece of decodeDocument(bytes)) {
    parser.write(piece);
  }
  parser.end();
}

function createElement(name: string, attributes: Readonly<Record<string, string>>): Element {
  const attribute = (wanted: string) =>
    attributes[wanted] ?? Object.entries(attributes).find(([key]) => localName(key) === wanted)?.[1] ?? null;
  const type = Object.entries(attributes).find(([key]) => key.endsWith(":type"))?.[1] ?? "";
  const role = attributes["role"] ?? "";
  const words = `${type} ${role}`.toLowerCase().split(/\s+/);
  return {
    name,
    attribute,
    types: words.filter((word) => word !== "").map((word) => word.replace(/^doc-/, "")),
  };
}

function localName(name: string): string {
  return name.slice(name.indexOf(":") + 1).toLowerCase();
}
