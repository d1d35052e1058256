import { cleanLine, cleanLines, LONGEST_PARAGRAPH } from "../clean-text.ts";

/** Two line breaks in a row, as some books write the end of a paragraph or a stanza. */
const EMPTY_LINE = /\n\s*\n/;
/** What stays of table rows that held only pictures. */
const EMPTY_CELLS = /^[ |]+$/gm;

/** Collects running text as paragraphs. White space in it means nothing; line breaks are said explicitly. */
export class ParagraphCollector {
  readonly paragraphs: string[] = [];
  /** UTF-16 code units of all paragraphs, those in the making included. */
  units = 0;
  #open = "";

  get openUnits(): number {
    return this.#open.length;
  }

  append(text: string): void {
    this.appendPreformatted(text.replace(/\s+/g, " "));
  }

  /** Text in which line breaks count. */
  appendPreformatted(text: string): void {
    this.#open += text;
    this.units += text.length;
    if (this.#open.length > LONGEST_PARAGRAPH) {
      this.breakParagraph();
    }
  }

  breakLine(): void {
    this.#open += "\n";
  }

  breakParagraph(): void {
    if (this.#open === "") {
      return;
    }
    const text = this.#open.replace(EMPTY_CELLS, "");
    this.#open = "";
    for (const part of text.split(EMPTY_LINE)) {
      const paragraph = cleanLines(part);
      if (paragraph !== "") {
        this.paragraphs.push(paragraph);
      }
    }
  }

  /** Takes back what was appended to the open paragraph since it had `openUnits`, and returns it. */
  takeBack(openUnits: number): string {
    const taken = this.#open.slice(openUnits);
    this.#open = this.#open.slice(0, openUnits);
    this.units -= taken.length;
    return cleanLine(taken);
  }

  text(): string {
    this.breakParagraph();
    return this.paragraphs.join("\n\n");
  }
}
