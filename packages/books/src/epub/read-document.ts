import { BookError } from "../book-error.ts";
import { cleanLine } from "../clean-text.ts";
import type { ParseLimits } from "../parse-limits.ts";
import { elementRule, isNote, isNoteList, isNoteMark, looksLikeNoteMark } from "./element-rules.ts";
import { ParagraphCollector } from "./paragraphs.ts";
import { type Element, walkMarkup } from "./walk-markup.ts";

/** A place in a document, between two paragraphs. */
export interface Place {
  /** Index of the paragraph that follows. */
  readonly paragraph: number;
  /** What the elements around are for, innermost first. */
  readonly types: readonly string[];
}

interface Heading {
  readonly title: string;
  /** 1 to 6. */
  readonly level: number;
  /** Index of the heading's own paragraph. */
  readonly paragraph: number;
}

export interface Note {
  readonly id: string | null;
  readonly text: string;
  /** Index of the paragraph that follows the note. */
  readonly paragraph: number;
}

interface NoteReference {
  readonly href: string;
  /** Index of the paragraph that holds the mark. */
  readonly paragraph: number;
}

/** What one content document says. */
export interface DocumentText {
  /** Of the HTML head. */
  readonly title: string;
  readonly start: Place;
  readonly paragraphs: readonly string[];
  readonly headings: readonly Heading[];
  /** Where the asked ids stand. */
  readonly places: ReadonlyMap<string, Place>;
  readonly notes: readonly Note[];
  readonly references: readonly NoteReference[];
}

/** What is left of the book's limits for a document. */
export interface TextBudget {
  readonly units: number;
  /** Paragraphs, notes and marks of notes together. */
  readonly paragraphs: number;
}

/** A table row longer than this is laid-out text, not data. */
const LONGEST_ROW = 1_000;

/**
 * Reads an XHTML, HTML or SVG document. A paragraph always ends before an element with one of the `ids`, so that the text can
 * be cut there.
 */
export function readDocument(
  bytes: Buffer,
  ids: ReadonlySet<string>,
  limits: ParseLimits,
  budget: TextBudget,
): DocumentText {
  const reader = new DocumentReader(ids, budget);
  walkMarkup(bytes, { syntax: "html", depth: limits.depth }, reader);
  return reader.finish();
}

interface OpenElement {
  readonly types: readonly string[];
  /** Nothing inside is text of the book. */
  readonly isSkipped: boolean;
  readonly isPreformatted: boolean;
  readonly isRaised: boolean;
  readonly isNoteList: boolean;
  readonly leave: (() => void) | null;
}

class DocumentReader {
  readonly #ids: ReadonlySet<string>;
  readonly #budget: TextBudget;
  readonly #main = new ParagraphCollector();
  readonly #stack: OpenElement[] = [];
  readonly #headings: Heading[] = [];
  readonly #places = new Map<string, Place>();
  readonly #notes: Note[] = [];
  readonly #references: NoteReference[] = [];
  #current = this.#main;
  #noteUnits = 0;
  #cells = 0;
  #rowCells = 0;
  #raisedMarks = 0;
  /** The head's title while it is read. */
  #title: string | null = null;
  #finishedTitle = "";
  /** Null until there is text. */
  #startTypes: readonly string[] | null = null;

  constructor(ids: ReadonlySet<string>, budget: TextBudget) {
    this.#ids = ids;
    this.#budget = budget;
  }

  open(element: Element): void {
    const outer = this.#stack.at(-1);
    this.#markPlace(element);
    const rule = elementRule(element);
    const isSkipped = outer?.isSkipped === true || rule === "skip" || isNoteMark(element);
    if (isNoteMark(element)) {
      this.#addReference(element.attribute("href"));
    }
    this.#stack.push({
      types: element.types,
      isSkipped,
      isPreformatted: outer?.isPreformatted === true || element.name === "pre",
      isRaised: outer?.isRaised === true || element.name === "sup",
      isNoteList: isNoteList(element) || (outer?.isNoteList === true && element.name !== "li"),
      leave: isSkipped ? this.#enterSkipped(element) : this.#enter(element, rule),
    });
    this.#refuseExcess();
  }

  text(text: string): void {
    const element = this.#stack.at(-1);
    if (element?.isSkipped === true) {
      this.#title = this.#title === null ? null : this.#title + text;
      return;
    }
    if (this.#startTypes === null && text.trim() !== "") {
      this.#startTypes = this.#openTypes();
    }
    if (element?.isPreformatted === true) {
      this.#current.appendPreformatted(text);
    } else {
      this.#current.append(text);
    }
    this.#refuseExcess();
  }

  close(): void {
    this.#stack.pop()?.leave?.();
  }

  finish(): DocumentText {
    this.#main.breakParagraph();
    return {
      title: this.#finishedTitle,
      start: { paragraph: 0, types: this.#startTypes ?? [] },
      paragraphs: this.#main.paragraphs,
      headings: this.#headings,
      places: this.#places,
      notes: this.#notes,
      references: this.#references,
    };
  }

  #refuseExcess(): void {
    const open = this.#current === this.#main ? null : this.#current;
    const units = this.#main.units + this.#noteUnits + (open?.units ?? 0);
    const paragraphs =
      this.#main.paragraphs.length +
      this.#notes.length +
      this.#references.length +
      (open?.paragraphs.length ?? 0);
    if (units > this.#budget.units || paragraphs > this.#budget.paragraphs) {
      throw new BookError("too_large", "The book has more text than is allowed.");
    }
  }

  #openTypes(): string[] {
    return this.#stack.toReversed().flatMap(({ types }) => types);
  }

  #markPlace(element: Element): void {
    if (this.#ids.size === 0) {
      return;
    }
    const names = [element.attribute("id"), element.name === "a" ? element.attribute("name") : null];
    for (const id of names) {
      if (id !== null && this.#ids.has(id) && !this.#places.has(id)) {
        this.#main.breakParagraph();
        const types = [...element.types, ...this.#openTypes()];
        this.#places.set(id, { paragraph: this.#main.paragraphs.length, types });
      }
    }
  }

  #addReference(href: string | null): void {
    if (href !== null && this.#current === this.#main) {
      this.#references.push({ href, paragraph: this.#main.paragraphs.length });
    }
  }

  #enterSkipped(element: Element): (() => void) | null {
    if (element.name !== "title" || this.#finishedTitle !== "") {
      return null;
    }
    this.#title = "";
    return () => {
      this.#finishedTitle = cleanLine(this.#title ?? "");
      this.#title = null;
    };
  }

  #enter(element: Element, rule: ReturnType<typeof elementRule>): (() => void) | null {
    if (isNote(element, this.#stack.at(-1)?.isNoteList === true) && this.#current === this.#main) {
      return this.#enterNote(element);
    }
    switch (rule) {
      case "line":
        this.#current.breakLine();
        return null;
      case "heading":
        return this.#enterHeading(Number(element.name.slice(1)));
      case "row":
        return this.#enterRow();
      case "cell":
        return this.#enterCell();
      case "block":
        this.#breakBlock();
        return () => this.#breakBlock();
      case "raised":
        this.#raisedMarks += 1;
        return null;
      case "link":
        return this.#enterLink(element);
      case "inline":
      case "skip":
        return null;
    }
  }

  /** Blocks inside of a table's cell only part words, as long as the row is short. */
  #breakBlock(): void {
    if (this.#cells > 0 && this.#current.openUnits < LONGEST_ROW) {
      this.#current.append(" ");
    } else {
      this.#current.breakParagraph();
    }
  }

  #enterNote(element: Element): () => void {
    this.#main.breakParagraph();
    const note = new ParagraphCollector();
    this.#current = note;
    return () => {
      const text = note.text();
      this.#noteUnits += note.units;
      this.#current = this.#main;
      if (text !== "") {
        this.#notes.push({
          id: element.attribute("id"),
          text,
          paragraph: this.#main.paragraphs.length,
        });
      }
    };
  }

  #enterHeading(level: number): () => void {
    this.#breakBlock();
    const paragraph = this.#main.paragraphs.length;
    const collector = this.#current;
    return () => {
      this.#breakBlock();
      const lines = this.#main.paragraphs.slice(paragraph);
      if (collector === this.#main && lines.length > 0) {
        this.#headings.push({ title: lines.join(" ").replaceAll("\n", " "), level, paragraph });
      }
    };
  }

  #enterRow(): null {
    this.#rowCells = 0;
    if (this.#current.openUnits > LONGEST_ROW) {
      this.#current.breakParagraph();
    } else {
      this.#current.breakLine();
    }
    return null;
  }

  #enterCell(): () => void {
    if (this.#rowCells > 0) {
      this.#current.append(" | ");
    }
    this.#rowCells += 1;
    this.#cells += 1;
    return () => {
      this.#cells -= 1;
    };
  }

  /** Older books mark their notes by a raised number only; it is known as one when the link has been read. */
  #enterLink(element: Element): (() => void) | null {
    const href = element.attribute("href");
    if (href === null || !href.includes("#")) {
      return null;
    }
    const collector = this.#current;
    const start = collector.openUnits;
    const paragraph = collector.paragraphs.length;
    const raisedMarks = this.#raisedMarks;
    const isRaised = this.#stack.at(-1)?.isRaised === true;
    return () => {
      const isMark = isRaised || this.#raisedMarks > raisedMarks || looksLikeNoteMark(element);
      if (!isMark || collector !== this.#current || collector.paragraphs.length !== paragraph) {
        return;
      }
      const text = collector.takeBack(start);
      if (start > 0 && /^[[(]?(?:\d{1,4}|[ivxl]{1,6}|[a-z]|[*†‡§¶]{1,4})[\])]?\.?$/iu.test(text)) {
        this.#addReference(href);
      } else {
        collector.append(text);
      }
    };
  }
}
